# METADATA
# title: Policy documents of AWS
# description: Where AWS takes one value or a list of them, these give a list.
package lib.iam

import rego.v1

# The statements of a document that is given as JSON.
statements(document) := list(json.unmarshal(document).Statement)

list(value) := value if is_array(value)

list(value) := [value] if not is_array(value)

# Whom a statement is about: "*", or ARNs and names of services.
principals(statement) := ["*"] if statement.Principal == "*"

principals(statement) := [name |
	some names in statement.Principal
	some name in list(names)
] if is_object(statement.Principal)

principals(statement) := [] if not statement.Principal
