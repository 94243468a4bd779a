mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  deployment   = "default"
  region       = "eu-west-1"
  zones        = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
  cidr         = "10.16.0.0/16"
  logs_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/mrk-1"
  peers = {
    us-east-1  = { vpc = "vpc-1", cidr = "10.32.0.0/16" }
    ap-south-1 = { vpc = "vpc-2", cidr = "10.48.0.0/16", asked = "pcx-2" }
  }
}

run "has_three_zones_that_share_nothing" {
  command = plan
  assert {
    condition     = length(aws_subnet.private) == 3 && length(aws_subnet.public) == 3 && length(aws_nat_gateway.this) == 3
    error_message = "Each of the three zones must have a private subnet, a public one and a way out."
  }
  assert {
    condition = length(distinct(concat(
      values(aws_subnet.private)[*].cidr_block, values(aws_subnet.public)[*].cidr_block
    ))) == 6
    error_message = "Two subnets have the same addresses."
  }
  assert {
    condition     = aws_subnet.private["eu-west-1c"].cidr_block == "10.16.128.0/18" && aws_subnet.public["eu-west-1c"].cidr_block == "10.16.200.0/22"
    error_message = "The subnets' addresses are not a quarter, and a sixteenth of the last quarter."
  }
}

run "gives_nothing_a_public_address" {
  command = plan
  assert {
    condition     = !anytrue(values(aws_subnet.public)[*].map_public_ip_on_launch)
    error_message = "What starts in a public subnet would get a public address."
  }
  assert {
    condition     = length(aws_default_security_group.closed.ingress) == 0 && length(aws_default_security_group.closed.egress) == 0
    error_message = "The default security group must let nothing in or out."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == "10.16.0.0/16"
    error_message = "Others than the region's own network reach the endpoints."
  }
}

run "logs_all_flows_encrypted" {
  command = plan
  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL"
    error_message = "Flow logs must have refused and accepted traffic."
  }
  assert {
    condition     = aws_cloudwatch_log_group.flows.kms_key_id == var.logs_key_arn && aws_cloudwatch_log_group.flows.retention_in_days == 365
    error_message = "Flow logs must be encrypted with the key for logs, and kept for a year."
  }
}

run "keeps_s3_within_the_account" {
  command = plan
  assert {
    condition = [
      for statement in jsondecode(aws_vpc_endpoint.objects.policy).Statement : try(statement.Condition.StringEquals["aws:ResourceAccount"], statement.Action)
    ] == ["123456789012", "s3:GetObject"]
    error_message = "The endpoint of S3 lets others than the account's own buckets through."
  }
}

run "joins_the_other_regions" {
  command = plan
  assert {
    condition     = keys(aws_vpc_peering_connection.asked) == ["us-east-1"] && keys(aws_vpc_peering_connection_accepter.answered) == ["ap-south-1"]
    error_message = "Of two regions the first by name must ask and the second accept."
  }
  assert {
    condition     = length(aws_route.peer) == 6
    error_message = "Each zone must have a way to each other region."
  }
}

run "waits_for_a_region_that_has_not_asked" {
  command = plan
  variables {
    peers = { ap-south-1 = { vpc = "vpc-2", cidr = "10.48.0.0/16" } }
  }
  assert {
    condition     = length(aws_vpc_peering_connection_accepter.answered) == 0 && length(aws_route.peer) == 0
    error_message = "There is no way yet to a region that has not asked for it."
  }
}

run "is_closed_without_egress" {
  command = plan
  variables { egress = false }
  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.egress) == 0 && length(aws_vpc_endpoint.service) == 12
    error_message = "Without egress there must be endpoints and no NAT gateway."
  }
}

run "refuses_two_zones" {
  command = plan
  variables { zones = ["eu-west-1a", "eu-west-1b"] }
  expect_failures = [var.zones]
}

run "refuses_a_zone_of_another_region" {
  command = plan
  variables { zones = ["eu-west-1a", "eu-west-1b", "us-east-1c"] }
  expect_failures = [var.zones]
}

run "refuses_a_region_of_another_platform" {
  command = plan
  variables {
    region = "eu-west"
    zones  = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
  }
  expect_failures = [var.region]
}

run "refuses_public_addresses" {
  command = plan
  variables { cidr = "8.8.0.0/16" }
  expect_failures = [var.cidr]
}

run "refuses_host_bits" {
  command = plan
  variables { cidr = "10.16.3.0/16" }
  expect_failures = [var.cidr]
}

run "refuses_addresses_within_a_peers" {
  command = plan
  variables {
    peers = { us-east-1 = { vpc = "vpc-1", cidr = "10.16.64.0/20" } }
  }
  expect_failures = [var.peers]
}

run "refuses_peers_that_overlap_each_other" {
  command = plan
  variables {
    peers = {
      us-east-1  = { vpc = "vpc-1", cidr = "10.32.0.0/16" }
      ap-south-1 = { vpc = "vpc-2", cidr = "10.32.16.0/20" }
    }
  }
  expect_failures = [var.peers]
}
