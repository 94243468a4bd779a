mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  deployment      = "default"
  region          = "eu-west-1"
  founder         = "eu-west-1"
  regions         = { ap-south-1 = "10.16.0.0/16", eu-west-1 = "10.32.0.0/16", us-east-1 = "10.48.0.0/16" }
  zones           = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
  domain          = "api.example.org"
  administrators  = ["arn:aws:iam::123456789012:role/platform"]
  recipients      = ["on-call@example.org"]
  master_password = "correct-horse-battery-staple-forty-two"
  tenants         = { acme = { concepts = 2000000, columns = 2000000, storage = 10000000000, requests = 2000 } }
}

run "founds_a_deployment_before_there_are_others" {
  command = plan
  assert {
    condition     = length(output.copies) == 0
    error_message = "There is nothing yet to copy to."
  }
}

# The others plan what matters alone: all of it takes ten times as long, most for the firewall.
run "another_region_joins_and_copies_to_all" {
  command = plan
  plan_options { target = [module.objectstore, module.network] }
  variables {
    region          = "us-east-1"
    zones           = ["us-east-1a", "us-east-1b", "us-east-1c"]
    master_password = null
    peers = {
      for region in ["ap-south-1", "eu-west-1"] : region => {
        vpc_id      = "vpc-${region}"
        asked       = { us-east-1 = "pcx-${region}" }
        keys        = { for purpose in ["audit", "data", "logs", "secrets"] : purpose => "arn:aws:kms:${region}:123456789012:key/mrk-${purpose}" }
        tenant_keys = { acme = "arn:aws:kms:${region}:123456789012:key/mrk-acme" }
      }
    }
  }
  assert {
    condition     = { for store, copies in output.copies : store => sort(keys(copies)) } == { audit = tolist(["ap-south-1", "eu-west-1"]), data = tolist(["ap-south-1", "eu-west-1"]) }
    error_message = "Both stores must be copied to both other regions."
  }
}

run "refuses_two_regions_in_production" {
  command = plan
  plan_options { target = [module.network] }
  variables { regions = { eu-west-1 = "10.32.0.0/16", us-east-1 = "10.48.0.0/16" } }
  expect_failures = [var.regions]
}

run "refuses_addresses_that_overlap" {
  command = plan
  plan_options { target = [module.network] }
  variables { regions = { ap-south-1 = "10.32.128.0/20", eu-west-1 = "10.32.0.0/16", us-east-1 = "10.48.0.0/16" } }
  expect_failures = [var.regions]
}

run "refuses_seven_regions" {
  command = plan
  plan_options { target = [module.network] }
  variables {
    regions = {
      ap-south-1 = "10.16.0.0/16", eu-west-1 = "10.32.0.0/16", us-east-1 = "10.48.0.0/16", us-east-2 = "10.64.0.0/16", us-west-1 = "10.80.0.0/16",
      us-west-2  = "10.96.0.0/16", eu-west-2 = "10.112.0.0/16"
    }
  }
  expect_failures = [var.regions]
}

run "refuses_a_region_of_another_platform" {
  command = plan
  plan_options { target = [module.network] }
  variables { regions = { ap-south = "10.16.0.0/16", eu-west-1 = "10.32.0.0/16", us-east-1 = "10.48.0.0/16" } }
  expect_failures = [var.regions]
}

run "refuses_to_come_before_the_founder" {
  command = plan
  plan_options { target = [module.network] }
  variables {
    region          = "us-east-1"
    zones           = ["us-east-1a", "us-east-1b", "us-east-1c"]
    master_password = null
    tenants         = {}
  }
  expect_failures = [var.peers]
}
