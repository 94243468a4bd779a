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

locals {
  alarms = {
    failed      = { metric = "NumberOfBackupJobsFailed", comparison = "GreaterThanThreshold", threshold = 0, missing = "notBreaching", what = "A backup has failed." }
    copy-failed = { metric = "NumberOfCopyJobsFailed", comparison = "GreaterThanThreshold", threshold = 0, missing = "notBreaching", what = "The copy of a backup to another region has failed." }
    none        = { metric = "NumberOfRecoveryPointsCreated", comparison = "LessThanThreshold", threshold = 1, missing = "breaching", what = "No backup has been made for a day." }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.name}-backup-${each.key}"
  alarm_description   = each.value.what
  namespace           = "AWS/Backup"
  metric_name         = each.value.metric
  dimensions          = { BackupVaultName = aws_backup_vault.this.name }
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 1
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}
