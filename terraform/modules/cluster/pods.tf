# What pods may do, by their service account: no pod has a key of AWS, none has another's rights.

data "aws_caller_identity" "this" {}

locals {
  account = data.aws_caller_identity.this.account_id
  own     = { StringEquals = { "aws:ResourceTag/eks:cluster-name" = local.name } }
  pods = {
    runtime = {
      namespace = "cortexkg"
      statements = [
        {
          Sid       = "TenantsKeys"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt"]
          Resource  = ["arn:aws:kms:${var.region}:${local.account}:key/*"]
          Condition = { StringEquals = { "aws:ResourceTag/cortexkg:deployment" = var.deployment }, Null = { "aws:ResourceTag/cortexkg:tenant" = "false" } }
        },
        { Sid = "NamesOfKeys", Effect = "Allow", Action = ["kms:ListAliases"], Resource = ["*"] },
        {
          Sid      = "Database"
          Effect   = "Allow"
          Action   = ["rds-db:connect"]
          Resource = ["arn:aws:rds-db:${var.region}:${local.account}:dbuser:${var.access.database}/cortex"]
        },
        { Sid = "Cache", Effect = "Allow", Action = ["elasticache:Connect"], Resource = var.access.cache },
        {
          Sid      = "Objects"
          Effect   = "Allow"
          Action   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
          Resource = ["${var.access.buckets.data}/*"]
        },
        { Sid = "AuditIsWrittenOnce", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = ["${var.access.buckets.audit}/*"] },
        { Sid = "NamesOfObjects", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [var.access.buckets.audit, var.access.buckets.data] },
        {
          Sid       = "KeysOfObjects"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource  = var.access.bucket_keys
          Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
        },
      ]
    }
    collector = {
      namespace  = "cortexkg"
      statements = [{ Sid = "Metrics", Effect = "Allow", Action = ["aps:RemoteWrite"], Resource = [var.access.metrics] }]
    }
    autoscaler = {
      namespace = "kube-system"
      statements = [
        {
          Sid      = "Look"
          Effect   = "Allow"
          Action   = ["autoscaling:Describe*", "ec2:DescribeImages", "ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplateVersions", "ec2:GetInstanceTypesFromInstanceRequirements", "eks:DescribeNodegroup"]
          Resource = ["*"]
        },
        {
          Sid       = "ScaleOwnMachines"
          Effect    = "Allow"
          Action    = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
          Resource  = ["*"]
          Condition = local.own
        },
      ]
    }
    # Puts pods behind the load balancer that Terraform makes, and makes none itself.
    balancer = {
      namespace = "kube-system"
      statements = [
        { Sid = "Look", Effect = "Allow", Action = ["ec2:Describe*", "elasticloadbalancing:Describe*"], Resource = ["*"] },
        {
          Sid      = "Targets"
          Effect   = "Allow"
          Action   = ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"]
          Resource = ["arn:aws:elasticloadbalancing:${var.region}:${local.account}:targetgroup/${local.name}*"]
        },
      ]
    }
  }
}

resource "aws_iam_role" "pod" {
  for_each = local.pods

  name        = "${local.name}-${var.region}-${each.key}"
  description = "Pods with the service account cortexkg-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = "arn:aws:eks:${var.region}:${local.account}:cluster/${local.name}" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "pod" {
  for_each = local.pods

  name = each.key
  role = aws_iam_role.pod[each.key].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in each.value.statements : { for key, value in statement : key => value if value != {} }]
  })
}

resource "aws_eks_pod_identity_association" "pod" {
  for_each = local.pods

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.namespace
  service_account = "cortexkg-${each.key}"
  role_arn        = aws_iam_role.pod[each.key].arn
}
