output "name" {
  description = "The cluster's name."
  value       = aws_eks_cluster.this.name
}

output "endpoint" {
  description = "The URL of the Kubernetes API."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "The certificate authority of the Kubernetes API, base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "security_group_id" {
  description = "The security group of the machines and of their pods."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "roles" {
  description = "The ARNs of the pods' roles: autoscaler, balancer, collector and runtime, whose service accounts are cortexkg-NAME."
  value       = { for name, role in aws_iam_role.pod : name => role.arn }
}
