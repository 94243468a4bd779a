# Out of this region into every peer; the peers do the same, so that each pair copies in both directions. A
# replica is marked as one and not copied back.

locals {
  # S3 numbers the rules of a bucket.
  peers = { for index, peer in sort(var.peers) : peer => index }
  copies = {
    for store, name in local.stores : store => {
      for peer in var.peers : peer => {
        bucket = "arn:aws:s3:::${replace(name, "-${var.region}-", "-${peer}-")}"
        key    = replace(local.keys[store], ":${var.region}:", ":${peer}:")
      }
    }
  }
}

resource "aws_iam_role" "replication" {
  name        = "cortexkg-${var.deployment}-${var.region}-replication"
  description = "Copies objects of ${var.region} to the other regions"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "replication" {
  count = length(var.peers) > 0 ? 1 : 0

  name = "replication"
  role = aws_iam_role.replication.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
        Resource = [for name in values(local.stores) : "arn:aws:s3:::${name}"]
      },
      {
        Effect = "Allow"
        Action = [
          "s3:GetObjectLegalHold", "s3:GetObjectRetention", "s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication",
          "s3:GetObjectVersionTagging",
        ]
        Resource = [for name in values(local.stores) : "arn:aws:s3:::${name}/*"]
      },
      {
        Effect   = "Allow"
        Action   = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"]
        Resource = flatten([for copies in values(local.copies) : [for copy in values(copies) : "${copy.bucket}/*"]])
      },
      {
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = values(var.key_arns)
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
      },
      {
        Effect    = "Allow"
        Action    = "kms:Encrypt"
        Resource  = flatten([for copies in values(local.copies) : [for copy in values(copies) : copy.key]])
        Condition = { StringEquals = { "kms:ViaService" = [for peer in sort(var.peers) : "s3.${peer}.amazonaws.com"] } }
      },
    ]
  })
}

resource "aws_s3_bucket_replication_configuration" "this" {
  for_each = length(var.peers) > 0 ? local.stores : {}

  bucket = aws_s3_bucket.this[each.key].id
  role   = aws_iam_role.replication.arn

  dynamic "rule" {
    for_each = local.peers
    content {
      id       = rule.key
      priority = rule.value
      status   = "Enabled"
      filter {}
      delete_marker_replication {
        status = each.key == "audit" ? "Disabled" : "Enabled"
      }
      source_selection_criteria {
        sse_kms_encrypted_objects {
          status = "Enabled"
        }
        replica_modifications {
          status = "Enabled"
        }
      }
      destination {
        bucket = local.copies[each.key][rule.key].bucket
        encryption_configuration {
          replica_kms_key_id = local.copies[each.key][rule.key].key
        }
        # Within 15 minutes, or the alarm below.
        replication_time {
          status = "Enabled"
          time {
            minutes = 15
          }
        }
        metrics {
          status = "Enabled"
          event_threshold {
            minutes = 15
          }
        }
      }
    }
  }
  depends_on = [aws_s3_bucket_versioning.this, aws_iam_role_policy.replication]
}

resource "aws_cloudwatch_metric_alarm" "behind" {
  for_each = merge([
    for store, copies in local.copies : { for peer, copy in copies : "${store}-${peer}" => { store = store, peer = peer, copy = copy } }
  ]...)

  alarm_name          = "cortexkg-${var.deployment}-objects-${each.key}-behind"
  alarm_description   = "Objects of ${each.value.store} wait for more than 15 minutes to be copied to ${each.value.peer}."
  namespace           = "AWS/S3"
  metric_name         = "ReplicationLatency"
  dimensions          = { SourceBucket = local.names[each.value.store], DestinationBucket = trimprefix(each.value.copy.bucket, "arn:aws:s3:::"), RuleId = each.value.peer }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 900
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}
