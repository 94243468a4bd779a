mock_provider "aws" {}

variables {
  deployment            = "default"
  region                = "eu-west-1"
  vpc_id                = "vpc-1"
  subnets               = { eu-west-1a = "subnet-1", eu-west-1b = "subnet-2", eu-west-1c = "subnet-3" }
  client_security_group = "sg-1"
  key_arns = {
    data = "arn:aws:kms:eu-west-1:123456789012:key/mrk-d"
    logs = "arn:aws:kms:eu-west-1:123456789012:key/mrk-l"
  }
  topic_arn = "arn:aws:sns:eu-west-1:123456789012:alarms"
}

run "is_encrypted_at_rest_and_on_its_way" {
  command = plan
  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.transit_encryption_mode == "required"
    error_message = "The cache must refuse connections without TLS."
  }
  assert {
    condition     = tobool(aws_elasticache_replication_group.this.at_rest_encryption_enabled) && aws_elasticache_replication_group.this.kms_key_id == var.key_arns.data
    error_message = "Entries must be encrypted with the key for data."
  }
}

run "lets_in_nodes_alone_by_iam" {
  command = plan
  assert {
    condition     = aws_elasticache_user.node.authentication_mode[0].type == "iam" && aws_elasticache_user.node.user_id == aws_elasticache_user.node.user_name
    error_message = "Nodes must log in by IAM, for which id and name must be the same."
  }
  assert {
    condition     = strcontains(aws_elasticache_user.node.access_string, "-@admin -@dangerous")
    error_message = "Nodes must not administer the cache."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.nodes.referenced_security_group_id == "sg-1" && aws_vpc_security_group_ingress_rule.nodes.cidr_ipv4 == null
    error_message = "Nodes alone may connect."
  }
}

run "survives_a_zone" {
  command = plan
  assert {
    condition     = aws_elasticache_replication_group.this.multi_az_enabled && aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.replicas_per_node_group == 2
    error_message = "Each shard must have a copy in each of three zones."
  }
  assert {
    condition     = aws_elasticache_replication_group.this.num_node_groups == 2 && endswith(aws_elasticache_replication_group.this.parameter_group_name, "cluster.on")
    error_message = "The cache must be in cluster mode."
  }
}

run "tells_when_it_is_short" {
  command = plan
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 3 && alltrue([for alarm in aws_cloudwatch_metric_alarm.this : contains(alarm.alarm_actions, var.topic_arn)])
    error_message = "There must be alarms on processors, memory and evictions."
  }
}

run "refuses_half_a_shard" {
  command = plan
  variables { shards = 1.5 }
  expect_failures = [var.shards]
}

run "refuses_two_zones" {
  command = plan
  variables { subnets = { eu-west-1a = "subnet-1", eu-west-1b = "subnet-2" } }
  expect_failures = [var.subnets]
}

run "refuses_a_key_of_another_region" {
  command = plan
  variables {
    key_arns = {
      data = "arn:aws:kms:us-east-1:123456789012:key/mrk-d"
      logs = "arn:aws:kms:eu-west-1:123456789012:key/mrk-l"
    }
  }
  expect_failures = [var.key_arns]
}
