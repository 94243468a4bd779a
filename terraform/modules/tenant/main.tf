# What a tenant has of its own in a region: a key, a prefix in the object store, a role that reaches nothing else,
# and its quota.

data "aws_caller_identity" "this" {}

locals {
  account = data.aws_caller_identity.this.account_id
  founds  = var.primary_key_arn == null
  key     = local.founds ? one(aws_kms_key.primary) : one(aws_kms_replica_key.copy)
  # The control plane finds and checks a tenant's keys by these.
  tags   = { "cortexkg:deployment" = var.deployment, "cortexkg:tenant" = var.tenant }
  alias  = "alias/cortexkg-${var.deployment}-${var.tenant}"
  prefix = "tenants/${var.tenant}/"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AdministrationWithoutUse"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${local.account}:root" }
        Action = [
          "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:Describe*", "kms:DisableKey", "kms:Enable*", "kms:Get*",
          "kms:List*", "kms:PutKeyPolicy", "kms:ReplicateKey", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource",
          "kms:UpdateAlias", "kms:UpdatePrimaryRegion",
        ]
        Resource = "*"
      },
      {
        Sid       = "UseByTheRuntime"
        Effect    = "Allow"
        Principal = { AWS = var.runtime_role_arn }
        Action    = ["kms:Decrypt", "kms:Encrypt"]
        Resource  = "*"
        # What was wrapped for another tenant does not unwrap here.
        Condition = { StringEquals = { "kms:EncryptionContext:cortexkg:tenant" = var.tenant } }
      },
      {
        Sid       = "LookByTheRuntime"
        Effect    = "Allow"
        Principal = { AWS = var.runtime_role_arn }
        Action    = ["kms:DescribeKey"]
        Resource  = "*"
      },
    ]
  })
}

resource "aws_kms_key" "primary" {
  count = local.founds ? 1 : 0

  description             = "CortexKG: tenant ${var.tenant} of deployment ${var.deployment}, version 1"
  multi_region            = true
  enable_key_rotation     = true
  deletion_window_in_days = var.protected ? 30 : 7
  policy                  = local.policy
  tags                    = local.tags
}

resource "aws_kms_replica_key" "copy" {
  count = local.founds ? 0 : 1

  description             = "CortexKG: tenant ${var.tenant} of deployment ${var.deployment}, version 1"
  primary_key_arn         = var.primary_key_arn
  deletion_window_in_days = var.protected ? 30 : 7
  policy                  = local.policy
  tags                    = local.tags
}

resource "aws_kms_alias" "first" {
  name          = "${local.alias}/v1"
  target_key_id = local.key.key_id
}

resource "aws_kms_alias" "newest" {
  name          = local.alias
  target_key_id = local.key.key_id
  lifecycle {
    # A rotation of the key moves it on.
    ignore_changes = [target_key_id]
  }
}

resource "aws_iam_role" "this" {
  # A role's name has 64 characters at most, and is one for all regions.
  name        = "cortexkg-tenant-${substr(sha256("${var.deployment}/${var.region}/${var.tenant}"), 0, 16)}"
  path        = "/cortexkg/${var.deployment}/${var.region}/"
  description = "Tenant ${var.tenant}: its prefix in the object store"
  tags        = local.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = var.runtime_role_arn }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "prefix"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Objects"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = "${var.bucket_arn}/${local.prefix}*"
      },
      {
        Sid       = "NamesOfObjects"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = var.bucket_arn
        Condition = { StringLike = { "s3:prefix" = "${local.prefix}*" } }
      },
      {
        Sid       = "KeyOfObjects"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.bucket_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
      },
    ]
  })
}

resource "aws_ssm_parameter" "quota" {
  name        = "/cortexkg/${var.deployment}/tenants/${var.tenant}/quota"
  description = "What tenant ${var.tenant} may have"
  type        = "String"
  value       = jsonencode(var.quota)
  tags        = local.tags
}
