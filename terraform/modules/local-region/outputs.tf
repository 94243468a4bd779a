output "name" {
  description = "The region's name."
  value       = var.name
}

output "load_balancer_url" {
  description = "The base URL of the region's load balancer."
  value       = "https://127.0.0.1:${var.load_balancer_port}"
}

output "id" {
  description = "Changes when the region is started anew: what runs inside it has to be, too."
  value       = terraform_data.this.id
}
