# A region's Kubernetes: control plane, machines and the add-ons that the platform's chart relies on. How many
# nodes run, and the spare capacity for those to come, is the chart's.

locals {
  name    = "cortexkg-${var.deployment}"
  subnets = [for zone in sort(keys(var.subnets)) : var.subnets[zone]]
  is_arm  = can(regex("^[a-z]+[0-9]+g", var.machines.types[0]))
}

# Made first: EKS would make it without a key and without an end.
resource "aws_cloudwatch_log_group" "control_plane" {
  name              = "/aws/eks/${local.name}/cluster"
  kms_key_id        = var.key_arns.logs
  retention_in_days = var.retention_days
}

resource "aws_eks_cluster" "this" {
  name     = local.name
  version  = var.kubernetes_version
  role_arn = aws_iam_role.cluster.arn

  enabled_cluster_log_types     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  bootstrap_self_managed_addons = false

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = false
  }
  encryption_config {
    resources = ["secrets"]
    provider {
      key_arn = var.key_arns.secrets
    }
  }
  vpc_config {
    subnet_ids              = local.subnets
    endpoint_private_access = true
    endpoint_public_access  = length(var.api_cidrs) > 0
    public_access_cidrs     = length(var.api_cidrs) > 0 ? var.api_cidrs : null
  }
  upgrade_policy {
    support_type = "STANDARD"
  }

  depends_on = [aws_cloudwatch_log_group.control_plane, aws_iam_role_policy_attachment.cluster]
}

resource "aws_eks_access_entry" "administrator" {
  for_each = var.administrators

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key
}

resource "aws_eks_access_policy_association" "administrator" {
  for_each = var.administrators

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.administrator[each.key].principal_arn
  policy_arn    = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
  access_scope {
    type = "cluster"
  }
}

resource "aws_launch_template" "machines" {
  name        = "${local.name}-machines"
  description = "Encrypted disks; pods have no way to the machine's own role"

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = 50
      volume_type           = "gp3"
      encrypted             = true
      kms_key_id            = var.key_arns.data
      delete_on_termination = true
    }
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  monitoring {
    enabled = true
  }
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = local.name }
  }
}

resource "aws_eks_node_group" "machines" {
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "machines"
  node_role_arn   = aws_iam_role.machine.arn
  subnet_ids      = local.subnets
  version         = aws_eks_cluster.this.version
  ami_type        = local.is_arm ? "AL2023_ARM_64_STANDARD" : "AL2023_x86_64_STANDARD"
  instance_types  = var.machines.types

  launch_template {
    id      = aws_launch_template.machines.id
    version = aws_launch_template.machines.latest_version
  }
  scaling_config {
    min_size     = var.machines.min
    max_size     = var.machines.max
    desired_size = var.machines.min
  }
  # One at a time, after its pods have moved: a node hands its slots over before it ends.
  update_config {
    max_unavailable = 1
  }
  node_repair_config {
    enabled = true
  }

  depends_on = [aws_iam_role_policy_attachment.machine]
  lifecycle {
    # The autoscaler says how many there are now.
    ignore_changes = [scaling_config[0].desired_size]
  }
}

resource "aws_eks_addon" "before_machines" {
  for_each = {
    vpc-cni                = jsonencode({ enableNetworkPolicy = "true" })
    kube-proxy             = null
    eks-pod-identity-agent = null
  }

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  configuration_values        = each.value
  resolve_conflicts_on_update = "OVERWRITE"
}

resource "aws_eks_addon" "after_machines" {
  for_each = toset(["coredns", "metrics-server"])

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  resolve_conflicts_on_update = "OVERWRITE"
  depends_on                  = [aws_eks_node_group.machines]
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  alarm_name          = "${local.name}-cluster-api-failing"
  alarm_description   = "The Kubernetes API answers requests with errors of its own."
  namespace           = "AWS/EKS"
  metric_name         = "apiserver_request_total_5XX"
  dimensions          = { ClusterName = aws_eks_cluster.this.name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = 10
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}
