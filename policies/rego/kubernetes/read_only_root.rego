# METADATA
# title: The root file system of a container is read-only
# description: >-
#   What cannot be written cannot be replaced; what must be written has a volume of its own.
# custom:
#   severity: high
#   remedy: Set readOnlyRootFilesystem to true, and mount an emptyDir where something is written.
#   types: [CronJob, DaemonSet, Deployment, Job, Pod, ReplicaSet, ReplicationController, StatefulSet]
package kubernetes.read_only_root

import rego.v1

import data.lib.manifests

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " can write to its root file system"]), "Set readOnlyRootFilesystem to true") if {
	some c in manifests.containers
	object.get(c.container, ["securityContext", "readOnlyRootFilesystem"], false) != true
}
