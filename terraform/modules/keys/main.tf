# The keys of a region's services, one a purpose. They are multi-region keys: what one region has sealed and
# copied elsewhere opens there with that region's copy of the key, while the first region is away.
#
# The keys of tenants are others, see the module tenant.

data "aws_caller_identity" "this" {}

locals {
  founds  = length(var.primaries) == 0
  account = data.aws_caller_identity.this.account_id
  # Whether a principal of the account may use a key is decided by that principal's policy, and only through
  # these services; the service itself may where it acts by itself.
  purposes = {
    audit = { through = ["s3"], services = [], roles = [] }
    data  = { through = ["backup", "ec2", "elasticache", "rds", "s3"], services = [], roles = [] }
    logs = {
      through  = ["sns"]
      services = ["backup.amazonaws.com", "cloudwatch.amazonaws.com", "logs.${var.region}.amazonaws.com"]
      roles    = []
    }
    # Kubernetes' control plane uses its key as the cluster's role.
    secrets = { through = ["eks", "secretsmanager"], services = [], roles = ["cortexkg-${var.deployment}-${var.region}-cluster"] }
  }
  use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
  policies = {
    for purpose, who in local.purposes : purpose => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [
          {
            Sid       = "AdministrationWithoutUse"
            Effect    = "Allow"
            Principal = { AWS = "arn:aws:iam::${local.account}:root" }
            Action = [
              "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:Describe*", "kms:DisableKey", "kms:Enable*",
              "kms:Get*", "kms:List*", "kms:PutKeyPolicy", "kms:ReplicateKey", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion",
              "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription", "kms:UpdatePrimaryRegion",
            ]
            Resource = "*"
          },
          {
            Sid       = "UseThroughServices"
            Effect    = "Allow"
            Principal = { AWS = "*" }
            Action    = local.use
            Resource  = "*"
            Condition = {
              StringEquals = {
                "kms:CallerAccount" = local.account
                "kms:ViaService"    = [for service in who.through : "${service}.${var.region}.amazonaws.com"]
              }
            }
          },
          # What services hold for long, such as a volume or a database, needs a grant.
          {
            Sid       = "GrantsToServices"
            Effect    = "Allow"
            Principal = { AWS = "*" }
            Action    = ["kms:CreateGrant"]
            Resource  = "*"
            Condition = {
              StringEquals = {
                "kms:CallerAccount" = local.account
                "kms:ViaService"    = [for service in who.through : "${service}.${var.region}.amazonaws.com"]
              }
              Bool = { "kms:GrantIsForAWSResource" = "true" }
            }
          },
        ],
        [
          for service in who.services : {
            Sid       = "UseBy${replace(title(replace(split(".", service)[0], "-", " ")), " ", "")}"
            Effect    = "Allow"
            Principal = { Service = service }
            Action    = local.use
            Resource  = "*"
            Condition = service == "logs.${var.region}.amazonaws.com" ? {
              ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:${var.region}:${local.account}:log-group:*" }
              } : {
              StringEquals = { "aws:SourceAccount" = local.account }
            }
          }
        ],
        [
          for role in who.roles : {
            Sid       = "UseByRole"
            Effect    = "Allow"
            Principal = { AWS = "*" }
            Action    = concat(local.use, ["kms:CreateGrant"])
            Resource  = "*"
            Condition = {
              StringEquals = { "kms:CallerAccount" = local.account }
              ArnEquals    = { "aws:PrincipalArn" = "arn:aws:iam::${local.account}:role/${role}" }
            }
          }
        ]
      )
    })
  }
}

resource "aws_kms_key" "primary" {
  for_each = local.founds ? local.purposes : {}

  description             = "CortexKG ${var.deployment}: ${each.key}"
  multi_region            = true
  enable_key_rotation     = true
  rotation_period_in_days = 365
  deletion_window_in_days = var.protected ? 30 : 7
  policy                  = local.policies[each.key]
}

resource "aws_kms_replica_key" "copy" {
  for_each = local.founds ? {} : local.purposes

  description             = "CortexKG ${var.deployment}: ${each.key}"
  primary_key_arn         = var.primaries[each.key]
  deletion_window_in_days = var.protected ? 30 : 7
  policy                  = local.policies[each.key]
}

resource "aws_kms_alias" "this" {
  for_each = local.purposes

  # Not the form of a tenant's alias, which has no slash before its name.
  name          = "alias/cortexkg/${var.deployment}/${each.key}"
  target_key_id = local.founds ? aws_kms_key.primary[each.key].key_id : aws_kms_replica_key.copy[each.key].key_id
}
