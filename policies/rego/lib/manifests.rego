# METADATA
# title: What the rules for Kubernetes share
# description: Reads a list of documents, or what conftest makes of files with --combine.
package lib.manifests

import rego.v1

documents := [document |
	some each in input
	some document in unpacked(each)
	document.kind
]

# Of conftest, which says in which file a document was.
unpacked(each) := listed(each.contents) if each.contents

unpacked(each) := [each] if not each.contents

listed(value) := value if is_array(value)

listed(value) := [value] if not is_array(value)

of(kinds) := [d | some d in documents; d.kind in kinds]

# Kind, namespace where there is one, and name.
address(d) := concat("/", [part | some part in [d.kind, object.get(d.metadata, "namespace", null), d.metadata.name]; part != null])

namespace(d) := d.metadata.namespace if object.get(d.metadata, "namespace", null) != null

namespace(d) := "default" if object.get(d.metadata, "namespace", null) == null

# One denial: where, what is wrong, what to do.
denial(d, wrong, remedy) := {
	"address": address(d),
	"msg": concat("", [address(d), ": ", wrong, ". ", remedy, "."]),
}

# What runs pods, with the template of these pods.
workloads := [{"document": d, "pod": pod(d)} |
	some d in documents
	pod(d)
]

pod(d) := d.spec if d.kind == "Pod"

pod(d) := d.spec.jobTemplate.spec.template.spec if d.kind == "CronJob"

pod(d) := d.spec.template.spec if d.kind in {"DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"}

# The labels of the pods that a document runs.
labels(d) := object.get(d, ["metadata", "labels"], {}) if d.kind == "Pod"

labels(d) := object.get(d, ["spec", "jobTemplate", "spec", "template", "metadata", "labels"], {}) if d.kind == "CronJob"

labels(d) := object.get(d, ["spec", "template", "metadata", "labels"], {}) if not d.kind in {"CronJob", "Pod"}

# Something is answered by the pods: a container has a port, or a Service leads to them.
serves(d) if {
	some container in pod(d).containers
	count(object.get(container, "ports", [])) > 0
}

serves(d) if {
	some service in of({"Service"})
	namespace(service) == namespace(d)
	selector := object.get(service, ["spec", "selector"], {})
	count(selector) > 0
	selects({"matchLabels": selector}, labels(d))
}

# Every container of a pod, those that begin before it or come later included.
containers := [{"document": w.document, "pod": w.pod, "container": container, "name": object.get(container, "name", "without a name")} |
	some w in workloads
	some key in ["containers", "ephemeralContainers", "initContainers"]
	some container in object.get(w.pod, key, [])
]

# A setting of a container, which may stand with its pod.
setting(c, key) := value if {
	value := object.get(c.container, ["securityContext", key], null)
	value != null
} else := object.get(c.pod, ["securityContext", key], null)

# A selector of these labels; one with nothing in it selects everything.
selects(selector, found) if {
	every key, value in object.get(selector, "matchLabels", {}) { found[key] == value }
	every expression in object.get(selector, "matchExpressions", []) { meets(expression, found) }
}

meets(expression, found) if {
	expression.operator == "In"
	found[expression.key] in expression.values
}

meets(expression, found) if {
	expression.operator == "NotIn"
	not object.get(found, expression.key, null) in expression.values
}

meets(expression, found) if {
	expression.operator == "Exists"
	found[expression.key]
}

meets(expression, found) if {
	expression.operator == "DoesNotExist"
	not found[expression.key]
}
