# METADATA
# title: What the rules for Terraform share
# description: Reads the document that `terraform show -json PLAN` prints.
package lib.plan

import rego.v1

# The resources of these types that there are once the plan is applied; what it destroys is not among them.
of(types) := [r |
	some r in input.resource_changes
	r.type in types
	r.mode == "managed"
	r.change.after != null
]

# One denial: where, what is wrong, what to do.
denial(r, wrong, remedy) := {
	"address": r.address,
	"msg": concat("", [r.address, ": ", wrong, ". ", remedy, "."]),
}

# The attribute is true, or will be what an expression gives that is known on apply alone.
on(r, attribute) if lower(sprintf("%v", [object.get(r.change.after, attribute, false)])) == "true"

on(r, attribute) if comes_later(r, attribute)

# The attribute is false in so many words, or what an expression will give.
off(r, attribute) if object.get(r.change.after, attribute, true) == false

off(r, attribute) if comes_later(r, attribute)

# The attribute has a value, or will have what an expression gives. A default of the provider's, which the plan
# shows as unknown, too, is none: nobody has chosen it.
given(r, attribute) if not object.get(r.change.after, attribute, null) in [null, "", [], {}]

given(r, attribute) if comes_later(r, attribute)

comes_later(r, attribute) if {
	object.get(r.change.after_unknown, attribute, false) == true
	stated(r, attribute)
}

# The configuration says something of the attribute. A plan without its configuration is believed.
stated(r, attribute) if object.get(configuration(r), ["expressions", attribute], null) != null

stated(r, _) if configuration(r) == null

# What the configuration says of a resource, null if it is not there.
configuration(r) := found if {
	wanted := sprintf("%s.%s", [r.type, r.name])
	some found in object.get(input, array.concat(["configuration", "root_module"], array.concat(module_path(r), ["resources"])), [])
	found.address == wanted
} else := null

module_path(r) := [step |
	some name in module_names(r)
	some step in ["module_calls", name, "module"]
]

module_names(r) := [name |
	some name in split(trim_prefix(without_keys(object.get(r, "module_address", "")), "module."), ".module.")
	name != ""
]

# The address of a module without the keys of for_each and count.
without_keys(address) := concat("", regex.split(`\[[^\]]*\]`, address))

# The resources of a type that are about another one, which their attribute names.
about(type, attribute, r) := [c | some c in of({type}); names(c, attribute, r)]

names(c, attribute, r) if object.get(c.change.after, attribute, "") in identifiers(r)

names(c, attribute, r) if {
	object.get(c.change.after_unknown, attribute, false) == true
	object.get(c, "module_address", "") == object.get(r, "module_address", "")
	refers(object.get(configuration(c), ["expressions", attribute, "references"], []), c, r)
}

identifiers(r) := {value |
	some key in ["arn", "bucket", "id", "name"]
	value := object.get(r.change.after, key, "")
	not value in [null, ""]
}

# By its own address, or, where both are made by for_each, by the same key.
refers(references, _, r) if trim_prefix(r.address, sprintf("%s.", [object.get(r, "module_address", "")])) in references

refers(references, c, r) if {
	resource := sprintf("%s.%s", [r.type, r.name])
	resource in references
	not indexed(references, resource)
	object.get(c, "index", null) == object.get(r, "index", null)
}

indexed(references, resource) if {
	some reference in references
	startswith(reference, sprintf("%s[", [resource]))
}

# The value at this path is known on apply alone.
unknown(r, path) if object.get(r.change.after_unknown, path, false) == true
