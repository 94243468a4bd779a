locals {
  alarms = {
    no-nodes  = { metric = "HealthyHostCount", statistic = "Minimum", comparison = "LessThanThreshold", threshold = 1, missing = "breaching", what = "No node of the region is ready." }
    unhealthy = { metric = "UnHealthyHostCount", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 0, missing = "notBreaching", what = "A node has not been ready for five minutes." }
    failing   = { metric = "HTTPCode_Target_5XX_Count", statistic = "Sum", comparison = "GreaterThanThreshold", threshold = 50, missing = "notBreaching", what = "Nodes answer more than 50 requests a minute with errors of their own." }
    slow      = { metric = "TargetResponseTime", statistic = "p99", comparison = "GreaterThanThreshold", threshold = 0.5, missing = "notBreaching", what = "One answer in a hundred takes more than half a second." }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.name}-ingress-${each.key}"
  alarm_description   = each.value.what
  namespace           = "AWS/ApplicationELB"
  metric_name         = each.value.metric
  dimensions          = { LoadBalancer = aws_lb.this.arn_suffix, TargetGroup = aws_lb_target_group.nodes.arn_suffix }
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = 60
  evaluation_periods  = each.key == "no-nodes" ? 1 : 5
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}
