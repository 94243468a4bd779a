# METADATA
# title: The API of Kubernetes is not open to everybody
# description: >-
#   The API is reachable from the private network, and from outside at most for networks that are named.
# custom:
#   severity: critical
#   remedy: Set endpoint_public_access = false, or name public_access_cidrs.
#   types: [aws_eks_cluster]
package terraform.private_kubernetes

import rego.v1

import data.lib.plan

deny contains plan.denial(r, "everybody may reach its API", "Set endpoint_public_access = false, or name public_access_cidrs") if {
	some r in plan.of({"aws_eks_cluster"})
	some i, network in r.change.after.vpc_config
	object.get(network, "endpoint_public_access", true) != false
	not plan.unknown(r, ["vpc_config", i, "endpoint_public_access"])
	not narrow(network)
}

narrow(network) if {
	count(network.public_access_cidrs) > 0
	every cidr in network.public_access_cidrs { to_number(split(cidr, "/")[1]) >= 8 }
}
