locals {
  # Only a cluster that follows says how far it is behind. If it stops saying so, that is told as well.
  lags = {
    replication-lag = { metric = "AuroraGlobalDBReplicationLag", what = "The copy of the global database here" }
    rpo-lag         = { metric = "AuroraGlobalDBRPOLag", what = "What a switch to this region would lose" }
  }
  loads = {
    cpu         = { metric = "CPUUtilization", statistic = "Average", comparison = "GreaterThanThreshold", threshold = 80, what = "Processors are busy for more than 80 %." }
    connections = { metric = "DatabaseConnections", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 800, what = "There are more than 800 connections." }
    memory      = { metric = "FreeableMemory", statistic = "Minimum", comparison = "LessThanThreshold", threshold = 1073741824, what = "Less than 1 GiB of memory is free." }
    disk        = { metric = "FreeLocalStorage", statistic = "Minimum", comparison = "LessThanThreshold", threshold = 5368709120, what = "Less than 5 GiB of local disk is free for sorting." }
  }
}

resource "aws_cloudwatch_metric_alarm" "lag" {
  for_each = local.lags

  alarm_name                = "${local.name}-database-${each.key}"
  alarm_description         = "${each.value.what} is more than ${var.lag_bound_ms} ms behind."
  namespace                 = "AWS/RDS"
  metric_name               = each.value.metric
  dimensions                = { DBClusterIdentifier = aws_rds_cluster.this.cluster_identifier }
  statistic                 = "Maximum"
  period                    = 60
  evaluation_periods        = 3
  datapoints_to_alarm       = 2
  comparison_operator       = "GreaterThanThreshold"
  threshold                 = var.lag_bound_ms
  treat_missing_data        = "missing"
  alarm_actions             = [var.topic_arn]
  ok_actions                = [var.topic_arn]
  insufficient_data_actions = [var.topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "load" {
  for_each = local.loads

  alarm_name          = "${local.name}-database-${each.key}"
  alarm_description   = "Database: ${each.value.what}"
  namespace           = "AWS/RDS"
  metric_name         = each.value.metric
  dimensions          = { DBClusterIdentifier = aws_rds_cluster.this.cluster_identifier }
  statistic           = each.value.statistic
  period              = 60
  evaluation_periods  = 5
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = "breaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}
