# METADATA
# title: Everything says which deployment it belongs to
# description: >-
#   What can have tags has those that data.deployment requires. Rights go by them, and so do costs and whoever
#   finds a thing that nobody knows.
# custom:
#   severity: medium
#   remedy: Let the provider's default_tags give them.
#   types: ["*"]
#   attributes: [tags, tags_all]
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

# The provider shows tags as unknown where nobody gives any.
deny contains plan.denial(r, "it has no tags", "Give the provider default_tags") if {
	some r in input.resource_changes
	r.mode == "managed"
	plan.unknown(r, ["tags_all"])
	not plan.stated(r, "tags")
	not tagged_by_provider(r)
}

tagged_by_provider(r) if input.configuration.provider_config[plan.configuration(r).provider_config_key].expressions.default_tags
