mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  override_during = plan
  mock_resource "aws_acm_certificate" {
    defaults = {
      domain_validation_options = [{
        domain_name = "api.example.org", resource_record_name = "_1.api.example.org.", resource_record_type = "CNAME", resource_record_value = "_2.acm-validations.aws."
      }]
    }
  }
}

mock_provider "aws" {
  alias = "us_east_1"
}

variables {
  deployment = "default"
  domain     = "api.example.org"
  zone_id    = "Z0123456789ABC"
  recipients = ["on-call@example.org"]
  load_balancers = {
    for region in ["ap-south-1", "eu-west-1", "us-east-1"] : region => {
      arn     = "arn:aws:elasticloadbalancing:${region}:123456789012:loadbalancer/app/cortexkg-default/1"
      name    = "cortexkg-default.${region}.elb.amazonaws.com"
      zone_id = "Z1"
    }
  }
}

run "leaves_a_lost_region_in_seconds" {
  command = plan
  assert {
    condition     = length(aws_route53_health_check.region) == 3 && alltrue([for check in aws_route53_health_check.region : check.request_interval == 10 && check.type == "HTTPS" && check.resource_path == "/healthz"])
    error_message = "Each region must be asked for its health every ten seconds."
  }
  assert {
    condition     = alltrue([for group in aws_globalaccelerator_endpoint_group.region : group.health_check_interval_seconds == 10 && group.threshold_count == 2])
    error_message = "The accelerator must leave a region after two failures."
  }
  assert {
    condition     = toset([for group in aws_globalaccelerator_endpoint_group.region : group.endpoint_group_region]) == toset(keys(var.load_balancers))
    error_message = "All regions must be behind the accelerator."
  }
}

run "sends_clients_to_the_nearest" {
  command = plan
  assert {
    condition     = { for region, record in aws_route53_record.nearest : region => record.latency_routing_policy[0].region } == { for region in keys(var.load_balancers) : region => region }
    error_message = "DNS must answer with the nearest region."
  }
  assert {
    condition     = output.direct == "direct.api.example.org" && aws_route53_record.accelerator[0].name == "api.example.org"
    error_message = "The domain must lead to the accelerator, and the way by DNS have a name of its own."
  }
}

run "says_that_a_region_is_lost_from_outside_it" {
  command = plan
  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.lost)) == toset(keys(var.load_balancers)) && alltrue([for alarm in aws_cloudwatch_metric_alarm.lost : alarm.treat_missing_data == "breaching"])
    error_message = "There must be an alarm for each region."
  }
  assert {
    condition     = keys(aws_sns_topic_subscription.mail) == ["on-call@example.org"] && aws_kms_key.alarms.enable_key_rotation
    error_message = "The alarms must reach somebody, encrypted."
  }
}

run "does_with_dns_alone" {
  command = plan
  variables { accelerator = false }
  assert {
    condition     = length(aws_globalaccelerator_accelerator.this) == 0 && aws_route53_record.nearest["eu-west-1"].name == "api.example.org"
    error_message = "Without the accelerator the domain itself must lead to the nearest region."
  }
}

run "proves_the_domain_before_there_are_regions" {
  command = plan
  variables { load_balancers = {} }
  assert {
    condition     = aws_route53_record.proof.name == "_1.api.example.org." && length(aws_route53_record.nearest) == 0
    error_message = "The first apply must make the record that proves the domain."
  }
}

run "is_shielded_if_asked" {
  command = plan
  variables { shield = true }
  assert {
    condition     = keys(aws_shield_protection.this) == ["accelerator", "zone"]
    error_message = "Shield Advanced must protect the accelerator and the zone."
  }
}

run "refuses_two_regions_in_production" {
  command = plan
  variables {
    load_balancers = {
      for region in ["eu-west-1", "us-east-1"] : region => { arn = "arn", name = "name", zone_id = "Z1" }
    }
  }
  expect_failures = [var.load_balancers]
}

run "refuses_a_region_of_another_platform" {
  command = plan
  variables {
    load_balancers = {
      for region in ["eu-west", "us-east", "ap-south"] : region => { arn = "arn", name = "name", zone_id = "Z1" }
    }
  }
  expect_failures = [var.load_balancers]
}

run "refuses_what_is_no_domain" {
  command = plan
  variables { domain = "localhost" }
  expect_failures = [var.domain]
}
