# CodeDeploy: from blue to green, and back by itself when it fails, is stopped, or an alarm goes off.

resource "aws_codedeploy_app" "this" {
  name             = var.name
  compute_platform = "ECS"
  tags             = local.tags
}

resource "aws_codedeploy_deployment_group" "this" {
  app_name               = aws_codedeploy_app.this.name
  deployment_group_name  = var.name
  deployment_config_name = var.deployment_config
  service_role_arn       = aws_iam_role.deploy.arn
  tags                   = local.tags

  deployment_style {
    deployment_type   = "BLUE_GREEN"
    deployment_option = "WITH_TRAFFIC_CONTROL"
  }

  ecs_service {
    cluster_name = aws_ecs_cluster.this.name
    service_name = aws_ecs_service.this.name
  }

  load_balancer_info {
    target_group_pair_info {
      prod_traffic_route {
        listener_arns = [aws_lb_listener.production.arn]
      }

      test_traffic_route {
        listener_arns = [aws_lb_listener.test.arn]
      }

      target_group {
        name = aws_lb_target_group.blue.name
      }

      target_group {
        name = aws_lb_target_group.green.name
      }
    }
  }

  blue_green_deployment_config {
    deployment_ready_option {
      action_on_timeout = "CONTINUE_DEPLOYMENT"
    }

    terminate_blue_instances_on_deployment_success {
      action                           = "TERMINATE"
      termination_wait_time_in_minutes = var.keep_blue_minutes
    }
  }

  auto_rollback_configuration {
    enabled = true
    events  = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"]
  }

  alarm_configuration {
    enabled = true
    alarms  = [aws_cloudwatch_metric_alarm.errors.alarm_name, aws_cloudwatch_metric_alarm.unanswered.alarm_name, aws_cloudwatch_metric_alarm.slow.alarm_name]
  }

  trigger_configuration {
    trigger_name       = "releases"
    trigger_target_arn = aws_sns_topic.this.arn
    trigger_events     = ["DeploymentFailure", "DeploymentRollback", "DeploymentStart", "DeploymentStop", "DeploymentSuccess"]
  }

  depends_on = [aws_iam_role_policy.deploy]
}

data "aws_iam_policy_document" "deploy_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["codedeploy.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "deploy" {
  name               = "${var.name}-deploy"
  description        = "The deployments of ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.deploy_trust.json
  tags               = local.tags
}

data "aws_iam_policy_document" "deploy" {
  # checkov:skip=CKV_AWS_111:task sets are named by the deployment that makes them; what is limited is the cluster
  # checkov:skip=CKV_AWS_356:the Describe actions of load balancing and alarms take no resource
  statement {
    sid = "Look"
    actions = [
      "cloudwatch:DescribeAlarms", "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules",
      "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
    ]
    resources = ["*"]
  }

  statement {
    sid     = "MoveTheTraffic"
    actions = ["elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyRule"]
    resources = [
      aws_lb_listener.production.arn, aws_lb_listener.test.arn,
      "arn:${local.partition}:elasticloadbalancing:${var.region}:${local.account}:listener-rule/app/${aws_lb.this.name}/*",
    ]
  }

  statement {
    sid       = "TheService"
    actions   = ["ecs:DescribeServices", "ecs:UpdateServicePrimaryTaskSet"]
    resources = [aws_ecs_service.this.id]
  }

  statement {
    sid       = "BlueAndGreen"
    actions   = ["ecs:CreateTaskSet", "ecs:DeleteTaskSet"]
    resources = [aws_ecs_service.this.id, "arn:${local.partition}:ecs:${var.region}:${local.account}:task-set/${var.name}/${var.name}/*"]
  }

  statement {
    sid       = "Roles"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.execution.arn, aws_iam_role.task.arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  # Hooks that appspec.yml names: functions by the application's name.
  statement {
    sid       = "Hooks"
    actions   = ["lambda:InvokeFunction"]
    resources = ["arn:${local.partition}:lambda:${var.region}:${local.account}:function:${var.name}-*"]
  }

  statement {
    sid       = "Revisions"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${aws_s3_bucket.artifacts.arn}/*"]
  }

  statement {
    sid       = "Tell"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this.arn]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
  }
}

resource "aws_iam_role_policy" "deploy" {
  name   = "deploy"
  role   = aws_iam_role.deploy.id
  policy = data.aws_iam_policy_document.deploy.json
}
