resource "aws_iam_role" "grafana" {
  count = var.grafana ? 1 : 0

  name        = "${local.name}-${var.region}-grafana"
  description = "Dashboards read the region's metrics"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "grafana.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "grafana" {
  count = var.grafana ? 1 : 0

  name = "metrics"
  role = aws_iam_role.grafana[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["aps:DescribeWorkspace", "aps:GetLabels", "aps:GetMetricMetadata", "aps:GetSeries", "aps:QueryMetrics"]
      Resource = aws_prometheus_workspace.this.arn
    }]
  })
}

resource "aws_grafana_workspace" "this" {
  count = var.grafana ? 1 : 0

  name                     = local.name
  description              = "CortexKG ${var.deployment} in ${var.region}"
  account_access_type      = "CURRENT_ACCOUNT"
  authentication_providers = ["AWS_SSO"]
  permission_type          = "CUSTOMER_MANAGED"
  data_sources             = ["PROMETHEUS"]
  role_arn                 = aws_iam_role.grafana[0].arn
}
