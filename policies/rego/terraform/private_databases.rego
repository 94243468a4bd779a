# METADATA
# title: No database is reachable from the internet
# description: >-
#   A database has a private address alone, whatever its subnet is. A plan that leaves it to a default is
#   denied, too.
# custom:
#   severity: critical
#   remedy: Set publicly_accessible = false.
#   types: [aws_db_instance, aws_dms_replication_instance, aws_rds_cluster_instance, aws_redshift_cluster]
package terraform.private_databases

import rego.v1

import data.lib.plan

deny contains plan.denial(r, "it may get a public address", "Set publicly_accessible = false") if {
	some r in plan.of({"aws_db_instance", "aws_dms_replication_instance", "aws_rds_cluster_instance", "aws_redshift_cluster"})
	not plan.off(r, "publicly_accessible")
}
