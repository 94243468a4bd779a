output "node" {
  description = "The node: its name, its region and the address of its listener."
  value = {
    name    = var.name
    region  = var.region
    address = "127.0.0.1:${var.port}"
  }
}

output "id" {
  description = "Changes when the node is started anew."
  value       = terraform_data.this.id
}
