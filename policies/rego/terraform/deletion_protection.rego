# METADATA
# title: Nothing that holds data can be deleted by a slip
# description: >-
#   In a protected deployment databases and load balancers refuse their deletion, stores with content do not
#   vanish with it, a database leaves a last snapshot, and a key waits for 30 days before it is gone.
# custom:
#   severity: critical
#   remedy: Keep var.protected true, or have the deployment's policy say that it is not protected.
#   types: [aws_backup_vault, aws_db_instance, aws_dynamodb_table, aws_kms_key, aws_kms_replica_key, aws_lb, aws_rds_cluster, aws_rds_global_cluster, aws_s3_bucket]
#   attributes: [deletion_protection, deletion_protection_enabled, deletion_window_in_days, enable_deletion_protection, force_destroy, skip_final_snapshot]
package terraform.deletion_protection

import rego.v1

import data.lib.plan

protections := {
	"aws_db_instance": "deletion_protection",
	"aws_dynamodb_table": "deletion_protection_enabled",
	"aws_lb": "enable_deletion_protection",
	"aws_rds_cluster": "deletion_protection",
	"aws_rds_global_cluster": "deletion_protection",
}

deny contains plan.denial(r, "it can be deleted by a slip", sprintf("Set %s = true", [protections[r.type]])) if {
	data.deployment.protected
	some r in plan.of(object.keys(protections))
	not plan.on(r, protections[r.type])
}

deny contains plan.denial(r, "it is deleted with all that it holds", "Set force_destroy = false") if {
	data.deployment.protected
	some r in plan.of({"aws_backup_vault", "aws_s3_bucket"})
	r.change.after.force_destroy == true
}

deny contains plan.denial(r, "it leaves no snapshot when it is deleted", "Set skip_final_snapshot = false") if {
	data.deployment.protected
	some r in plan.of({"aws_db_instance", "aws_rds_cluster"})
	r.change.after.skip_final_snapshot == true
}

deny contains plan.denial(r, sprintf("it is gone %v days after its deletion", [days]), "Set deletion_window_in_days = 30") if {
	data.deployment.protected
	some r in plan.of({"aws_kms_key", "aws_kms_replica_key"})
	days := object.get(r.change.after, "deletion_window_in_days", null)
	days != null
	days < 30
}
