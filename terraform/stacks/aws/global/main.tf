# What exists once in a deployment on AWS: the global database that the regions' clusters join, and the edge.

locals {
  tags = { "cortexkg:deployment" = var.deployment, "cortexkg:stack" = "global" }
}

resource "aws_rds_global_cluster" "this" {
  global_cluster_identifier = "cortexkg-${var.deployment}"
  engine                    = "aurora-postgresql"
  engine_version            = var.engine_version
  storage_encrypted         = true
  deletion_protection       = var.protected
}

module "edge" {
  source    = "../../../modules/edge"
  providers = { aws = aws, aws.us_east_1 = aws.us_east_1 }

  deployment     = var.deployment
  domain         = var.domain
  zone_id        = var.zone_id
  load_balancers = var.load_balancers
  accelerator    = var.accelerator
  shield         = var.shield
  recipients     = var.recipients
  protected      = var.protected
}
