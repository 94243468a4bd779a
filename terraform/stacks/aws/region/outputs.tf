output "peer" {
  description = "What the other regions need to know of this one: their variable peers."
  value = {
    vpc_id      = module.network.vpc_id
    asked       = module.network.asked
    keys        = module.keys.arns
    tenant_keys = { for name, tenant in module.tenant : name => tenant.key_arn }
  }
}

output "load_balancer" {
  description = "The region's load balancer: what the global stack puts behind the edge."
  value       = module.ingress.load_balancer
}

output "kubernetes" {
  description = "The region's Kubernetes: name, URL and certificate authority of its API, and the roles of pods."
  value = {
    name                  = module.cluster.name
    endpoint              = module.cluster.endpoint
    certificate_authority = module.cluster.certificate_authority
    roles                 = module.cluster.roles
    target_group_arn      = module.ingress.target_group_arn
  }
}

output "database" {
  description = "The region's part of the global database: its ARN, and where its writer and readers listen."
  value = {
    arn             = module.database.cluster_arn
    endpoint        = module.database.endpoint
    reader_endpoint = module.database.reader_endpoint
  }
}

output "cache" {
  description = "The region's cache: where it is, and as whom nodes log in."
  value       = { endpoint = module.cache.endpoint, user = module.cache.user }
}

output "buckets" {
  description = "The region's object stores, by what they hold."
  value       = module.objectstore.buckets
}

output "copies" {
  description = "Into which buckets of other regions the object stores are copied."
  value       = module.objectstore.copies
}

output "metrics_endpoint" {
  description = "The URL that collectors write metrics under."
  value       = module.observability.metrics_endpoint
}

output "grafana_url" {
  description = "Where the dashboards are; null without them."
  value       = module.observability.grafana_url
}
