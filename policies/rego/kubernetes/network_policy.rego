# METADATA
# title: What nobody allows does not reach a pod
# description: >-
#   Each namespace with pods has a NetworkPolicy that selects all of them and allows nothing, in either
#   direction; others add what is needed.
# custom:
#   severity: critical
#   remedy: Add a NetworkPolicy with an empty podSelector, both policyTypes and no rules.
#   types: [CronJob, DaemonSet, Deployment, Job, Pod, ReplicaSet, StatefulSet, NetworkPolicy]
package kubernetes.network_policy

import rego.v1

import data.lib.manifests

deny contains manifests.denial(w.document, concat("", ["anything may reach its pods, or be reached: namespace ", space, " denies nothing by default"]), "Add a NetworkPolicy with an empty podSelector, both policyTypes and no rules") if {
	some w in manifests.workloads
	space := manifests.namespace(w.document)
	count([p | some p in manifests.of({"NetworkPolicy"}); denies_all(p, space)]) == 0
}

denies_all(p, space) if {
	manifests.namespace(p) == space
	object.get(p.spec.podSelector, "matchLabels", {}) == {}
	object.get(p.spec.podSelector, "matchExpressions", []) == []
	"Ingress" in p.spec.policyTypes
	"Egress" in p.spec.policyTypes
	count(object.get(p.spec, "ingress", [])) == 0
	count(object.get(p.spec, "egress", [])) == 0
}
