# What a region tells of itself: metrics, logs, dashboards, and the topic through which all its alarms go.

data "aws_caller_identity" "this" {}

locals {
  name    = "cortexkg-${var.deployment}"
  account = data.aws_caller_identity.this.account_id
  topic   = "arn:aws:sns:${var.region}:${local.account}:${local.name}-alarms"
}

resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = var.logs_key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OwnAlarmsAndBackups"
        Effect    = "Allow"
        Principal = { Service = ["backup.amazonaws.com", "cloudwatch.amazonaws.com"] }
        Action    = "sns:Publish"
        Resource  = local.topic
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      {
        Sid       = "OnlyTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.topic
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "mail" {
  for_each = var.recipients

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(["metrics", "nodes"])

  name              = "/cortexkg/${var.deployment}/${each.key}"
  kms_key_id        = var.logs_key_arn
  retention_in_days = var.retention_days
}

# Nodes log lines of JSON.
resource "aws_cloudwatch_log_metric_filter" "errors" {
  name           = "${local.name}-errors"
  log_group_name = aws_cloudwatch_log_group.this["nodes"].name
  pattern        = "{ $.level = \"error\" || $.level = \"critical\" }"
  metric_transformation {
    namespace     = "CortexKG/${var.deployment}"
    name          = "Errors"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${local.name}-nodes-errors"
  alarm_description   = "Nodes log more than ${var.errors_a_minute} errors a minute."
  namespace           = "CortexKG/${var.deployment}"
  metric_name         = "Errors"
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.errors_a_minute
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# Silence is no good news: nodes that are well log once a minute at least.
resource "aws_cloudwatch_metric_alarm" "silence" {
  alarm_name          = "${local.name}-nodes-silent"
  alarm_description   = "No node of the region has logged anything for ten minutes."
  namespace           = "AWS/Logs"
  metric_name         = "IncomingLogEvents"
  dimensions          = { LogGroupName = aws_cloudwatch_log_group.this["nodes"].name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_prometheus_workspace" "this" {
  alias       = local.name
  kms_key_arn = var.logs_key_arn
  logging_configuration {
    log_group_arn = "${aws_cloudwatch_log_group.this["metrics"].arn}:*"
  }
}
