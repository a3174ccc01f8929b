# Written for the provider from 3.39 on: arguments that later ones call deprecated are used where they are valid in both.

terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 3.39"
    }
  }

  # Bucket, key and region are given by `turnout infra`, so that the same files keep a state for each place.
  backend "s3" {}
}

provider "aws" {
  region = var.region
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_availability_zones" "available" {
  # checkov:skip=CKV_AWS_394:only the first zone_count of them are taken, so a new one changes nothing
  state = "available"
}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  zones      = slice(data.aws_availability_zones.available.names, 0, var.zone_count)
  is_https   = var.domain_name != null
  is_fargate = var.launch_type == "FARGATE"
  tags       = merge({ Application = var.name, ManagedBy = "turnout" }, var.tags)
}
