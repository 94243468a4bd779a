mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  deployment       = "default"
  region           = "eu-west-1"
  tenant           = "acme"
  bucket_arn       = "arn:aws:s3:::data"
  bucket_key_arn   = "arn:aws:kms:eu-west-1:123456789012:key/mrk-d"
  runtime_role_arn = "arn:aws:iam::123456789012:role/cortexkg-default-eu-west-1-runtime"
  quota            = { concepts = 2000000, columns = 2000000, storage = 10000000000, requests = 2000 }
}

run "has_a_key_that_the_control_plane_finds" {
  command = plan
  assert {
    condition     = aws_kms_key.primary[0].multi_region && aws_kms_key.primary[0].enable_key_rotation
    error_message = "A tenant's key must be in all regions."
  }
  assert {
    condition     = aws_kms_key.primary[0].tags == tomap({ "cortexkg:deployment" = "default", "cortexkg:tenant" = "acme" })
    error_message = "The key's tags must say whose it is."
  }
  assert {
    condition     = aws_kms_alias.first.name == "alias/cortexkg-default-acme/v1" && aws_kms_alias.newest.name == "alias/cortexkg-default-acme"
    error_message = "The aliases are not those by which the control plane finds the key."
  }
  assert {
    condition = [
      for statement in jsondecode(aws_kms_key.primary[0].policy).Statement : [statement.Principal.AWS, statement.Condition] if contains(statement.Action, "kms:Decrypt")
    ] == [[var.runtime_role_arn, { StringEquals = { "kms:EncryptionContext:cortexkg:tenant" = "acme" } }]]
    error_message = "The runtime alone may use the key, and only for what is the tenant's."
  }
}

run "reaches_its_own_prefix_alone" {
  command = plan
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Resource if statement.Sid == "Objects"
    ] == ["arn:aws:s3:::data/tenants/acme/*"]
    error_message = "The role reaches other tenants' objects."
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Condition if statement.Sid == "NamesOfObjects"
    ] == [{ StringLike = { "s3:prefix" = "tenants/acme/*" } }]
    error_message = "The role sees the names of other tenants' objects."
  }
  assert {
    condition     = jsondecode(aws_ssm_parameter.quota.value).concepts == 2000000
    error_message = "The quota is not the variable's."
  }
}

run "has_a_copy_of_its_key_elsewhere" {
  command = plan
  variables {
    region          = "us-east-1"
    primary_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/mrk-t"
  }
  assert {
    condition     = length(aws_kms_key.primary) == 0 && aws_kms_replica_key.copy[0].primary_key_arn == var.primary_key_arn
    error_message = "Another region must copy the tenant's key."
  }
}

run "refuses_a_key_of_one_region" {
  command = plan
  variables { primary_key_arn = "arn:aws:kms:us-east-1:123456789012:key/0f0f" }
  expect_failures = [var.primary_key_arn]
}

run "refuses_a_name_with_a_slash" {
  command = plan
  variables { tenant = "acme/other" }
  expect_failures = [var.tenant]
}

run "refuses_a_quota_of_nothing" {
  command = plan
  variables { quota = { concepts = 0, columns = 1, storage = 1, requests = 1 } }
  expect_failures = [var.quota]
}
