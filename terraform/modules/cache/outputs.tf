output "endpoint" {
  description = "Where the cache is found: TLS, cluster mode."
  value       = "${aws_elasticache_replication_group.this.configuration_endpoint_address}:6379"
}

output "user" {
  description = "As whom nodes log in, by IAM."
  value       = aws_elasticache_user.node.user_name
}

output "arns" {
  description = "The ARNs of the cache and its user: what a role must name to connect."
  value       = [aws_elasticache_replication_group.this.arn, aws_elasticache_user.node.arn]
}
