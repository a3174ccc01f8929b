# Who starts tasks (execution), and what the application itself may do (task): nothing, until you attach a policy.

data "aws_iam_policy_document" "tasks_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  description        = "What the application ${var.name} itself may do"
  assume_role_policy = data.aws_iam_policy_document.tasks_trust.json
  tags               = local.tags
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "Pulls the image of ${var.name} and writes its logs"
  assume_role_policy = data.aws_iam_policy_document.tasks_trust.json
  tags               = local.tags
}

data "aws_iam_policy_document" "execution" {
  # checkov:skip=CKV_AWS_356:GetAuthorizationToken is of the account, and takes no resource
  statement {
    sid       = "Login"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "Pull"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [aws_ecr_repository.this.arn]
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.application.arn}:*"]
  }

  # What taskdef.json names under `secrets`, by the application's name.
  statement {
    sid     = "Secrets"
    actions = ["secretsmanager:GetSecretValue", "ssm:GetParameters"]
    resources = [
      "arn:${local.partition}:secretsmanager:${var.region}:${local.account}:secret:${var.name}/*",
      "arn:${local.partition}:ssm:${var.region}:${local.account}:parameter/${var.name}/*",
    ]
  }

  statement {
    sid       = "DecryptSecrets"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.this.arn]
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}
