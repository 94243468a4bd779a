# METADATA
# title: No object store is reachable for everybody
# description: >-
#   Each bucket blocks public access in all four ways, and no list of access grants to everybody.
# custom:
#   severity: critical
#   remedy: Add aws_s3_bucket_public_access_block with all four set to true.
#   types: [aws_s3_bucket, aws_s3_bucket_acl, aws_s3_bucket_public_access_block]
package terraform.private_buckets

import rego.v1

import data.lib.plan

ways := ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]

deny contains plan.denial(r, "nothing blocks public access to it", "Add aws_s3_bucket_public_access_block for it") if {
	some r in plan.of({"aws_s3_bucket"})
	count(plan.about("aws_s3_bucket_public_access_block", "bucket", r)) == 0
}

deny contains plan.denial(r, sprintf("%s is off", [way]), sprintf("Set %s = true", [way])) if {
	some r in plan.of({"aws_s3_bucket_public_access_block"})
	some way in ways
	not plan.on(r, way)
}

deny contains plan.denial(r, sprintf("its list of access is %s", [r.change.after.acl]), "Remove it, and let object_ownership be BucketOwnerEnforced") if {
	some r in plan.of({"aws_s3_bucket_acl"})
	r.change.after.acl in {"authenticated-read", "public-read", "public-read-write"}
}
