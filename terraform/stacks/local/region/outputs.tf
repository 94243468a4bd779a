output "region" {
  description = "The region: its name and the base URL of its load balancer."
  value = {
    name              = module.region.name
    load_balancer_url = module.region.load_balancer_url
  }
}

output "nodes" {
  description = "The nodes by name: region and address of the TLS listener."
  value       = { for name, node in module.node : name => node.node }
}
