output "load_balancer" {
  description = "The region's load balancer, as the edge wants it: its ARN, and its name and zone in DNS."
  value = {
    arn     = aws_lb.this.arn
    name    = aws_lb.this.dns_name
    zone_id = aws_lb.this.zone_id
  }
}

output "target_group_arn" {
  description = "The target group that the chart puts its pods behind."
  value       = aws_lb_target_group.nodes.arn
}
