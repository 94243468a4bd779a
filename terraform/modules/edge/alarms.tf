# A lost region cannot tell that it is lost: these stand outside all of them, where Route 53 reports.

resource "aws_kms_key" "alarms" {
  provider = aws.us_east_1

  description             = "CortexKG ${var.deployment}: what the edge's alarms tell"
  enable_key_rotation     = true
  deletion_window_in_days = var.protected ? 30 : 7
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Administration"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.this.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
      },
    ]
  })
}

resource "aws_sns_topic" "alarms" {
  provider = aws.us_east_1

  name              = "${local.name}-edge-alarms"
  kms_master_key_id = aws_kms_key.alarms.arn
}

resource "aws_sns_topic_subscription" "mail" {
  provider = aws.us_east_1
  for_each = var.recipients

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_cloudwatch_metric_alarm" "lost" {
  provider = aws.us_east_1
  for_each = var.load_balancers

  alarm_name          = "${local.name}-${each.key}-lost"
  alarm_description   = "Region ${each.key} does not answer."
  namespace           = "AWS/Route53"
  metric_name         = "HealthCheckStatus"
  dimensions          = { HealthCheckId = aws_route53_health_check.region[each.key].id }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
