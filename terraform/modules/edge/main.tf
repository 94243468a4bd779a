# The edge outside the regions: the one name that clients need. It survives the loss of any region.

data "aws_caller_identity" "this" {}

locals {
  name = "cortexkg-${var.deployment}"
  # Beside the accelerator the way by DNS stays open, under a name of its own.
  direct = var.accelerator ? "direct.${var.domain}" : var.domain
}

# One certificate here makes the record that proves the domain for every region's.
resource "aws_acm_certificate" "proof" {
  domain_name               = var.domain
  subject_alternative_names = ["*.${var.domain}"]
  validation_method         = "DNS"
  key_algorithm             = "EC_prime256v1"
  tags                      = { Name = local.name }
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "proof" {
  # The domain and all below it are proven by the same record.
  zone_id         = var.zone_id
  name            = tolist(aws_acm_certificate.proof.domain_validation_options)[0].resource_record_name
  type            = tolist(aws_acm_certificate.proof.domain_validation_options)[0].resource_record_type
  records         = [tolist(aws_acm_certificate.proof.domain_validation_options)[0].resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_route53_record" "region" {
  for_each = var.load_balancers

  zone_id = var.zone_id
  name    = "${each.key}.${var.domain}"
  type    = "A"
  alias {
    name                   = each.value.name
    zone_id                = each.value.zone_id
    evaluate_target_health = true
  }
}

# Every ten seconds from all over the world; two failures are enough.
resource "aws_route53_health_check" "region" {
  for_each = var.load_balancers

  type              = "HTTPS"
  fqdn              = aws_route53_record.region[each.key].fqdn
  port              = 443
  resource_path     = "/healthz"
  request_interval  = 10
  failure_threshold = 2
  enable_sni        = true
  measure_latency   = true
  tags              = { Name = "${local.name}-${each.key}" }
  # cortexctl aws traffic takes a region out by these: an apply leaves them as they are.
  lifecycle {
    ignore_changes = [disabled, invert_healthcheck]
  }
}

resource "aws_route53_record" "nearest" {
  for_each = var.load_balancers

  zone_id         = var.zone_id
  name            = local.direct
  type            = "A"
  set_identifier  = each.key
  health_check_id = aws_route53_health_check.region[each.key].id
  latency_routing_policy {
    region = each.key
  }
  alias {
    name                   = each.value.name
    zone_id                = each.value.zone_id
    evaluate_target_health = true
  }
}
