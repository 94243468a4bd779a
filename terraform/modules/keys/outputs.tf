output "arns" {
  description = "The ARNs of this region's keys, by purpose: audit, data, logs and secrets."
  value = merge(
    { for purpose, key in aws_kms_key.primary : purpose => key.arn },
    { for purpose, key in aws_kms_replica_key.copy : purpose => key.arn },
  )
}
