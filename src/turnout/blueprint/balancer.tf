# The load balancer, blue and green, and the listeners that lead the traffic to one of them.

locals {
  production_port = local.is_https ? 443 : 80
  certificate     = var.certificate_arn != null ? var.certificate_arn : one(aws_acm_certificate_validation.this[*].certificate_arn)
}

resource "aws_lb" "this" {
  # checkov:skip=CKV2_AWS_76:as of CKV2_AWS_28, its rules likewise
  # checkov:skip=CKV2_AWS_28:which web ACL fits is the application's to say: web_acl_arn puts one here
  # checkov:skip=CKV2_AWS_20:with a domain port 80 redirects to HTTPS; without one there is no certificate to redirect to
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = false
  security_groups            = [aws_security_group.balancer.id]
  subnets                    = aws_subnet.public[*].id
  drop_invalid_header_fields = var.is_rehearsal ? false : true
  enable_deletion_protection = var.deletion_protection
  tags                       = local.tags

  dynamic "access_logs" {
    for_each = var.is_rehearsal ? [] : [aws_s3_bucket.logs.id]
    content {
      bucket  = access_logs.value
      prefix  = "balancer"
      enabled = true
    }
  }

  depends_on = [aws_s3_bucket_policy.logs]
}

resource "aws_wafv2_web_acl_association" "this" {
  count        = var.web_acl_arn == null ? 0 : 1
  resource_arn = aws_lb.this.arn
  web_acl_arn  = var.web_acl_arn
}

# Two of the same kind. Which of them serves is CodeDeploy's to say.
resource "aws_lb_target_group" "blue" {
  # checkov:skip=CKV_AWS_378:TLS ends at the load balancer; what is behind it is a private subnet that only it may reach
  name                 = "${var.name}-blue"
  vpc_id               = aws_vpc.this.id
  target_type          = local.is_fargate ? "ip" : "instance"
  protocol             = "HTTP"
  port                 = var.container_port
  deregistration_delay = var.deregistration_delay
  tags                 = local.tags

  health_check {
    path                = var.health_check_path
    matcher             = "200"
    interval            = var.health_check_interval
    timeout             = min(5, var.health_check_interval - 1)
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_target_group" "green" {
  # checkov:skip=CKV_AWS_378:as of blue
  name                 = "${var.name}-green"
  vpc_id               = aws_vpc.this.id
  target_type          = local.is_fargate ? "ip" : "instance"
  protocol             = "HTTP"
  port                 = var.container_port
  deregistration_delay = var.deregistration_delay
  tags                 = local.tags

  health_check {
    path                = var.health_check_path
    matcher             = "200"
    interval            = var.health_check_interval
    timeout             = min(5, var.health_check_interval - 1)
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "production" {
  # checkov:skip=CKV_AWS_2:HTTPS wherever a domain is given; a certificate needs one
  # checkov:skip=CKV_AWS_103:likewise, with the policy below
  load_balancer_arn = aws_lb.this.arn
  port              = local.production_port
  protocol          = local.is_https ? "HTTPS" : "HTTP"
  ssl_policy        = local.is_https ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null
  certificate_arn   = local.is_https ? local.certificate : null

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.blue.arn
  }

  # CodeDeploy moves the traffic. An apply that put it back would lead everybody to a group without tasks.
  lifecycle {
    ignore_changes = [default_action]
  }
}

resource "aws_lb_listener" "test" {
  # checkov:skip=CKV_AWS_2:as of production
  # checkov:skip=CKV_AWS_103:as of production
  load_balancer_arn = aws_lb.this.arn
  port              = var.test_port
  protocol          = local.is_https ? "HTTPS" : "HTTP"
  ssl_policy        = local.is_https ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null
  certificate_arn   = local.is_https ? local.certificate : null

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.blue.arn
  }

  lifecycle {
    ignore_changes = [default_action]
  }
}

resource "aws_lb_listener" "redirect" {
  count             = local.is_https ? 1 : 0
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}
