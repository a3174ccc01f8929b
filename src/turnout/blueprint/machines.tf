# The machines of the launch type EC2. Under FARGATE nothing of this is made.

locals {
  machines = local.is_fargate ? 0 : 1
}

data "aws_ssm_parameter" "image" {
  count = local.machines
  name  = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
}

data "aws_iam_policy_document" "machine_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "machine" {
  count              = local.machines
  name               = "${var.name}-machine"
  description        = "The ECS agent on the machines of ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.machine_trust.json
  tags               = local.tags
}

data "aws_iam_policy_document" "machine" {
  # checkov:skip=CKV_AWS_356:DiscoverPollEndpoint and GetAuthorizationToken take no resource
  statement {
    sid       = "FindTheService"
    actions   = ["ecr:GetAuthorizationToken", "ecs:DiscoverPollEndpoint"]
    resources = ["*"]
  }

  statement {
    sid       = "Register"
    actions   = ["ecs:DeregisterContainerInstance", "ecs:RegisterContainerInstance"]
    resources = [aws_ecs_cluster.this.arn]
  }

  statement {
    sid = "Work"
    actions = [
      "ecs:Poll", "ecs:StartTelemetrySession", "ecs:SubmitAttachmentStateChanges", "ecs:SubmitContainerStateChange",
      "ecs:SubmitTaskStateChange", "ecs:UpdateContainerInstancesState",
    ]
    resources = [aws_ecs_cluster.this.arn, "arn:${local.partition}:ecs:${var.region}:${local.account}:container-instance/${var.name}/*"]
  }
}

resource "aws_iam_role_policy" "machine" {
  count  = local.machines
  name   = "machine"
  role   = aws_iam_role.machine[0].id
  policy = data.aws_iam_policy_document.machine.json
}

resource "aws_iam_instance_profile" "machine" {
  count = local.machines
  name  = "${var.name}-machine"
  role  = aws_iam_role.machine[0].name
}

resource "aws_launch_template" "this" {
  # checkov:skip=CKV_AWS_88:the subnets are private and give out no public addresses
  count                  = local.machines
  name                   = var.name
  image_id               = data.aws_ssm_parameter.image[0].value
  instance_type          = var.instance_type
  update_default_version = true
  vpc_security_group_ids = [aws_security_group.tasks.id]
  user_data              = base64encode("#!/bin/sh\necho ECS_CLUSTER=${aws_ecs_cluster.this.name} >> /etc/ecs/ecs.config\n")

  iam_instance_profile {
    arn = aws_iam_instance_profile.machine[0].arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  monitoring {
    enabled = true
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size           = 30
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }
}

# The group's tags are what its machines have; the template itself needs none.
resource "aws_autoscaling_group" "this" {
  count               = local.machines
  name                = var.name
  min_size            = var.instance_count
  max_size            = var.instance_count
  vpc_zone_identifier = aws_subnet.private[*].id

  launch_template {
    id      = aws_launch_template.this[0].id
    version = aws_launch_template.this[0].latest_version
  }

  dynamic "tag" {
    for_each = merge(local.tags, { Name = var.name })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
}
