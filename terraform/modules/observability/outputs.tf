output "topic_arn" {
  description = "The SNS topic that alarms tell."
  value       = aws_sns_topic.alarms.arn
}

output "metrics_arn" {
  description = "The ARN of the workspace of metrics."
  value       = aws_prometheus_workspace.this.arn
}

output "metrics_endpoint" {
  description = "The URL that collectors write metrics under."
  value       = aws_prometheus_workspace.this.prometheus_endpoint
}

output "log_group" {
  description = "The name of the log group of the nodes."
  value       = aws_cloudwatch_log_group.this["nodes"].name
}

output "grafana_url" {
  description = "Where the dashboards are; null without them."
  value       = one([for workspace in aws_grafana_workspace.this : "https://${workspace.endpoint}"])
}
