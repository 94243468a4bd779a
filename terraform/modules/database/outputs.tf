output "cluster_arn" {
  description = "The ARN of the region's cluster: what a failover names."
  value       = aws_rds_cluster.this.arn
}

output "subnet_group" {
  description = "The name of the cluster's subnet group."
  value       = aws_db_subnet_group.this.name
}

output "resource_id" {
  description = "The id by which IAM lets database users in: arn:aws:rds-db:REGION:ACCOUNT:dbuser:ID/USER."
  value       = aws_rds_cluster.this.cluster_resource_id
}

output "endpoint" {
  description = "Where the region's writer listens, if this region writes."
  value       = "${aws_rds_cluster.this.endpoint}:5432"
}

output "reader_endpoint" {
  description = "Where the region's readers listen."
  value       = "${aws_rds_cluster.this.reader_endpoint}:5432"
}
