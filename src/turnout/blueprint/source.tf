# Where a commit comes from: CodeCommit, which GitLab CI pushes to, or GitLab itself by a connection.

locals {
  is_mirror = var.connection_arn == null
}

resource "aws_codecommit_repository" "this" {
  # checkov:skip=CKV2_AWS_37:merge requests are approved in GitLab; what comes here has been reviewed
  count           = local.is_mirror ? 1 : 0
  repository_name = var.name
  description     = "What GitLab CI releases of ${var.name}"
  tags            = local.tags
}

# A push is told at once; nobody asks every minute.
resource "aws_cloudwatch_event_rule" "push" {
  count       = local.is_mirror ? 1 : 0
  name        = "${var.name}-push"
  description = "A push to ${var.branch} of ${var.name}"
  tags        = local.tags

  event_pattern = jsonencode({
    source      = ["aws.codecommit"]
    detail-type = ["CodeCommit Repository State Change"]
    resources   = [aws_codecommit_repository.this[0].arn]
    detail = {
      event         = ["referenceCreated", "referenceUpdated"]
      referenceType = ["branch"]
      referenceName = [var.branch]
    }
  })
}

resource "aws_cloudwatch_event_target" "push" {
  count     = local.is_mirror ? 1 : 0
  rule      = aws_cloudwatch_event_rule.push[0].name
  target_id = "pipeline"
  arn       = aws_codepipeline.this.arn
  role_arn  = aws_iam_role.events[0].arn
}

data "aws_iam_policy_document" "events_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "events" {
  count              = local.is_mirror ? 1 : 0
  name               = "${var.name}-events"
  description        = "Starts the pipeline of ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.events_trust.json
  tags               = local.tags
}

data "aws_iam_policy_document" "events" {
  statement {
    actions   = ["codepipeline:StartPipelineExecution"]
    resources = [aws_codepipeline.this.arn]
  }
}

resource "aws_iam_role_policy" "events" {
  count  = local.is_mirror ? 1 : 0
  name   = "events"
  role   = aws_iam_role.events[0].id
  policy = data.aws_iam_policy_document.events.json
}
