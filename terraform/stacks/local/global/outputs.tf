output "edge_url" {
  description = "The base URL of the service: the one address that a client needs."
  value       = module.edge.url
}
