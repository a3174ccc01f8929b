# Who may reach whom.

resource "aws_security_group" "balancer" {
  name        = "${var.name}-balancer"
  description = "The load balancer of ${var.name}"
  vpc_id      = aws_vpc.this.id
  tags        = local.tags
}

resource "aws_security_group" "tasks" {
  name        = "${var.name}-tasks"
  description = "The tasks of ${var.name}, or the machines that they run on"
  vpc_id      = aws_vpc.this.id
  tags        = local.tags
}

resource "aws_security_group_rule" "production" {
  security_group_id = aws_security_group.balancer.id
  description       = "Users"
  type              = "ingress"
  protocol          = "tcp"
  from_port         = local.production_port
  to_port           = local.production_port
  cidr_blocks       = var.allowed_cidrs
}

resource "aws_security_group_rule" "redirect" {
  # checkov:skip=CKV_AWS_260:port 80 only redirects to HTTPS
  count             = local.is_https ? 1 : 0
  security_group_id = aws_security_group.balancer.id
  description       = "Users who have not said https yet"
  type              = "ingress"
  protocol          = "tcp"
  from_port         = 80
  to_port           = 80
  cidr_blocks       = var.allowed_cidrs
}

resource "aws_security_group_rule" "test" {
  security_group_id = aws_security_group.balancer.id
  description       = "Whoever looks at green before the users do"
  type              = "ingress"
  protocol          = "tcp"
  from_port         = var.test_port
  to_port           = var.test_port
  cidr_blocks       = coalesce(var.test_cidrs, [var.vpc_cidr])
}

# Under bridge the ports of the machines are dynamic.
resource "aws_security_group_rule" "to_tasks" {
  security_group_id        = aws_security_group.balancer.id
  description              = "Requests and health checks"
  type                     = "egress"
  protocol                 = "tcp"
  from_port                = local.is_fargate ? var.container_port : 32768
  to_port                  = local.is_fargate ? var.container_port : 65535
  source_security_group_id = aws_security_group.tasks.id
}

resource "aws_security_group_rule" "from_balancer" {
  security_group_id        = aws_security_group.tasks.id
  description              = "Requests and health checks"
  type                     = "ingress"
  protocol                 = "tcp"
  from_port                = local.is_fargate ? var.container_port : 32768
  to_port                  = local.is_fargate ? var.container_port : 65535
  source_security_group_id = aws_security_group.balancer.id
}

# AWS's own services, and whatever the application asks: it is the application's to say, not the blueprint's.
resource "aws_security_group_rule" "out" {
  security_group_id = aws_security_group.tasks.id
  description       = "HTTPS to ECR, logs, secrets, and what the application calls"
  type              = "egress"
  protocol          = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_blocks       = ["0.0.0.0/0"]
}
