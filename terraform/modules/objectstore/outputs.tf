output "buckets" {
  description = "The names of the buckets, by store: access, audit and data."
  value       = { for store, bucket in aws_s3_bucket.this : store => bucket.bucket }
}

output "bucket_arns" {
  description = "The ARNs of the buckets, by store."
  value       = { for store, name in local.names : store => "arn:aws:s3:::${name}" }
}

output "copies" {
  description = "Into which buckets each store is copied: store, then region, then the bucket's ARN."
  value = {
    for store, configuration in aws_s3_bucket_replication_configuration.this : store => {
      for rule in configuration.rule : rule.id => rule.destination[0].bucket if rule.status == "Enabled"
    }
  }
}
