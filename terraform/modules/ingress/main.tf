# A region's way in: a load balancer with a certificate and a firewall before the nodes. The chart's pods are put
# behind the target group by their own cluster.

locals {
  name = "cortexkg-${var.deployment}"
  port = 8443
}

# The record that proves the domain is the global stack's: it is one and the same for all regions.
resource "aws_acm_certificate" "this" {
  domain_name               = var.domain
  subject_alternative_names = ["*.${var.domain}"]
  validation_method         = "DNS"
  key_algorithm             = "EC_prime256v1"
  tags                      = { Name = local.name }
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_acm_certificate_validation" "this" {
  certificate_arn = aws_acm_certificate.this.arn
}

resource "aws_security_group" "this" {
  name        = "${local.name}-ingress"
  description = "HTTPS from clients to the load balancer, and from there to nodes"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  security_group_id = aws_security_group.this.id
  description       = "HTTPS from clients"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "nodes" {
  security_group_id            = aws_security_group.this.id
  description                  = "HTTPS to nodes"
  referenced_security_group_id = var.node_security_group
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = var.node_security_group
  description                  = "HTTPS from the load balancer"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_lb" "this" {
  name                       = local.name
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = [for zone in sort(keys(var.subnets)) : var.subnets[zone]]
  security_groups            = [aws_security_group.this.id]
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "strictest"
  enable_deletion_protection = var.protected
  idle_timeout               = 60
  access_logs {
    bucket  = var.log_bucket
    prefix  = "load-balancer"
    enabled = true
  }
}

resource "aws_lb_target_group" "nodes" {
  name             = "${local.name}-nodes"
  vpc_id           = var.vpc_id
  target_type      = "ip"
  port             = local.port
  protocol         = "HTTPS"
  protocol_version = "HTTP1"
  # A node that leaves finishes its requests first.
  deregistration_delay          = 30
  load_balancing_algorithm_type = "least_outstanding_requests"
  health_check {
    protocol            = "HTTPS"
    path                = "/healthz"
    matcher             = "200"
    interval            = 5
    timeout             = 3
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate_validation.this.certificate_arn
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.nodes.arn
  }
}

resource "aws_shield_protection" "this" {
  count = var.shield ? 1 : 0

  name         = "${local.name}-${var.region}"
  resource_arn = aws_lb.this.arn
}
