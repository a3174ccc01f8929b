output "url" {
  description = "Where the application serves."
  value       = local.is_https ? "https://${var.domain_name}" : "http://${aws_lb.this.dns_name}"
}

output "test_url" {
  description = "Where green is seen before the users see it."
  value       = "${local.is_https ? "https" : "http"}://${local.is_https ? var.domain_name : aws_lb.this.dns_name}:${var.test_port}"
}

output "push_url" {
  description = "What to push to, by HTTPS. Null with a connection to GitLab: pushing there is all."
  value       = one(aws_codecommit_repository.this[*].clone_url_http)
}

output "push_url_ssh" {
  description = "What to push to, by SSH."
  value       = one(aws_codecommit_repository.this[*].clone_url_ssh)
}

output "image_repository" {
  description = "Where the images go."
  value       = aws_ecr_repository.this.repository_url
}

output "pipeline" {
  description = "Name of the pipeline, the build project, the cluster, the service, the CodeDeploy application and its group."
  value       = aws_codepipeline.this.name
}

output "execution_role_arn" {
  description = "For executionRoleArn in taskdef.json."
  value       = aws_iam_role.execution.arn
}

output "task_role_arn" {
  description = "For taskRoleArn in taskdef.json: attach to it what the application may do."
  value       = aws_iam_role.task.arn
}

output "topic_arn" {
  description = "The topic that hears of deployments, failures and alarms."
  value       = aws_sns_topic.this.arn
}
