# METADATA
# title: What holds data is in other regions, too
# description: >-
#   Every object store is copied to every other region that there is. Each region's own plan is held to that, so
#   each pair copies in both directions. Databases join a global cluster, keys are multi-region keys, and
#   backups are copied. Buckets for access logs hold no objects of tenants and stay where they are.
# custom:
#   severity: critical
#   remedy: Give the peers of the region to its stack, and have every store replicate to each.
#   types: [aws_backup_plan, aws_kms_key, aws_rds_cluster, aws_s3_bucket, aws_s3_bucket_logging, aws_s3_bucket_replication_configuration, aws_sns_topic]
package terraform.replication

import rego.v1

import data.lib.plan

# Regions that exist beside this one: the control plane's word, and the plan's own.
peers contains peer if some peer in data.deployment.peers

peers contains peer if {
	some peer, _ in input.variables.peers.value
}

deny contains plan.denial(r, sprintf("its objects are not copied to %s", [peer]), "Add a rule to aws_s3_bucket_replication_configuration") if {
	some r in plan.of({"aws_s3_bucket"})
	count(plan.about("aws_s3_bucket_logging", "target_bucket", r)) == 0
	some peer in peers
	not copied(r, peer)
}

deny contains plan.denial(r, "other regions cannot open what it has sealed", "Set multi_region = true") if {
	some r in plan.of({"aws_kms_key"})
	count(plan.about("aws_sns_topic", "kms_master_key_id", r)) == 0
	not plan.on(r, "multi_region")
}

deny contains plan.denial(r, "it is in no global database", "Set global_cluster_identifier") if {
	some r in plan.of({"aws_rds_cluster"})
	not plan.given(r, "global_cluster_identifier")
	not plan.given(r, "replication_source_identifier")
}

deny contains plan.denial(r, sprintf("its backups are not copied to %s", [peer]), "Add a copy_action for it") if {
	some r in plan.of({"aws_backup_plan"})
	some peer in peers
	some i, rule in r.change.after.rule
	not plan.unknown(r, ["rule", i, "copy_action"])
	not backed_up(rule, peer)
}

copied(r, peer) if {
	some configuration in plan.about("aws_s3_bucket_replication_configuration", "bucket", r)
	some i, rule in configuration.change.after.rule
	rule.status == "Enabled"
	some k, destination in rule.destination
	goes_to(configuration, ["rule", i, "destination", k, "bucket"], destination, peer)
}

copied(r, _) if {
	some configuration in plan.about("aws_s3_bucket_replication_configuration", "bucket", r)
	plan.unknown(configuration, ["rule"])
}

# Buckets are named after their region.
goes_to(_, _, destination, peer) if contains(destination.bucket, concat("", ["-", peer, "-"]))

goes_to(configuration, path, _, _) if plan.unknown(configuration, path)

backed_up(rule, peer) if {
	some copy in rule.copy_action
	contains(copy.destination_vault_arn, concat("", [":", peer, ":"]))
}
