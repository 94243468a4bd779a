output "edge_url" {
  description = "The base URL of the service: the one address that a client needs."
  value       = module.edge.url
}

output "edge_addresses" {
  description = "The fixed addresses of the accelerator; empty without it."
  value       = module.edge.addresses
}

output "global_cluster" {
  description = "The identifier of the global database: what the regions join, and what a failover names."
  value       = aws_rds_global_cluster.this.global_cluster_identifier
}
