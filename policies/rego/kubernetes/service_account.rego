# METADATA
# title: A pod has no token that it does not need
# description: >-
#   Kubernetes gives each pod a token for its API. Who has none of its own asks for none, and the default
#   account, which everything shares, is nobody's.
# custom:
#   severity: high
#   remedy: Set automountServiceAccountToken to false, or name a serviceAccountName of its own.
#   types: [CronJob, DaemonSet, Deployment, Job, Pod, ReplicaSet, ReplicationController, StatefulSet]
package kubernetes.service_account

import rego.v1

import data.lib.manifests

deny contains manifests.denial(w.document, "it has the token of the default account", "Set automountServiceAccountToken to false, or name a serviceAccountName of its own") if {
	some w in manifests.workloads
	object.get(w.pod, "serviceAccountName", "default") in ["", "default"]
	object.get(w.pod, "automountServiceAccountToken", true) != false
}
