# METADATA
# title: Policy documents of AWS
# description: Where AWS takes one value or a list of them, these give a list.
package lib.iam

import rego.v1

elements := {
	"Action", "Condition", "Effect", "NotAction", "NotPrincipal", "NotResource", "Principal", "Resource", "Sid",
}

# A document that is given as JSON, null if it is none.
read(text) := json.unmarshal(text) if {
	json.is_valid(text)
} else := null

statements(document) := list(document.Statement)

# In AWS' own words and no others: of any other document nobody can tell what it allows.
readable(document) if {
	is_object(document)
	count(object.keys(document) - {"Id", "Statement", "Version"}) == 0
	every statement in list(document.Statement) { understood(statement) }
}

understood(statement) if {
	is_object(statement)
	count(object.keys(statement) - elements) == 0
	statement.Effect in {"Allow", "Deny"}
	count([value | some value in named(statement); not is_string(value)]) == 0
}

# Its actions and resources.
named(statement) := [value |
	some element in ["Action", "NotAction", "NotResource", "Resource"]
	some value in list(object.get(statement, element, []))
]

list(value) := value if is_array(value)

list(value) := [value] if not is_array(value)

# Whom a statement is about: "*", or ARNs and names of services.
principals(statement) := ["*"] if statement.Principal == "*"

principals(statement) := [name |
	some names in statement.Principal
	some name in list(names)
] if is_object(statement.Principal)

principals(statement) := [] if not statement.Principal

# Every action of a service, or one of every service: a wildcard stands where the service does, or for all actions.
every_action(action) if regex.match(`^[^:]*[*?]|:[*?]+$`, action)

# The actions that this one stands for are among these, which are written small.
stands_for(action, names) if {
	regex.match(`^[A-Za-z0-9:*?-]+$`, action)
	pattern := concat("", ["^", replace(replace(lower(action), "*", ".*"), "?", "."), "$"])
	some name in names
	regex.match(pattern, name)
}

# Everything of a service, or all roles: a wildcard reaches over what an ARN has before its resource, or is all
# that stands there.
everything(resource) if {
	regex.match(`[*?]`, resource)
	count(split(resource, ":")) < 6
}

everything(resource) if regex.match(`^([^:]*:){5}(role/)?[*?:/]+$`, resource)

# A condition that any request meets is none.
conditional(statement) if {
	some keys in statement.Condition
	some values in keys
	some value in list(values)
	not regex.match(`^[*?]+$`, sprintf("%v", [value]))
}
