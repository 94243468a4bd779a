# METADATA
# title: Machines are emptied without a service going away
# description: >-
#   What serves and has several replicas has a PodDisruptionBudget, which lets some go and keeps some.
# custom:
#   severity: high
#   remedy: Add a PodDisruptionBudget that selects its pods.
#   types: [Deployment, HorizontalPodAutoscaler, PodDisruptionBudget, Service, StatefulSet]
package kubernetes.disruption_budget

import rego.v1

import data.lib.manifests

deny contains manifests.denial(d, "nothing keeps some of its pods while machines are emptied", "Add a PodDisruptionBudget that selects them") if {
	some d in manifests.of({"Deployment", "StatefulSet"})
	several(d)
	manifests.serves(d)
	count([b | some b in manifests.of({"PodDisruptionBudget"}); keeps(b, d)]) == 0
}

deny contains manifests.denial(b, "it lets no pod go: no machine can be emptied", "Let one go, by maxUnavailable") if {
	some b in manifests.of({"PodDisruptionBudget"})
	stops(b.spec)
}

deny contains manifests.denial(b, "it keeps as many pods as there are: no machine can be emptied", "Let one go, by maxUnavailable") if {
	some b in manifests.of({"PodDisruptionBudget"})
	some d in manifests.of({"Deployment", "StatefulSet"})
	keeps(b, d)
	not scaled(d)
	is_number(b.spec.minAvailable)
	b.spec.minAvailable >= object.get(d.spec, "replicas", 1)
}

several(d) if object.get(d.spec, "replicas", 1) > 1

several(d) if scaled(d)

scaled(d) if {
	some scaler in manifests.of({"HorizontalPodAutoscaler"})
	scaler.spec.scaleTargetRef.kind == d.kind
	scaler.spec.scaleTargetRef.name == d.metadata.name
	manifests.namespace(scaler) == manifests.namespace(d)
}

keeps(b, d) if {
	manifests.namespace(b) == manifests.namespace(d)
	manifests.selects(b.spec.selector, manifests.labels(d))
}

stops(spec) if spec.maxUnavailable in [0, "0", "0%"]

stops(spec) if spec.minAvailable == "100%"
