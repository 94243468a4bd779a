# METADATA
# title: What serves says whether it is ready and whether it lives
# description: >-
#   Without readiness a node gets requests that it cannot answer; without liveness one that hangs stays. What has no
#   port and no Service, such as the room that is kept for nodes to come, serves nothing.
# custom:
#   severity: high
#   remedy: Add readinessProbe and livenessProbe.
#   types: [DaemonSet, Deployment, Service, StatefulSet]
package kubernetes.probes

import rego.v1

import data.lib.manifests

deny contains manifests.denial(w.document, concat("", ["container ", object.get(container, "name", "without a name"), " has no ", probe]), "Add it") if {
	some w in manifests.workloads
	w.document.kind in {"DaemonSet", "Deployment", "StatefulSet"}
	manifests.serves(w.document)
	some container in w.pod.containers
	some probe in ["livenessProbe", "readinessProbe"]
	object.get(container, probe, null) == null
}
