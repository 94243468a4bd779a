# METADATA
# title: Everything says which deployment it belongs to
# description: >-
#   What can have tags has those that data.deployment requires. Rights go by them, and so do costs and whoever
#   finds a thing that nobody knows.
# custom:
#   severity: medium
#   remedy: Let the provider's default_tags give them.
#   types: ["*"]
#   attributes: [tags_all]
package terraform.tags

import rego.v1

import data.lib.plan

deny contains plan.denial(r, concat("", ["its tag ", tag, " is missing"]), "Add it to the default_tags of the provider") if {
	some r in input.resource_changes
	r.mode == "managed"
	tags := object.get(r.change, ["after", "tags_all"], null)
	tags != null
	some tag in data.deployment.tags
	object.get(tags, tag, null) in [null, ""]
	not plan.unknown(r, ["tags_all", tag])
}

# Without any tag of its own, of the provider's, or to come.
deny contains plan.denial(r, "it has no tags", "Give the provider default_tags") if {
	some r in input.resource_changes
	r.mode == "managed"
	object.get(r.change, ["after", "tags_all"], null) == null
	is_object(object.get(r.change, ["after_unknown", "tags_all"], false))
}
