# METADATA
# title: What nobody allows does not reach a pod
# description: >-
#   Each pod is selected by a NetworkPolicy that allows nothing, in either direction: one for all of its namespace,
#   or for all of its chart. Others add what is needed, and none of them everything.
# custom:
#   severity: critical
#   remedy: Add a NetworkPolicy that selects them, with both policyTypes and no rules.
#   types: [CronJob, DaemonSet, Deployment, Job, Pod, ReplicaSet, ReplicationController, StatefulSet, NetworkPolicy]
package kubernetes.network_policy

import rego.v1

import data.lib.manifests

deny contains manifests.denial(w.document, "anything may reach its pods, and be reached by them", "Add a NetworkPolicy that selects them, with both policyTypes and no rules") if {
	some w in manifests.workloads
	count([p | some p in manifests.of({"NetworkPolicy"}); denies_all(p, w.document)]) == 0
}

# Policies add up: one that allows everything undoes all others.
deny contains manifests.denial(p, concat("", ["its ", direction, " allows everything"]), "Name ports, or whom it is for") if {
	some p in manifests.of({"NetworkPolicy"})
	some direction, peers in {"egress": "to", "ingress": "from"}
	some way in p.spec[direction]
	none(way, peers)
	none(way, "ports")
}

none(way, key) if object.get(way, key, null) in [null, []]

denies_all(p, d) if {
	manifests.namespace(p) == manifests.namespace(d)
	"Ingress" in p.spec.policyTypes
	"Egress" in p.spec.policyTypes
	count(object.get(p.spec, "ingress", [])) == 0
	count(object.get(p.spec, "egress", [])) == 0
	manifests.selects(p.spec.podSelector, manifests.labels(d))
}
