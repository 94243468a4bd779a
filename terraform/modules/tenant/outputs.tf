output "key_arn" {
  description = "The ARN of the tenant's key in this region."
  value       = local.key.arn
}

output "prefix" {
  description = "The prefix of the tenant's objects in the object store for data."
  value       = local.prefix
}

output "role_arn" {
  description = "The ARN of the role that reaches the tenant's objects alone."
  value       = aws_iam_role.this.arn
}
