# METADATA
# title: Nothing runs as root
# description: >-
#   Who breaks out of a container that runs as root is root on the machine.
# custom:
#   severity: critical
#   remedy: Set runAsNonRoot to true in securityContext, and no runAsUser of 0.
#   types: [CronJob, DaemonSet, Deployment, Job, Pod, ReplicaSet, ReplicationController, StatefulSet]
package kubernetes.non_root

import rego.v1

import data.lib.manifests

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " may run as root"]), "Set runAsNonRoot to true") if {
	some c in manifests.containers
	manifests.setting(c, "runAsNonRoot") != true
}

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " runs as root"]), "Set another runAsUser than 0") if {
	some c in manifests.containers
	manifests.setting(c, "runAsNonRoot") == true
	manifests.setting(c, "runAsUser") == 0
}
