# METADATA
# title: What is overwritten or lost can be had again
# description: >-
#   Object stores keep versions, and databases can be restored to any second of the last days: in a protected
#   deployment for as many days as data.deployment says.
# custom:
#   severity: high
#   remedy: Switch versioning on, and keep backups for long enough.
#   types: [aws_db_instance, aws_rds_cluster, aws_s3_bucket, aws_s3_bucket_versioning]
package terraform.backups

import rego.v1

import data.lib.plan

deny contains plan.denial(r, "what is overwritten is gone", "Add aws_s3_bucket_versioning with status Enabled") if {
	some r in plan.of({"aws_s3_bucket"})
	count([v | some v in plan.about("aws_s3_bucket_versioning", "bucket", r); enabled(v)]) == 0
}

deny contains plan.denial(r, sprintf("its backups are kept for %v days", [days]), sprintf("Set backup_retention_period to %v at least", [data.deployment.backup_days])) if {
	data.deployment.protected
	some r in plan.of({"aws_db_instance", "aws_rds_cluster"})
	not plan.comes_later(r, "backup_retention_period")
	days := object.get(r.change.after, "backup_retention_period", 1)
	not kept(days)
}

enabled(v) if {
	some configuration in v.change.after.versioning_configuration
	configuration.status == "Enabled"
}

kept(days) if {
	days != null
	days >= data.deployment.backup_days
}
