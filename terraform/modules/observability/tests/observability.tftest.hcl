mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  deployment   = "default"
  region       = "eu-west-1"
  logs_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/mrk-l"
  recipients   = ["on-call@example.org"]
}

run "encrypts_what_it_tells" {
  command = plan
  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == var.logs_key_arn && aws_prometheus_workspace.this.kms_key_arn == var.logs_key_arn
    error_message = "The topic and the metrics must be encrypted with the key for logs."
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.kms_key_id == var.logs_key_arn && group.retention_in_days == 365])
    error_message = "Logs must be encrypted, and kept for a year."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_sns_topic_policy.alarms.policy).Statement : statement.Effect == "Deny" && try(statement.Condition.Bool["aws:SecureTransport"] == "false", false)
    ])
    error_message = "The topic must refuse what comes without TLS."
  }
}

run "has_alarms_that_reach_somebody" {
  command = plan
  assert {
    condition     = aws_cloudwatch_metric_alarm.errors.threshold == 10 && aws_cloudwatch_metric_alarm.silence.treat_missing_data == "breaching"
    error_message = "Errors, and silence, must be told."
  }
  assert {
    condition     = keys(aws_sns_topic_subscription.mail) == ["on-call@example.org"]
    error_message = "The alarms reach nobody."
  }
  assert {
    condition     = length(aws_grafana_workspace.this) == 0
    error_message = "Dashboards cost by the user: they must be asked for."
  }
}

run "has_dashboards_that_only_read" {
  command = plan
  variables { grafana = true }
  assert {
    condition     = aws_grafana_workspace.this[0].permission_type == "CUSTOMER_MANAGED" && aws_grafana_workspace.this[0].authentication_providers == tolist(["AWS_SSO"])
    error_message = "People must log in by IAM Identity Center, and the dashboards have a role of ours."
  }
}

run "refuses_alarms_for_nobody_in_production" {
  command = plan
  variables { recipients = [] }
  expect_failures = [var.recipients]
}

run "refuses_what_is_no_address" {
  command = plan
  variables { recipients = ["on-call"] }
  expect_failures = [var.recipients]
}
