# METADATA
# title: A pod is apart from its machine
# description: >-
#   The network, processes and files of a machine are those of all its pods, and of Kubernetes itself.
# custom:
#   severity: critical
#   remedy: Remove hostNetwork, hostPID, hostIPC, hostPort and hostPath.
#   types: [CronJob, DaemonSet, Deployment, Job, PersistentVolume, Pod, ReplicaSet, ReplicationController, StatefulSet]
package kubernetes.host_access

import rego.v1

import data.lib.manifests

deny contains manifests.denial(w.document, concat("", ["it has the ", what, " of its machine"]), "Remove it") if {
	some w in manifests.workloads
	some what in ["hostNetwork", "hostPID", "hostIPC"]
	object.get(w.pod, what, false) != false
}

deny contains manifests.denial(w.document, concat("", ["its volume ", volume.name, " is a path of its machine"]), "Use another kind of volume") if {
	some w in manifests.workloads
	some volume in object.get(w.pod, "volumes", [])
	volume.hostPath
}

deny contains manifests.denial(d, "it is a path of a machine", "Use another kind of volume") if {
	some d in manifests.of({"PersistentVolume"})
	d.spec.hostPath
}

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " listens at a port of its machine"]), "Use a Service") if {
	some c in manifests.containers
	some port in object.get(c.container, "ports", [])
	object.get(port, "hostPort", 0) != 0
}
