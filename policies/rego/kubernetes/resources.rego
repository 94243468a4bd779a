# METADATA
# title: A container says what it needs, and has an end
# description: >-
#   Without requests pods are packed until machines fail, without limits one of them takes the others down.
# custom:
#   severity: medium
#   remedy: Set requests and limits for cpu and memory.
#   types: [CronJob, DaemonSet, Deployment, Job, Pod, ReplicaSet, ReplicationController, StatefulSet]
package kubernetes.resources

import rego.v1

import data.lib.manifests

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " has no ", kind, " for ", resource]), "Set it in resources") if {
	some c in manifests.containers
	some kind in ["limits", "requests"]
	some resource in ["cpu", "memory"]
	nothing(object.get(c.container, ["resources", kind, resource], null))
}

# Zero is no limit, whatever its unit.
nothing(amount) if amount == null

nothing(amount) if regex.match(`^[0.]*[A-Za-z]*$`, sprintf("%v", [amount]))
