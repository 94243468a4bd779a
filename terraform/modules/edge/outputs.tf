output "url" {
  description = "The base URL of the service: the one address that a client needs."
  value       = "https://${var.domain}"
}

output "addresses" {
  description = "The fixed addresses of the accelerator; empty without it."
  value       = flatten([for each in aws_globalaccelerator_accelerator.this : [for set in each.ip_sets : set.ip_addresses]])
}

output "direct" {
  description = "The name by which clients find the nearest region by DNS alone."
  value       = local.direct
}
