mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  deployment = "default"
  region     = "eu-west-1"
}

run "the_founding_region_makes_keys_that_other_regions_can_copy" {
  command = plan
  assert {
    condition     = keys(aws_kms_key.primary) == ["audit", "data", "logs", "secrets"] && length(aws_kms_replica_key.copy) == 0
    error_message = "The founding region must make a primary key for each purpose."
  }
  assert {
    condition     = alltrue([for key in aws_kms_key.primary : key.multi_region && key.enable_key_rotation && key.rotation_period_in_days == 365])
    error_message = "Each key must be multi-region, and rotated each year."
  }
  assert {
    condition     = alltrue([for key in aws_kms_key.primary : key.deletion_window_in_days == 30])
    error_message = "Protected keys must be kept for 30 days after their deletion."
  }
  assert {
    condition     = aws_kms_alias.this["data"].name == "alias/cortexkg/default/data"
    error_message = "A key's alias is not made of the deployment's name and its purpose."
  }
}

run "nobody_uses_a_key_but_through_its_services" {
  command = plan
  assert {
    condition = alltrue(flatten([
      for key in aws_kms_key.primary : [
        for statement in jsondecode(key.policy).Statement :
        try(statement.Condition.StringEquals["kms:ViaService"], statement.Condition.StringEquals["aws:SourceAccount"], statement.Condition.ArnLike, statement.Condition.ArnEquals, null) != null
        || length(setintersection(statement.Action, ["kms:*", "kms:Decrypt", "kms:Encrypt", "kms:CreateGrant", "kms:ReEncrypt*", "kms:GenerateDataKey*"])) == 0
      ]
    ]))
    error_message = "A statement lets its principal use the key without a condition."
  }
  assert {
    condition     = jsondecode(aws_kms_key.primary["audit"].policy).Statement[1].Condition.StringEquals["kms:ViaService"] == ["s3.eu-west-1.amazonaws.com"]
    error_message = "The key of the audit log must be usable through S3 alone."
  }
}

run "other_regions_copy_them" {
  command = plan
  variables {
    region = "us-east-1"
    primaries = {
      for purpose in ["audit", "data", "logs", "secrets"] : purpose => "arn:aws:kms:eu-west-1:123456789012:key/mrk-${purpose}"
    }
  }
  assert {
    condition     = length(aws_kms_key.primary) == 0 && aws_kms_replica_key.copy["data"].primary_key_arn == "arn:aws:kms:eu-west-1:123456789012:key/mrk-data"
    error_message = "Another region must copy the primary keys."
  }
  assert {
    condition     = strcontains(aws_kms_replica_key.copy["data"].policy, "rds.us-east-1.amazonaws.com") && !strcontains(aws_kms_replica_key.copy["data"].policy, "eu-west-1")
    error_message = "A copy's policy must name the services of its own region."
  }
}

run "keys_of_a_trial_are_gone_in_a_week" {
  command = plan
  variables { protected = false }
  assert {
    condition     = aws_kms_key.primary["data"].deletion_window_in_days == 7
    error_message = "Unprotected keys must be kept no longer than AWS asks."
  }
}

run "refuses_a_key_of_one_region" {
  command = plan
  variables {
    region = "us-east-1"
    primaries = {
      for purpose in ["audit", "data", "logs", "secrets"] : purpose => "arn:aws:kms:eu-west-1:123456789012:key/0f0f-${purpose}"
    }
  }
  expect_failures = [var.primaries]
}

run "refuses_to_copy_its_own_keys" {
  command = plan
  variables {
    primaries = {
      for purpose in ["audit", "data", "logs", "secrets"] : purpose => "arn:aws:kms:eu-west-1:123456789012:key/mrk-${purpose}"
    }
  }
  expect_failures = [var.primaries]
}

run "refuses_a_missing_purpose" {
  command = plan
  variables {
    region    = "us-east-1"
    primaries = { data = "arn:aws:kms:eu-west-1:123456789012:key/mrk-1" }
  }
  expect_failures = [var.primaries]
}

run "refuses_a_region_of_another_platform" {
  command = plan
  variables { region = "eu-west" }
  expect_failures = [var.region]
}
