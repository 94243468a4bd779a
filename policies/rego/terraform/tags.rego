# METADATA
# title: Everything says which deployment it belongs to
# description: >-
#   What can have tags has those that data.deployment requires. Rights go by them, and so do costs and whoever
#   finds a thing that nobody knows.
# custom:
#   severity: medium
#   remedy: Let the provider's default_tags give them.
#   types: ["*"]
#   having: tags_all
#   attributes: [tags_all]
#   configured: [tags]
package terraform.tags

import rego.v1

import data.lib.plan

required := {tag | some tag in data.deployment.tags}

# What can have tags and lacks one. Sought in comprehensions: every resource of a plan is looked at here.
lacking := [r |
	some r in input.resource_changes
	count(required - object.keys(r.change.after.tags_all)) > 0
]

empty := [r |
	some r in input.resource_changes
	"" in r.change.after.tags_all
]

unknown := [r |
	some r in input.resource_changes
	r.change.after_unknown.tags_all == true
]

deny contains plan.denial(r, concat("", ["its tag ", tag, " is missing"]), "Add it to the default_tags of the provider") if {
	some r in lacking
	r.mode == "managed"
	some tag in required - object.keys(r.change.after.tags_all)
	not plan.unknown(r, ["tags_all", tag])
}

deny contains plan.denial(r, concat("", ["its tag ", tag, " is empty"]), "Add it to the default_tags of the provider") if {
	some r in empty
	r.mode == "managed"
	some tag in required
	r.change.after.tags_all[tag] == ""
}

# The provider shows tags as unknown where nobody gives any.
deny contains plan.denial(r, "it has no tags", "Give the provider default_tags") if {
	some r in unknown
	r.mode == "managed"
	not plan.stated(r, "tags")
	not tagged_by_provider(r)
}

tagged_by_provider(r) if input.configuration.provider_config[plan.configuration(r).provider_config_key].expressions.default_tags
