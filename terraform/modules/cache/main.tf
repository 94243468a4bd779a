# A region's second-level cache. It holds copies alone: it is not backed up, and losing it costs time, no data.

locals {
  name = "cortexkg-${var.deployment}"
}

resource "aws_elasticache_subnet_group" "this" {
  name       = local.name
  subnet_ids = [for zone in sort(keys(var.subnets)) : var.subnets[zone]]
}

resource "aws_security_group" "this" {
  name        = "${local.name}-cache"
  description = "The cache for the nodes of the region"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.this.id
  description                  = "The cache's protocol over TLS from the nodes"
  referenced_security_group_id = var.client_security_group
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
}

# Nodes log in by IAM: there is no password to keep, to turn or to leak.
resource "aws_elasticache_user" "node" {
  user_id       = "${local.name}-node"
  user_name     = "${local.name}-node"
  engine        = "valkey"
  access_string = "on ~* +@all -@admin -@dangerous"
  authentication_mode {
    type = "iam"
  }
}

resource "aws_elasticache_user_group" "this" {
  user_group_id = local.name
  engine        = "valkey"
  user_ids      = [aws_elasticache_user.node.user_id]
}

resource "aws_cloudwatch_log_group" "slow" {
  name              = "/cortexkg/${var.deployment}/cache"
  kms_key_id        = var.key_arns.logs
  retention_in_days = var.retention_days
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = local.name
  description          = "CortexKG ${var.deployment}: second-level cache"
  engine               = "valkey"
  engine_version       = "8.0"
  node_type            = var.node_type
  parameter_group_name = "default.valkey8.cluster.on"
  port                 = 6379

  num_node_groups            = var.shards
  replicas_per_node_group    = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true

  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [aws_security_group.this.id]
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  at_rest_encryption_enabled = true
  kms_key_id                 = var.key_arns.data
  user_group_ids             = [aws_elasticache_user_group.this.user_group_id]

  maintenance_window       = "sun:05:00-sun:06:00"
  snapshot_retention_limit = 0

  # Slow commands, without their arguments' meaning: keys are opaque.
  log_delivery_configuration {
    destination      = aws_cloudwatch_log_group.slow.name
    destination_type = "cloudwatch-logs"
    log_format       = "json"
    log_type         = "slow-log"
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = {
    cpu       = { metric = "EngineCPUUtilization", threshold = 80, what = "The cache is busy for more than 80 %." }
    memory    = { metric = "DatabaseMemoryUsagePercentage", threshold = 90, what = "The cache is full for more than 90 %." }
    evictions = { metric = "Evictions", threshold = 10000, what = "The cache drops more than 10,000 entries a minute." }
  }

  alarm_name          = "${local.name}-cache-${each.key}"
  alarm_description   = each.value.what
  namespace           = "AWS/ElastiCache"
  metric_name         = each.value.metric
  dimensions          = { ReplicationGroupId = aws_elasticache_replication_group.this.replication_group_id }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}
