# METADATA
# title: A container has no capability but to bind a port
# description: >-
#   Containers begin with a dozen rights of root. None of ours needs any.
# custom:
#   severity: high
#   remedy: Set drop to ALL in capabilities, and add at most NET_BIND_SERVICE.
#   types: [CronJob, DaemonSet, Deployment, Job, Pod, ReplicaSet, ReplicationController, StatefulSet]
package kubernetes.capabilities

import rego.v1

import data.lib.manifests

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " keeps capabilities of root"]), "Set drop to ALL in capabilities") if {
	some c in manifests.containers
	not "ALL" in object.get(c.container, ["securityContext", "capabilities", "drop"], [])
}

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " adds ", capability]), "Remove it from capabilities") if {
	some c in manifests.containers
	some capability in object.get(c.container, ["securityContext", "capabilities", "add"], [])
	capability != "NET_BIND_SERVICE"
}
