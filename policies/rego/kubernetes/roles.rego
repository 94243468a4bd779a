# METADATA
# title: Nobody may do everything in Kubernetes
# description: >-
#   Roles name what they are about. None gives all verbs or all resources, none lets its owner give himself
#   more, and nobody gets the cluster.
# custom:
#   severity: critical
#   remedy: Name apiGroups, resources and verbs.
#   types: [ClusterRole, ClusterRoleBinding, Role, RoleBinding]
package kubernetes.roles

import rego.v1

import data.lib.manifests

deny contains manifests.denial(d, concat("", ["it allows every one of the ", what]), "Name them") if {
	some d in manifests.of({"ClusterRole", "Role"})
	some rule in object.get(d, "rules", [])
	some what in ["apiGroups", "nonResourceURLs", "resources", "verbs"]
	some name in rule[what]
	name in {"*", "/*"}
}

deny contains manifests.denial(d, concat("", ["it allows every part by ", name]), "Name them") if {
	some d in manifests.of({"ClusterRole", "Role"})
	some rule in object.get(d, "rules", [])
	some name in rule.resources
	contains(name, "*")
	name != "*"
}

deny contains manifests.denial(d, concat("", ["by ", verb, " its owner can have more than it gives"]), "Remove the verb") if {
	some d in manifests.of({"ClusterRole", "Role"})
	some rule in object.get(d, "rules", [])
	some verb in ["bind", "escalate", "impersonate"]
	verb in object.get(rule, "verbs", [])
}

deny contains manifests.denial(d, "it lets its owner read every secret of the cluster", "Use a Role, or name the secrets") if {
	some d in manifests.of({"ClusterRole"})
	some rule in object.get(d, "rules", [])
	"secrets" in object.get(rule, "resources", [])
	count(object.get(rule, "resourceNames", [])) == 0
}

deny contains manifests.denial(d, concat("", ["it gives ", d.roleRef.name]), "Give a role that names what it is for") if {
	some d in manifests.of({"ClusterRoleBinding", "RoleBinding"})
	d.roleRef.name in {"admin", "cluster-admin", "edit"}
}

deny contains manifests.denial(d, concat("", ["it is for ", subject.name, ", which is nobody in particular"]), "Name a service account of its own") if {
	some d in manifests.of({"ClusterRoleBinding", "RoleBinding"})
	some subject in object.get(d, "subjects", [])
	nobody(subject.name)
}

nobody(name) if name in {"default", "system:anonymous", "system:authenticated", "system:masters", "system:unauthenticated"}

nobody(name) if regex.match("^system:serviceaccounts(:|$)", name)
