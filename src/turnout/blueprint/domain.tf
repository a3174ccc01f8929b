# A name of its own, and the certificate for it. Without domain_name nothing of this is made.

data "aws_route53_zone" "this" {
  count = var.hosted_zone == null ? 0 : 1
  name  = var.hosted_zone
}

resource "aws_acm_certificate" "this" {
  count             = local.is_https && var.certificate_arn == null ? 1 : 0
  domain_name       = var.domain_name
  validation_method = "DNS"
  tags              = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

# One record: the certificate has one name.
resource "aws_route53_record" "validation" {
  count           = length(aws_acm_certificate.this)
  zone_id         = data.aws_route53_zone.this[0].zone_id
  name            = one(aws_acm_certificate.this[0].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.this[0].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.this[0].domain_validation_options).resource_record_value]
  ttl             = 60
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  count                   = length(aws_acm_certificate.this)
  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = aws_route53_record.validation[*].fqdn
}

resource "aws_route53_record" "application" {
  count   = local.is_https && var.hosted_zone != null ? 1 : 0
  zone_id = data.aws_route53_zone.this[0].zone_id
  name    = var.domain_name
  type    = "A"

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }
}
