mock_provider "aws" {}

variables {
  deployment          = "default"
  region              = "eu-west-1"
  domain              = "api.example.org"
  vpc_id              = "vpc-1"
  subnets             = { eu-west-1a = "subnet-1", eu-west-1b = "subnet-2", eu-west-1c = "subnet-3" }
  node_security_group = "sg-1"
  log_bucket          = "access"
  logs_key_arn        = "arn:aws:kms:eu-west-1:123456789012:key/mrk-l"
  topic_arn           = "arn:aws:sns:eu-west-1:123456789012:alarms"
}

# Most plan what matters alone: the firewall takes more time than all else.
run "takes_tls_alone_in_three_zones" {
  command = plan
  plan_options { target = [aws_lb_listener.https] }
  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && startswith(aws_lb_listener.https.ssl_policy, "ELBSecurityPolicy-TLS13-1-2")
    error_message = "Clients must use TLS 1.2 or newer."
  }
  assert {
    condition     = aws_lb_target_group.nodes.protocol == "HTTPS" && aws_lb_target_group.nodes.health_check[0].path == "/healthz"
    error_message = "The way to the nodes must be encrypted, and their health asked for."
  }
  assert {
    condition     = aws_lb.this.subnets == toset(values(var.subnets))
    error_message = "The load balancer must stand in all three zones."
  }
  assert {
    condition     = aws_lb.this.drop_invalid_header_fields && aws_lb.this.desync_mitigation_mode == "strictest" && aws_lb.this.access_logs[0].enabled
    error_message = "Requests that are off must be dropped, and all be logged."
  }
  assert {
    condition     = aws_lb.this.enable_deletion_protection
    error_message = "A protected load balancer must refuse its deletion."
  }
}

run "has_a_firewall" {
  command = plan
  assert {
    condition = toset([for rule in aws_wafv2_web_acl.this.rule : rule.name]) == toset([
      "rate", "AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet",
    ])
    error_message = "The firewall must have a limit of rate and AWS' rules."
  }
  assert {
    condition     = length(distinct([for rule in aws_wafv2_web_acl.this.rule : rule.priority])) == 4
    error_message = "Each rule of the firewall has its own place."
  }
  assert {
    condition     = one([for rule in aws_wafv2_web_acl.this.rule : rule.statement[0].rate_based_statement[0].limit if rule.name == "rate"]) == 60000
    error_message = "The limit of rate is not the variable's."
  }
  assert {
    condition     = aws_wafv2_web_acl_logging_configuration.this.redacted_fields[0].single_header[0].name == "authorization"
    error_message = "Tokens must not be in the firewall's log."
  }
}

run "tells_when_nobody_answers" {
  command = plan
  plan_options { target = [aws_cloudwatch_metric_alarm.this] }
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["failing", "no-nodes", "slow", "unhealthy"] && alltrue([for alarm in aws_cloudwatch_metric_alarm.this : contains(alarm.alarm_actions, var.topic_arn)])
    error_message = "There must be alarms on nodes that are away, failing or slow."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["no-nodes"].treat_missing_data == "breaching"
    error_message = "A region that says nothing must count as one without nodes."
  }
}

run "is_shielded_if_asked" {
  command = plan
  plan_options { target = [aws_shield_protection.this] }
  variables { shield = true }
  assert {
    condition     = length(aws_shield_protection.this) == 1
    error_message = "Shield Advanced must protect the load balancer."
  }
}

run "refuses_what_is_no_domain" {
  command = plan
  plan_options { target = [aws_acm_certificate.this] }
  variables { domain = "https://api.example.org/" }
  expect_failures = [var.domain]
}

run "refuses_two_zones" {
  command = plan
  plan_options { target = [aws_lb.this] }
  variables { subnets = { eu-west-1a = "subnet-1", eu-west-1b = "subnet-2" } }
  expect_failures = [var.subnets]
}
