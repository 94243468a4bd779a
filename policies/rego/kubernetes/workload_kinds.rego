# METADATA
# title: What runs pods is of a kind whose pods are looked at
# description: >-
#   The other rules look at pods where Kubernetes' own kinds have them. A kind that they do not know, such as one of
#   an operator's, would run whatever it likes.
# custom:
#   severity: high
#   remedy: Use a CronJob, DaemonSet, Deployment, Job or StatefulSet.
#   types: ["*"]
package kubernetes.workload_kinds

import rego.v1

import data.lib.manifests

places := [["spec"], ["template", "spec"], ["spec", "template", "spec"], ["spec", "jobTemplate", "spec", "template", "spec"]]

deny contains manifests.denial(d, concat("", ["no rule looks at the pods of a ", d.kind]), "Use a CronJob, DaemonSet, Deployment, Job or StatefulSet") if {
	some d in manifests.documents
	not manifests.pod(d)
	some place in places
	count(object.get(d, array.concat(place, ["containers"]), [])) > 0
}
