# The cluster, and the service that CodeDeploy releases.

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = local.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  # The oldest provider does not ask for the settings when it reads a cluster, and would set them again each time.
  lifecycle {
    ignore_changes = [setting]
  }
}

locals {
  container_name = coalesce(var.container_name, var.name)

  # busybox serves one file, at the path that the health check asks for.
  welcome = join(" && ", [
    "mkdir -p \"/www$(dirname '${var.health_check_path}/x')\"",
    "echo 'The first release is on its way.' > '/www${trimsuffix(var.health_check_path, "/")}/index.html'",
    "exec httpd -f -p ${var.container_port} -h /www",
  ])
  first_command = var.first_command != null ? var.first_command : ["sh", "-c", local.welcome]
}

# In a family of its own: those that the pipeline registers are cleaned up one day, and this one is Terraform's.
resource "aws_ecs_task_definition" "first" {
  # checkov:skip=CKV_AWS_336:the page that serves until the first release is written when it starts
  family                   = "${var.name}-first"
  requires_compatibilities = [var.launch_type]
  network_mode             = local.is_fargate ? "awsvpc" : "bridge"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  tags                     = local.tags

  container_definitions = jsonencode([merge(
    {
      name         = local.container_name
      image        = var.first_image
      essential    = true
      environment  = []
      mountPoints  = []
      volumesFrom  = []
      portMappings = [{ containerPort = var.container_port, hostPort = local.is_fargate ? var.container_port : 0, protocol = "tcp" }]
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          "awslogs-group"         = aws_cloudwatch_log_group.application.name
          "awslogs-region"        = var.region
          "awslogs-stream-prefix" = "first"
        }
      }
    },
    length(local.first_command) == 0 ? {} : { command = local.first_command },
  )])

  # What served first is of no interest once the pipeline has released something.
  lifecycle {
    ignore_changes = [container_definitions, cpu, memory]
  }
}

resource "aws_ecs_service" "this" {
  # checkov:skip=CKV_AWS_332:it is LATEST wherever there is a platform, which the check cannot see in a condition
  # checkov:skip=CKV_AWS_333:the subnets are private, and no task gets a public address
  name                              = var.name
  cluster                           = aws_ecs_cluster.this.id
  task_definition                   = aws_ecs_task_definition.first.arn
  desired_count                     = var.desired_count
  launch_type                       = var.launch_type
  platform_version                  = local.is_fargate ? "LATEST" : null
  health_check_grace_period_seconds = 60
  propagate_tags                    = "SERVICE"
  tags                              = local.tags

  deployment_controller {
    type = "CODE_DEPLOY"
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.blue.arn
    container_name   = local.container_name
    container_port   = var.container_port
  }

  dynamic "network_configuration" {
    for_each = local.is_fargate ? [aws_security_group.tasks.id] : []
    content {
      subnets          = aws_subnet.private[*].id
      security_groups  = [network_configuration.value]
      assign_public_ip = false
    }
  }

  # Each release registers a task definition and moves to the other target group; AWS lets nobody else change them.
  lifecycle {
    ignore_changes = [task_definition, load_balancer, network_configuration, platform_version]
  }

  depends_on = [aws_lb_listener.production, aws_lb_listener.test, aws_autoscaling_group.this]
}
