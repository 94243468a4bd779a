mock_provider "aws" {}

variables {
  deployment            = "default"
  region                = "eu-west-1"
  founds                = true
  global_cluster        = "cortexkg-default"
  master_password       = "correct-horse-battery-staple-forty-two"
  vpc_id                = "vpc-1"
  subnets               = { eu-west-1a = "subnet-1", eu-west-1b = "subnet-2", eu-west-1c = "subnet-3" }
  client_security_group = "sg-1"
  key_arn               = "arn:aws:kms:eu-west-1:123456789012:key/mrk-d"
  logs_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/mrk-l"
  topic_arn             = "arn:aws:sns:eu-west-1:123456789012:alarms"
}

run "is_encrypted_and_private" {
  command = plan
  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.kms_key_id == var.key_arn
    error_message = "The data must be encrypted with the region's key."
  }
  assert {
    condition     = aws_rds_cluster.this.iam_database_authentication_enabled
    error_message = "Nodes log in by IAM."
  }
  assert {
    condition     = { for parameter in aws_rds_cluster_parameter_group.this.parameter : parameter.name => parameter.value }["rds.force_ssl"] == "1"
    error_message = "The database must refuse connections without TLS."
  }
  assert {
    condition     = !anytrue([for each in aws_rds_cluster_instance.this : each.publicly_accessible])
    error_message = "No instance may be reachable from the internet."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.nodes.referenced_security_group_id == "sg-1" && aws_vpc_security_group_ingress_rule.nodes.cidr_ipv4 == null
    error_message = "Nodes alone may connect."
  }
}

run "stands_in_three_zones" {
  command = plan
  assert {
    condition     = toset([for each in aws_rds_cluster_instance.this : each.availability_zone]) == toset(keys(var.subnets))
    error_message = "The instances must be in all three zones."
  }
}

run "cannot_be_deleted_by_a_slip" {
  command = plan
  assert {
    condition     = aws_rds_cluster.this.deletion_protection
    error_message = "A protected database must refuse its deletion."
  }
  assert {
    condition     = !aws_rds_cluster.this.skip_final_snapshot && aws_rds_cluster.this.final_snapshot_identifier == "cortexkg-default-final" && !aws_rds_cluster.this.delete_automated_backups
    error_message = "A protected database must leave a last snapshot and its backups."
  }
  assert {
    condition     = aws_rds_cluster.this.backup_retention_period == 35
    error_message = "A protected database must be restorable to any second of 35 days."
  }
}

run "a_trial_leaves_nothing" {
  command = plan
  variables {
    protected = false
    instances = 1
  }
  assert {
    condition     = !aws_rds_cluster.this.deletion_protection && aws_rds_cluster.this.skip_final_snapshot
    error_message = "A trial must be deletable."
  }
  assert {
    condition     = aws_rds_cluster.this.storage_encrypted
    error_message = "A trial must be encrypted, too."
  }
}

run "tells_how_far_a_copy_is_behind" {
  command = plan
  variables { lag_bound_ms = 2000 }
  assert {
    condition     = toset([for alarm in aws_cloudwatch_metric_alarm.lag : alarm.metric_name]) == toset(["AuroraGlobalDBReplicationLag", "AuroraGlobalDBRPOLag"])
    error_message = "There must be alarms on the lag of replication and of the RPO."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.lag : alarm.threshold == 2000 && contains(alarm.alarm_actions, var.topic_arn) && contains(alarm.insufficient_data_actions, var.topic_arn)])
    error_message = "The alarms must have the bound, and tell when the lag is no longer known."
  }
}

run "bounds_the_loss_if_asked" {
  command = plan
  variables { rpo_seconds = 30 }
  assert {
    condition     = { for parameter in aws_rds_cluster_parameter_group.this.parameter : parameter.name => parameter.value }["rds.global_db_rpo"] == "30"
    error_message = "Commits must wait for a copy once all are 30 s behind."
  }
}

run "a_copy_has_no_password" {
  command = plan
  variables {
    founds          = false
    master_password = null
  }
  assert {
    condition     = aws_rds_cluster.this.master_password_wo_version == null && aws_rds_cluster.this.global_cluster_identifier == "cortexkg-default"
    error_message = "A copy takes its users from the founder."
  }
}

run "refuses_a_bound_that_aurora_has_not" {
  command = plan
  variables { rpo_seconds = 5 }
  expect_failures = [var.rpo_seconds]
}

run "refuses_one_instance_in_production" {
  command = plan
  variables { instances = 1 }
  expect_failures = [var.instances]
}

run "refuses_two_zones" {
  command = plan
  variables { subnets = { eu-west-1a = "subnet-1", eu-west-1b = "subnet-2" } }
  expect_failures = [var.subnets]
}

run "refuses_a_key_of_another_region" {
  command = plan
  variables { key_arn = "arn:aws:kms:us-east-1:123456789012:key/mrk-d" }
  expect_failures = [var.key_arn]
}

run "refuses_a_short_password" {
  command = plan
  variables { master_password = "short" }
  expect_failures = [var.master_password]
}
