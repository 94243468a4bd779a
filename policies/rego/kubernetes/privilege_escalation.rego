# METADATA
# title: Nothing gets more rights than it began with
# description: >-
#   A process that may escalate, or is privileged, is not held by anything else that these rules ask for.
# custom:
#   severity: critical
#   remedy: Set allowPrivilegeEscalation to false, and no privileged.
#   types: [CronJob, DaemonSet, Deployment, Job, Pod, ReplicaSet, ReplicationController, StatefulSet]
package kubernetes.privilege_escalation

import rego.v1

import data.lib.manifests

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " may get more rights than it has"]), "Set allowPrivilegeEscalation to false") if {
	some c in manifests.containers
	object.get(c.container, ["securityContext", "allowPrivilegeEscalation"], true) != false
}

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " is privileged"]), "Remove privileged") if {
	some c in manifests.containers
	object.get(c.container, ["securityContext", "privileged"], false) != false
	object.get(c.container, ["securityContext", "allowPrivilegeEscalation"], true) == false
}
