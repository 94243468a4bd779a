# METADATA
# title: Everything that is stored is encrypted
# description: >-
#   Databases, caches, disks, object stores and the secrets of Kubernetes are encrypted where they lie, so that a
#   disk, a snapshot or a copy that goes astray opens for nobody.
# custom:
#   severity: critical
#   remedy: Switch encryption on in the resource, before it holds anything. Most services cannot do so later.
#   types: [aws_db_instance, aws_ebs_volume, aws_efs_file_system, aws_eks_cluster, aws_elasticache_replication_group, aws_launch_template, aws_rds_cluster, aws_rds_global_cluster, aws_s3_bucket, aws_s3_bucket_server_side_encryption_configuration]
package terraform.encryption_at_rest

import rego.v1

import data.lib.plan

switches := {
	"aws_db_instance": "storage_encrypted",
	"aws_ebs_volume": "encrypted",
	"aws_efs_file_system": "encrypted",
	"aws_elasticache_replication_group": "at_rest_encryption_enabled",
	"aws_rds_cluster": "storage_encrypted",
	"aws_rds_global_cluster": "storage_encrypted",
}

deny contains plan.denial(r, "it is not encrypted where it lies", sprintf("Set %s = true", [switches[r.type]])) if {
	some r in plan.of(object.keys(switches))
	not plan.on(r, switches[r.type])
}

deny contains plan.denial(r, "the disk of its machines is not encrypted", "Set encrypted = true in ebs") if {
	some r in plan.of({"aws_launch_template"})
	some mapping in r.change.after.block_device_mappings
	some disk in mapping.ebs
	lower(sprintf("%v", [object.get(disk, "encrypted", false)])) != "true"
}

deny contains plan.denial(r, "it keeps the secrets of Kubernetes unencrypted", "Add encryption_config for secrets") if {
	some r in plan.of({"aws_eks_cluster"})
	not plan.comes_later(r, "encryption_config")
	not encrypts_secrets(r)
}

deny contains plan.denial(r, "nothing says how its objects are encrypted", "Add aws_s3_bucket_server_side_encryption_configuration for it") if {
	some r in plan.of({"aws_s3_bucket"})
	count(plan.about("aws_s3_bucket_server_side_encryption_configuration", "bucket", r)) == 0
}

encrypts_secrets(r) if {
	some configuration in object.get(r.change.after, "encryption_config", [])
	"secrets" in configuration.resources
}
