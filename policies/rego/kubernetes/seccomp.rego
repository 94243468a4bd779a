# METADATA
# title: A container may make the system calls that containers make
# description: >-
#   Most holes of a kernel are in calls that no service makes.
# custom:
#   severity: high
#   remedy: Set seccompProfile.type to RuntimeDefault.
#   types: [CronJob, DaemonSet, Deployment, Job, Pod, ReplicaSet, ReplicationController, StatefulSet]
package kubernetes.seccomp

import rego.v1

import data.lib.manifests

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " may make any system call"]), "Set seccompProfile.type to RuntimeDefault") if {
	some c in manifests.containers
	not object.get(profile(c), "type", "") in {"Localhost", "RuntimeDefault"}
}

profile(c) := found if {
	found := manifests.setting(c, "seccompProfile")
	found != null
} else := {}
