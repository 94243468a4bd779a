# A region's vault of backups, which gets a copy of every other region's: a region that is lost with all it holds
# is restored from any other.

data "aws_caller_identity" "this" {}

locals {
  name = "cortexkg-${var.deployment}"
}

resource "aws_backup_vault" "this" {
  name          = local.name
  kms_key_arn   = var.key_arn
  force_destroy = !var.protected
}

# After three days to reconsider nobody, root included, shortens the retention or deletes a backup.
resource "aws_backup_vault_lock_configuration" "this" {
  count = var.protected ? 1 : 0

  backup_vault_name   = aws_backup_vault.this.name
  min_retention_days  = var.keep_days
  max_retention_days  = 366
  changeable_for_days = 3
}

resource "aws_backup_vault_notifications" "this" {
  backup_vault_name   = aws_backup_vault.this.name
  sns_topic_arn       = var.topic_arn
  backup_vault_events = ["BACKUP_JOB_FAILED", "COPY_JOB_FAILED", "RESTORE_JOB_COMPLETED", "RESTORE_JOB_FAILED"]
}

resource "aws_backup_plan" "this" {
  name = local.name

  rule {
    rule_name         = "daily"
    target_vault_name = aws_backup_vault.this.name
    schedule          = "cron(0 1 * * ? *)"
    start_window      = 60
    completion_window = 360
    lifecycle {
      delete_after = var.keep_days
    }
    dynamic "copy_action" {
      for_each = var.peers
      content {
        destination_vault_arn = "arn:aws:backup:${copy_action.key}:${data.aws_caller_identity.this.account_id}:backup-vault:${local.name}"
        lifecycle {
          delete_after = var.keep_days
        }
      }
    }
  }
}

resource "aws_iam_role" "this" {
  name        = "${local.name}-${var.region}-backup"
  description = "Makes, copies and restores backups"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "backup.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = toset([
    "service-role/AWSBackupServiceRolePolicyForBackup", "service-role/AWSBackupServiceRolePolicyForRestores",
    "AWSBackupServiceRolePolicyForS3Backup", "AWSBackupServiceRolePolicyForS3Restore",
  ])

  role       = aws_iam_role.this.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

resource "aws_backup_selection" "this" {
  name         = local.name
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.this.arn
  resources    = var.resources
}

# A backup that was never restored is none: once a week the newest of everything is, beside what is in use, and
# deleted again. `cortexctl aws restores` says how that went.
resource "aws_backup_restore_testing_plan" "this" {
  name                         = replace(local.name, "-", "_") # all that AWS takes here; a deployment's name has no _
  schedule_expression          = "cron(0 8 ? * WED *)"
  schedule_expression_timezone = "UTC"
  start_window_hours           = 8

  recovery_point_selection {
    algorithm             = "LATEST_WITHIN_WINDOW"
    include_vaults        = [aws_backup_vault.this.arn]
    recovery_point_types  = ["CONTINUOUS", "SNAPSHOT"]
    selection_window_days = min(7, var.keep_days)
  }
}

locals {
  # What is restored keeps to the deployment's network and key. The network's own security group, which an empty
  # cluster gets, lets nobody in.
  restored = {
    Aurora = { service = "rds", instead = { dbSubnetGroupName = var.subnet_group } }
    S3     = { service = "s3", instead = { encryptionType = "SSE-KMS", kmsKey = var.key_arn } }
  }
}

resource "aws_backup_restore_testing_selection" "this" {
  for_each = local.restored

  name                       = each.key
  restore_testing_plan_name  = aws_backup_restore_testing_plan.this.name
  protected_resource_type    = each.key
  protected_resource_arns    = [for arn in var.resources : arn if startswith(arn, "arn:aws:${each.value.service}:")]
  iam_role_arn               = aws_iam_role.this.arn
  restore_metadata_overrides = each.value.instead
  validation_window_hours    = 8
}

locals {
  vault = { BackupVaultName = aws_backup_vault.this.name }
  alarms = merge(
    {
      failed      = { metric = "NumberOfBackupJobsFailed", of = local.vault, comparison = "GreaterThanThreshold", threshold = 0, missing = "notBreaching", what = "A backup has failed." }
      copy-failed = { metric = "NumberOfCopyJobsFailed", of = local.vault, comparison = "GreaterThanThreshold", threshold = 0, missing = "notBreaching", what = "The copy of a backup to another region has failed." }
      none        = { metric = "NumberOfRecoveryPointsCreated", of = local.vault, comparison = "LessThanThreshold", threshold = 1, missing = "breaching", what = "No backup has been made for a day." }
    },
    # Restores are counted by what is restored, not by vault.
    {
      for type in keys(local.restored) : "restore-failed-${lower(type)}" =>
      { metric = "NumberOfRestoreJobsFailed", of = { ResourceType = type }, comparison = "GreaterThanThreshold", threshold = 0, missing = "notBreaching", what = "A backup of ${type} could not be restored." }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.name}-backup-${each.key}"
  alarm_description   = each.value.what
  namespace           = "AWS/Backup"
  metric_name         = each.value.metric
  dimensions          = each.value.of
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 1
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}
