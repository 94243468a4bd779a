# METADATA
# title: No plan destroys what holds data
# description: >-
#   In a protected deployment a plan neither destroys nor replaces databases, stores, keys and vaults. The key
#   of a tenant is the exception: destroying it is how a tenant leaves, and KMS waits for 30 days.
# custom:
#   severity: critical
#   remedy: Move the resource with moved or state mv. What really must go is first taken out of the deployment by hand.
#   types: [aws_backup_vault, aws_db_instance, aws_dynamodb_table, aws_efs_file_system, aws_kms_key, aws_kms_replica_key, aws_rds_cluster, aws_rds_global_cluster, aws_s3_bucket]
#   attributes: []
package terraform.destruction

import rego.v1

import data.lib.plan

holding := {
	"aws_backup_vault", "aws_db_instance", "aws_dynamodb_table", "aws_efs_file_system", "aws_kms_key",
	"aws_kms_replica_key", "aws_rds_cluster", "aws_rds_global_cluster", "aws_s3_bucket",
}

deny contains plan.denial(r, "the plan destroys it", "Move it with moved, or leave it where it is") if {
	data.deployment.protected
	some r in input.resource_changes
	r.type in holding
	"delete" in r.change.actions
	not of_tenant(r)
}

of_tenant(r) if {
	r.type in {"aws_kms_key", "aws_kms_replica_key"}
	r.change.before.tags_all["cortexkg:tenant"]
}
