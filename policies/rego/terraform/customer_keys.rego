# METADATA
# title: What is stored is encrypted by the deployment's own keys
# description: >-
#   A key of the deployment's own can be audited, refused and destroyed; one of AWS' cannot. A key whose ARN is
#   known on apply alone is one; one that nobody names is not.
# custom:
#   severity: high
#   remedy: Name a key of the module keys.
#   types: [aws_backup_vault, aws_cloudwatch_log_group, aws_db_instance, aws_ebs_volume, aws_efs_file_system, aws_eks_cluster, aws_elasticache_replication_group, aws_launch_template, aws_prometheus_workspace, aws_rds_cluster, aws_s3_bucket, aws_s3_bucket_logging, aws_s3_bucket_server_side_encryption_configuration, aws_sns_topic, aws_sqs_queue]
package terraform.customer_keys

import rego.v1

import data.lib.plan

keys := {
	"aws_backup_vault": "kms_key_arn",
	"aws_cloudwatch_log_group": "kms_key_id",
	"aws_db_instance": "kms_key_id",
	"aws_ebs_volume": "kms_key_id",
	"aws_efs_file_system": "kms_key_id",
	"aws_elasticache_replication_group": "kms_key_id",
	"aws_prometheus_workspace": "kms_key_arn",
	"aws_rds_cluster": "kms_key_id",
	"aws_sns_topic": "kms_master_key_id",
	"aws_sqs_queue": "kms_master_key_id",
}

deny contains plan.denial(r, "it is not encrypted by a key of the deployment", sprintf("Set %s", [keys[r.type]])) if {
	some r in plan.of(object.keys(keys))
	not plan.given(r, keys[r.type])
}

deny contains plan.denial(r, "the disk of its machines is not encrypted by a key of the deployment", "Set kms_key_id in ebs") if {
	some r in plan.of({"aws_launch_template"})
	some i, mapping in r.change.after.block_device_mappings
	some k, disk in mapping.ebs
	not key_within(r, ["block_device_mappings", i, "ebs", k, "kms_key_id"], disk, "kms_key_id")
}

deny contains plan.denial(r, "the secrets of Kubernetes are not encrypted by a key of the deployment", "Set provider.key_arn in encryption_config") if {
	some r in plan.of({"aws_eks_cluster"})
	some i, configuration in r.change.after.encryption_config
	some k, provider in configuration.provider
	not key_within(r, ["encryption_config", i, "provider", k, "key_arn"], provider, "key_arn")
}

# S3 delivers its access logs to buckets with S3's own key alone, and they hold no objects of tenants.
deny contains plan.denial(r, "its objects are not encrypted by a key of the deployment", "Set sse_algorithm to aws:kms and kms_master_key_id") if {
	some r in plan.of({"aws_s3_bucket_server_side_encryption_configuration"})
	not logs_alone(r)
	some i, rule in r.change.after.rule
	some k, encryption in rule.apply_server_side_encryption_by_default
	not by_key(r, i, k, encryption)
}

by_key(r, i, k, encryption) if {
	by_kms(r, i, k, encryption)
	key_within(r, ["rule", i, "apply_server_side_encryption_by_default", k, "kms_master_key_id"], encryption, "kms_master_key_id")
}

by_kms(_, _, _, encryption) if encryption.sse_algorithm in {"aws:kms", "aws:kms:dsse"}

by_kms(r, i, k, _) if plan.unknown(r, ["rule", i, "apply_server_side_encryption_by_default", k, "sse_algorithm"])

key_within(_, _, block, attribute) if not object.get(block, attribute, null) in [null, ""]

key_within(r, path, _, _) if plan.unknown(r, path)

logs_alone(r) if {
	some bucket in plan.of({"aws_s3_bucket"})
	plan.names(r, "bucket", bucket)
	count(plan.about("aws_s3_bucket_logging", "target_bucket", bucket)) > 0
}
