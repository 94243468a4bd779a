# METADATA
# title: Machines ask for their identity with a token
# description: >-
#   Version 1 of the metadata service gives a machine's credentials to whoever can make it fetch a URL. Version
#   2 wants a token, which a redirected request does not have.
# custom:
#   severity: high
#   remedy: Set http_tokens to required, and http_put_response_hop_limit to 1.
#   types: [aws_instance, aws_launch_template]
package terraform.machine_metadata

import rego.v1

import data.lib.plan

deny contains plan.denial(r, "its metadata are given without a token", "Set http_tokens to required in metadata_options") if {
	some r in plan.of({"aws_instance", "aws_launch_template"})
	not wants_token(r)
}

wants_token(r) if {
	some options in r.change.after.metadata_options
	options.http_tokens == "required"
}

wants_token(r) if plan.comes_later(r, "metadata_options")
