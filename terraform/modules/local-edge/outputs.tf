output "url" {
  description = "The base URL of the service: the one address that a client needs."
  value       = "https://127.0.0.1:${var.port}"
}

output "id" {
  description = "Changes when the edge is started anew."
  value       = terraform_data.this.id
}
