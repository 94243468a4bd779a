# A region's part of the global database: a cluster that either writes or follows. Which of both is Aurora's to
# know; a switch of the primary region changes nothing here.

locals {
  name = "cortexkg-${var.deployment}"
}

resource "aws_db_subnet_group" "this" {
  name       = local.name
  subnet_ids = [for zone in sort(keys(var.subnets)) : var.subnets[zone]]
}

resource "aws_security_group" "this" {
  name        = "${local.name}-database"
  description = "PostgreSQL for the nodes of the region"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL from the nodes"
  referenced_security_group_id = var.client_security_group
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_rds_cluster_parameter_group" "this" {
  name        = local.name
  family      = "aurora-postgresql${split(".", var.engine_version)[0]}"
  description = "TLS alone; slow statements and connections are logged"

  dynamic "parameter" {
    for_each = merge(
      {
        "rds.force_ssl"              = "1"
        "ssl_min_protocol_version"   = "TLSv1.2"
        "log_connections"            = "1"
        "log_disconnections"         = "1"
        "log_min_duration_statement" = "1000"
        # A statement may hold what a tenant has put.
        "log_statement"            = "none"
        "log_parameter_max_length" = "0"
        "log_min_error_statement"  = "panic"
      },
      var.rpo_seconds == null ? {} : { "rds.global_db_rpo" = tostring(var.rpo_seconds) },
    )
    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = "immediate"
    }
  }
}

# Made first: Aurora would make it without a key and without an end.
resource "aws_cloudwatch_log_group" "postgresql" {
  name              = "/aws/rds/cluster/${local.name}/postgresql"
  kms_key_id        = var.logs_key_arn
  retention_in_days = var.retention_days
}

resource "aws_rds_cluster" "this" {
  cluster_identifier        = local.name
  global_cluster_identifier = var.global_cluster
  engine                    = "aurora-postgresql"
  engine_version            = var.engine_version

  # Copies take these from the founder.
  database_name              = var.founds ? "cortexkg" : null
  master_username            = var.founds ? "cortexkg" : null
  master_password_wo         = var.founds ? var.master_password : null
  master_password_wo_version = var.founds ? 1 : null

  db_subnet_group_name                = aws_db_subnet_group.this.name
  vpc_security_group_ids              = [aws_security_group.this.id]
  db_cluster_parameter_group_name     = aws_rds_cluster_parameter_group.this.name
  iam_database_authentication_enabled = true
  storage_encrypted                   = true
  kms_key_id                          = var.key_arn

  # To any second of the last days.
  backup_retention_period      = var.protected ? 35 : 1
  preferred_backup_window      = "02:00-03:00"
  preferred_maintenance_window = "sun:03:30-sun:04:30"
  copy_tags_to_snapshot        = true
  delete_automated_backups     = !var.protected
  deletion_protection          = var.protected
  skip_final_snapshot          = !var.protected
  final_snapshot_identifier    = var.protected ? "${local.name}-final" : null

  enabled_cloudwatch_logs_exports = ["postgresql"]

  depends_on = [aws_cloudwatch_log_group.postgresql]

  lifecycle {
    # A switch of the primary region turns these round. The engine's version is raised by way of the global database.
    ignore_changes = [database_name, engine_version, global_cluster_identifier, master_username, replication_source_identifier]
  }
}

resource "aws_iam_role" "monitoring" {
  name        = "${local.name}-${var.region}-monitoring"
  description = "Reports the database's operating system to CloudWatch"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_rds_cluster_instance" "this" {
  # The number is an instance's own: one more, or one less, leaves the others as they are.
  for_each = { for number in range(1, var.instances + 1) : tostring(number) => sort(keys(var.subnets))[(number - 1) % 3] }

  identifier         = "${local.name}-${each.key}"
  cluster_identifier = aws_rds_cluster.this.id
  engine             = aws_rds_cluster.this.engine
  instance_class     = var.instance_class
  availability_zone  = each.value

  publicly_accessible        = false
  auto_minor_version_upgrade = false
  ca_cert_identifier         = "rds-ca-rsa2048-g1"
  copy_tags_to_snapshot      = true

  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.key_arn
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.monitoring.arn

  lifecycle {
    ignore_changes = [engine_version]
  }
}
