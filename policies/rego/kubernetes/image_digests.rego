# METADATA
# title: An image is named by its digest
# description: >-
#   A tag can be moved to another image; a digest is what was built, scanned and signed.
# custom:
#   severity: high
#   remedy: Name the image as NAME@sha256:DIGEST.
#   types: [CronJob, DaemonSet, Deployment, Job, Pod, ReplicaSet, ReplicationController, StatefulSet]
package kubernetes.image_digests

import rego.v1

import data.lib.manifests

deny contains manifests.denial(c.document, concat("", ["container ", c.name, " names no digest of its image"]), "Name it as NAME@sha256:DIGEST") if {
	some c in manifests.containers
	not exact(object.get(c.container, "image", ""))
}

deny contains manifests.denial(w.document, concat("", ["its volume ", volume.name, " names no digest of its image"]), "Name it as NAME@sha256:DIGEST") if {
	some w in manifests.workloads
	some volume in object.get(w.pod, "volumes", [])
	volume.image
	not exact(object.get(volume.image, "reference", ""))
}

exact(image) if regex.match(`^[^\s@]+@sha256:[0-9a-f]{64}$`, image)
