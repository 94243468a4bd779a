# METADATA
# title: Data stay in the regions that the deployment may use
# description: >-
#   Resources are made in allowed regions alone, and nothing is copied out of them. In a region that is only for
#   what AWS has there for the whole world, such as the alarms of Route 53, there is nothing but that.
# custom:
#   severity: critical
#   remedy: Choose an allowed region, or have the deployment's policy allow another.
#   types: ["*"]
#   attributes: [endpoint_group_region, peer_region, region, rule]
#   configured: []
package terraform.regions

import rego.v1

import data.lib.plan

allowed := {region | some region in data.deployment.regions}

worldwide := {region | some region in data.deployment.global_regions}

# What may be in a region for the world: none of it holds data of tenants.
harmless := {
	"aws_acm_certificate", "aws_acm_certificate_validation", "aws_cloudwatch_metric_alarm", "aws_kms_alias", "aws_kms_key",
	"aws_sns_topic", "aws_sns_topic_policy", "aws_sns_topic_subscription", "aws_wafv2_web_acl",
}

# Attributes that name a region into which something goes.
ways_out := {"endpoint_group_region", "peer_region", "region"}

deny contains plan.denial(r, concat("", ["it is made in ", region]), "Choose a region that the deployment may use") if {
	count(strange) > 0
	some r in input.resource_changes
	r.mode == "managed"
	r.change.after != null
	region := strange[plan.configuration(r).provider_config_key]
	not here_for_the_world(r, region)
}

deny contains plan.denial(r, "nobody can tell in which region it is made", "Give its provider a region, in so many words or by a variable of the root") if {
	count(untold) > 0
	some r in input.resource_changes
	r.mode == "managed"
	r.change.after != null
	plan.configuration(r).provider_config_key in untold
	object.get(r.change.after, "region", null) == null
}

deny contains plan.denial(r, concat("", ["it goes to ", region]), "Choose a region that the deployment may use") if {
	some r in going
	some attribute in ways_out
	region := object.get(r.change.after, attribute, null)
	is_string(region)
	not region in allowed
	not here_for_the_world(r, region)
}

deny contains plan.denial(r, concat("", ["its copies go to ", region]), "Choose a region that the deployment may use") if {
	some r in plan.of({"aws_backup_plan"})
	some rule in r.change.after.rule
	some copy in rule.copy_action
	region := split(copy.destination_vault_arn, ":")[3]
	not region in allowed
}

going := [r |
	some r in input.resource_changes
	r.mode == "managed"
	r.change.after != null
	count(ways_out & object.keys(r.change.after)) > 0
]

here_for_the_world(r, region) if {
	region in worldwide
	r.type in harmless
}

# Providers of regions that are not allowed. Where there are none, no resource needs to be asked for its provider.
strange[key] := region if {
	some key, region in regions
	not region in allowed
}

# Providers of AWS whose region is in the environment, or is made of something else.
untold contains key if {
	some key, provider in input.configuration.provider_config
	provider.name == "aws"
	not regions[key]
}

# The region of each provider: as it stands there, or as the variable says.
regions[key] := region if {
	some key, provider in input.configuration.provider_config
	region := provider.expressions.region.constant_value
}

regions[key] := region if {
	some key, provider in input.configuration.provider_config
	object.get(provider, "module_address", "") == "" # a module has variables of its own
	some reference in provider.expressions.region.references
	region := input.variables[trim_prefix(reference, "var.")].value
}
