# A region's object stores: `data` for snapshots, exports and WAL, `audit` for sealed segments of the audit log,
# which are written once, and `access` for who asked S3 or the load balancer for what.

data "aws_caller_identity" "this" {}

locals {
  account = data.aws_caller_identity.this.account_id
  # A peer's names follow from its region: no state needs another's.
  names = { for store in ["access", "audit", "data"] : store => "cortexkg-${var.deployment}-${local.account}-${var.region}-${store}" }
  # S3 delivers its access logs to buckets with S3's own key alone, and they hold no objects of tenants.
  keys   = { access = null, audit = var.key_arns.audit, data = var.key_arns.data }
  stores = { for store, name in local.names : store => name if store != "access" }
}

resource "aws_s3_bucket" "this" {
  for_each = local.names

  bucket              = each.value
  object_lock_enabled = each.key == "audit"
  force_destroy       = !var.protected
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id
  rule {
    bucket_key_enabled = local.keys[each.key] != null
    apply_server_side_encryption_by_default {
      sse_algorithm     = local.keys[each.key] == null ? "AES256" : "aws:kms"
      kms_master_key_id = local.keys[each.key]
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.names

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "OnlyTLS"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "s3:*"
        Resource  = ["arn:aws:s3:::${each.value}", "arn:aws:s3:::${each.value}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      # A key of somebody else's choice would be one that no peer has.
      [for arn in compact([local.keys[each.key]]) : {
        Sid       = "OnlyTheStoresKey"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "s3:PutObject"
        Resource  = "arn:aws:s3:::${each.value}/*"
        Condition = { StringNotEqualsIfExists = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = arn } }
      }],
      [for service in each.key == "access" ? ["logging.s3.amazonaws.com", "logdelivery.elasticloadbalancing.amazonaws.com"] : [] : {
        Sid       = "LogsOf${split(".", service)[1] == "s3" ? "S3" : "LoadBalancers"}"
        Effect    = "Allow"
        Principal = { Service = service }
        Action    = "s3:PutObject"
        Resource  = "arn:aws:s3:::${each.value}/*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      }],
    )
  })
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_logging" "this" {
  for_each = local.stores

  bucket        = aws_s3_bucket.this[each.key].id
  target_bucket = aws_s3_bucket.this["access"].id
  target_prefix = "${each.key}/"
  depends_on    = [aws_s3_bucket_policy.this]
}

# In compliance mode the retention ends for nobody sooner; a trial's can be ended by who may bypass it.
resource "aws_s3_bucket_object_lock_configuration" "audit" {
  bucket = aws_s3_bucket.this["audit"].id
  rule {
    default_retention {
      mode = var.protected ? "COMPLIANCE" : "GOVERNANCE"
      days = var.audit_retention_days
    }
  }
  depends_on = [aws_s3_bucket_versioning.this]
}

# What was overwritten or deleted is kept for a month; access logs pass after a year.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id
  rule {
    id     = "superseded"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    expiration {
      expired_object_delete_marker = each.key == "access" ? null : true
      days                         = each.key == "access" ? 365 : null
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  depends_on = [aws_s3_bucket_versioning.this]
}
