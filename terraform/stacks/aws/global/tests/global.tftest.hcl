mock_provider "aws" {
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
  founder    = "eu-west-1"
  domain     = "api.example.org"
  zone_id    = "Z0123456789ABC"
  recipients = ["on-call@example.org"]
}

run "has_one_address_and_one_database" {
  command = plan
  assert {
    condition     = output.edge_url == "https://api.example.org" && output.global_cluster == "cortexkg-default"
    error_message = "The outputs are not made of the variables."
  }
  assert {
    condition     = aws_rds_global_cluster.this.storage_encrypted && aws_rds_global_cluster.this.deletion_protection
    error_message = "The global database must be encrypted, and refuse its deletion."
  }
}

run "a_trial_is_deletable" {
  command = plan
  variables { protected = false }
  assert {
    condition     = !aws_rds_global_cluster.this.deletion_protection
    error_message = "A trial must be deletable."
  }
}

run "refuses_a_region_of_another_platform" {
  command = plan
  variables { founder = "eu-west" }
  expect_failures = [var.founder]
}
