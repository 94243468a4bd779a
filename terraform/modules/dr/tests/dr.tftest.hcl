mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  deployment = "default"
  region     = "eu-west-1"
  peers      = ["ap-south-1", "us-east-1"]
  resources  = ["arn:aws:rds:eu-west-1:123456789012:cluster:cortexkg-default", "arn:aws:s3:::data"]
  key_arn    = "arn:aws:kms:eu-west-1:123456789012:key/mrk-d"
  topic_arn  = "arn:aws:sns:eu-west-1:123456789012:alarms"

  subnet_group = "cortexkg-default"
}

run "copies_backups_to_every_other_region" {
  command = plan
  assert {
    condition = output.copies == toset([
      for peer in ["ap-south-1", "us-east-1"] : "arn:aws:backup:${peer}:123456789012:backup-vault:cortexkg-default"
    ])
    error_message = "Each other region must get a copy."
  }
  assert {
    condition     = aws_backup_vault.this.kms_key_arn == var.key_arn && aws_backup_selection.this.resources == var.resources
    error_message = "All that is named must be backed up, encrypted with the region's key."
  }
}

run "another_region_copies_here" {
  command = plan
  variables {
    region  = "us-east-1"
    peers   = ["ap-south-1", "eu-west-1"]
    key_arn = "arn:aws:kms:us-east-1:123456789012:key/mrk-d"
  }
  assert {
    condition     = contains(output.copies, "arn:aws:backup:eu-west-1:123456789012:backup-vault:${run.copies_backups_to_every_other_region.vault}")
    error_message = "The other direction is missing."
  }
}

run "nobody_deletes_a_backup" {
  command = plan
  assert {
    condition     = aws_backup_vault_lock_configuration.this[0].min_retention_days == 35 && aws_backup_vault_lock_configuration.this[0].changeable_for_days == 3 && !aws_backup_vault.this.force_destroy
    error_message = "A protected vault must be locked."
  }
}

run "a_trial_leaves_nothing" {
  command = plan
  variables {
    protected = false
    keep_days = 1
  }
  assert {
    condition     = length(aws_backup_vault_lock_configuration.this) == 0 && aws_backup_vault.this.force_destroy
    error_message = "A trial's vault must be deletable."
  }
}

run "tells_when_there_is_nothing_to_recover_from" {
  command = plan
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["copy-failed", "failed", "none", "restore-failed-aurora", "restore-failed-s3"] && aws_cloudwatch_metric_alarm.this["none"].treat_missing_data == "breaching"
    error_message = "Failures, and a day without a backup, must be told."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : contains(alarm.alarm_actions, var.topic_arn)])
    error_message = "The alarms reach nobody."
  }
}

run "restores_the_newest_of_everything_every_week" {
  command = plan
  variables { deployment = "eu-trial" }
  override_resource {
    target          = aws_backup_vault.this
    override_during = plan
    values          = { arn = "arn:aws:backup:eu-west-1:123456789012:backup-vault:cortexkg-eu-trial" }
  }
  override_resource {
    target          = aws_iam_role.this
    override_during = plan
    values          = { arn = "arn:aws:iam::123456789012:role/cortexkg-eu-trial-eu-west-1-backup" }
  }
  assert {
    condition     = aws_backup_restore_testing_plan.this.name == "cortexkg_eu_trial" && strcontains(aws_backup_restore_testing_plan.this.schedule_expression, " WED ")
    error_message = "The plan must have a name that AWS takes, and a day of the week."
  }
  assert {
    condition     = aws_backup_restore_testing_plan.this.recovery_point_selection[0].algorithm == "LATEST_WITHIN_WINDOW" && aws_backup_restore_testing_plan.this.recovery_point_selection[0].include_vaults == toset([aws_backup_vault.this.arn])
    error_message = "The newest backup of the region's own vault must be restored."
  }
  assert {
    condition     = setunion([for each in aws_backup_restore_testing_selection.this : each.protected_resource_arns]...) == var.resources
    error_message = "All that is backed up must be restored."
  }
  assert {
    condition     = alltrue([for each in aws_backup_restore_testing_selection.this : each.iam_role_arn == aws_iam_role.this.arn && each.validation_window_hours > 0])
    error_message = "The module's role must restore it, and leave time to look at it."
  }
  assert {
    condition     = aws_backup_restore_testing_selection.this["Aurora"].restore_metadata_overrides["dbSubnetGroupName"] == var.subnet_group && aws_backup_restore_testing_selection.this["S3"].restore_metadata_overrides["kmsKey"] == var.key_arn
    error_message = "What is restored must stay in the deployment's network and under its key."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["restore-failed-aurora"].dimensions["ResourceType"] == "Aurora" && aws_cloudwatch_metric_alarm.this["failed"].dimensions["BackupVaultName"] == "cortexkg-eu-trial"
    error_message = "An alarm must count what it is about."
  }
}

run "refuses_to_keep_for_two_days_in_production" {
  command = plan
  variables { keep_days = 2 }
  expect_failures = [var.keep_days]
}

run "refuses_nothing_to_back_up" {
  command = plan
  variables { resources = [] }
  expect_failures = [var.resources]
}

run "refuses_backups_without_the_database" {
  command = plan
  variables { resources = ["arn:aws:s3:::data"] }
  expect_failures = [var.resources]
}

run "refuses_itself_as_a_peer" {
  command = plan
  variables { peers = ["eu-west-1"] }
  expect_failures = [var.peers]
}
