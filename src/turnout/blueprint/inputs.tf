# What may differ from one application to the next. Only `name` has no default.

variable "name" {
  description = "Name of the application: every part is called by it. At most 20 characters, as bucket names and target groups add to it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "The name must be 2 to 20 characters: lower case letters, digits and hyphens, beginning with a letter."
  }
}

variable "region" {
  description = "Region in which everything is made."
  type        = string
  default     = "us-east-1"
}

variable "tags" {
  description = "Further tags of every part that can have tags."
  type        = map(string)
  default     = {}
}

# ---- the application

variable "container_name" {
  description = "Container that gets the traffic, as appspec.yml and taskdef.json name it. Null: the application's name."
  type        = string
  default     = null
}

variable "container_port" {
  description = "Port in that container."
  type        = number
  default     = 8000
}

variable "health_check_path" {
  description = "Path that answers 200 when a task can serve."
  type        = string
  default     = "/"
}

variable "health_check_interval" {
  description = "Seconds between two checks of a target: 5 to 300."
  type        = number
  default     = 5
}

variable "deregistration_delay" {
  description = "Seconds that requests in flight have to end when a task is stopped: 0 to 3600."
  type        = number
  default     = 30
}

variable "desired_count" {
  description = "Number of tasks."
  type        = number
  default     = 2
}

variable "first_image" {
  description = "What serves until the first release. The default answers 200 at health_check_path, and is only looked at once: the pipeline brings all later ones."
  type        = string
  default     = "public.ecr.aws/docker/library/busybox:stable"
}

variable "first_command" {
  description = "Command of first_image. Null: a page that says that the first release is on its way. Empty: the image's own."
  type        = list(string)
  default     = null
}

# ---- where it runs

variable "launch_type" {
  description = "FARGATE (tasks without machines of yours, networkMode awsvpc) or EC2 (an auto scaling group, networkMode bridge)."
  type        = string
  default     = "FARGATE"

  validation {
    condition     = contains(["FARGATE", "EC2"], var.launch_type)
    error_message = "The launch_type must be FARGATE or EC2."
  }
}

variable "cpu" {
  description = "CPU units of the first task (1024 are one). taskdef.json says what later ones have."
  type        = number
  default     = 256
}

variable "memory" {
  description = "MiB of the first task."
  type        = number
  default     = 512
}

variable "instance_type" {
  description = "Type of the machines, for the launch type EC2."
  type        = string
  default     = "t3.small"
}

variable "instance_count" {
  description = "Number of machines, for the launch type EC2. A deployment needs room for blue and green at the same time."
  type        = number
  default     = 2
}

# ---- the network

variable "vpc_cidr" {
  description = "Addresses of the VPC: a /16 to /24."
  type        = string
  default     = "10.40.0.0/16"
}

variable "zone_count" {
  description = "Number of availability zones: at least 2, as a load balancer needs."
  type        = number
  default     = 2
}

variable "nat_gateways" {
  description = "NAT gateways for the private subnets: 1, or as many as zones so that a zone can fail without the others. 0: no way out but to S3."
  type        = number
  default     = 1
}

variable "allowed_cidrs" {
  description = "Who may reach the production listener."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "test_cidrs" {
  description = "Who may reach the test listener, where green is seen before the users see it. Null: only the VPC itself."
  type        = list(string)
  default     = null
}

variable "test_port" {
  description = "Port of the test listener."
  type        = number
  default     = 8080
}

variable "domain_name" {
  description = "Domain name of the application, for HTTPS. Null: HTTP alone."
  type        = string
  default     = null
}

variable "hosted_zone" {
  description = "Route 53 zone that holds domain_name: for the certificate's validation, and the alias of the load balancer."
  type        = string
  default     = null
}

variable "certificate_arn" {
  description = "Certificate for domain_name, if you have one already. Null: ACM issues one, validated in hosted_zone."
  type        = string
  default     = null
}

variable "web_acl_arn" {
  description = "Web ACL (WAF) to put before the load balancer. Null: none."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the load balancer refuses to be deleted. `turnout infra destroy` refuses, too, until this is false and applied."
  type        = bool
  default     = true
}

# ---- the way of a commit

variable "branch" {
  description = "Branch whose pushes are released."
  type        = string
  default     = "main"
}

variable "connection_arn" {
  description = "ARN of an AVAILABLE connection to GitLab (CodeConnections): the pipeline then reads gitlab_repository directly. Null: a CodeCommit repository that GitLab CI pushes to."
  type        = string
  default     = null
}

variable "gitlab_repository" {
  description = "GitLab project (group/project), with connection_arn."
  type        = string
  default     = null
}

variable "build_image" {
  description = "Image that CodeBuild runs the build in."
  type        = string
  default     = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
}

variable "build_compute_type" {
  description = "Size of a build's machine."
  type        = string
  default     = "BUILD_GENERAL1_SMALL"
}

variable "deployment_config" {
  description = "How the traffic goes to green: CodeDeployDefault.ECSAllAtOnce, ECSCanary10Percent5Minutes, ECSLinear10PercentEvery1Minutes …"
  type        = string
  default     = "CodeDeployDefault.ECSAllAtOnce"
}

variable "keep_blue_minutes" {
  description = "Minutes that blue stays after the traffic has gone to green: as long can a rollback be at once."
  type        = number
  default     = 5
}

# ---- what is told, and kept

variable "emails" {
  description = "Addresses that are told of deployments, failures and alarms. Each has to confirm once."
  type        = list(string)
  default     = []
}

variable "most_errors_per_minute" {
  description = "More answers 5xx than this in a minute are an alarm: a deployment under way is stopped and rolled back."
  type        = number
  default     = 5
}

variable "slowest_p99_seconds" {
  description = "A p99 of the response times over this is an alarm, likewise."
  type        = number
  default     = 2
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 365
}

variable "artifact_retention_days" {
  description = "Days that the pipeline's artifacts are kept."
  type        = number
  default     = 90
}

variable "keep_images" {
  description = "Number of images that the registry keeps. A rollback needs the one before."
  type        = number
  default     = 50
}

variable "force_destroy" {
  description = "Whether buckets are deleted although something is in them."
  type        = bool
  default     = false
}

variable "is_rehearsal" {
  description = "Leaves out what a local engine refuses rather than pretends: access logs of the load balancer, dropping of invalid header fields, NAT gateways, and that artifacts are only handed out by TLS. `turnout infra` sets it there."
  type        = bool
  default     = false
}
