resource "aws_globalaccelerator_accelerator" "this" {
  count = var.accelerator ? 1 : 0

  name            = local.name
  ip_address_type = "IPV4"
  enabled         = true
}

resource "aws_globalaccelerator_listener" "https" {
  count = var.accelerator ? 1 : 0

  accelerator_arn = aws_globalaccelerator_accelerator.this[0].arn
  protocol        = "TCP"
  port_range {
    from_port = 443
    to_port   = 443
  }
}

resource "aws_globalaccelerator_endpoint_group" "region" {
  for_each = var.accelerator ? var.load_balancers : {}

  listener_arn                  = aws_globalaccelerator_listener.https[0].arn
  endpoint_group_region         = each.key
  health_check_protocol         = "HTTPS"
  health_check_path             = "/healthz"
  health_check_port             = 443
  health_check_interval_seconds = 10
  threshold_count               = 2
  endpoint_configuration {
    endpoint_id = each.value.arn
    weight      = 128
    # Rate limits and the audit log go by the client's address.
    client_ip_preservation_enabled = true
  }
  # cortexctl aws traffic turns it: an apply leaves it as it is.
  lifecycle {
    ignore_changes = [traffic_dial_percentage]
  }
}

resource "aws_route53_record" "accelerator" {
  count = var.accelerator ? 1 : 0

  zone_id = var.zone_id
  name    = var.domain
  type    = "A"
  alias {
    name                   = aws_globalaccelerator_accelerator.this[0].dns_name
    zone_id                = aws_globalaccelerator_accelerator.this[0].hosted_zone_id
    evaluate_target_health = true
  }
}

resource "aws_shield_protection" "this" {
  for_each = var.shield ? merge(
    { zone = "arn:aws:route53:::hostedzone/${var.zone_id}" },
    { for each in aws_globalaccelerator_accelerator.this : "accelerator" => each.arn },
  ) : {}

  name         = "${local.name}-${each.key}"
  resource_arn = each.value
}
