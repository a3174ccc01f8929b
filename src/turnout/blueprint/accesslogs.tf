# Who has asked for what: access logs of the load balancer, and of the bucket of artifacts.

resource "aws_s3_bucket" "logs" {
  # checkov:skip=CKV_AWS_145:load balancers write their logs with keys of S3 alone (SSE-S3), and refuse others
  # checkov:skip=CKV_AWS_18:it is where the access logs go; its own would be about themselves
  # checkov:skip=CKV_AWS_144:logs are kept for a limited time, and nothing depends on them
  # checkov:skip=CKV2_AWS_62:nobody waits for logs
  bucket        = "${var.name}-logs-${local.account}-${var.region}"
  force_destroy = var.force_destroy
  tags          = local.tags

  versioning {
    enabled = true
  }

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        sse_algorithm = "AES256"
      }
    }
  }

  lifecycle_rule {
    id                                     = "expire"
    enabled                                = true
    abort_incomplete_multipart_upload_days = 7

    expiration {
      days = var.log_retention_days
    }

    noncurrent_version_expiration {
      days = 7
    }
  }
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_elb_service_account" "this" {}

data "aws_iam_policy_document" "logs" {
  statement {
    sid       = "LoadBalancers"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/balancer/AWSLogs/${local.account}/*"]

    principals {
      type        = "AWS"
      identifiers = [data.aws_elb_service_account.this.arn]
    }
  }

  statement {
    sid       = "Buckets"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/artifacts/*"]

    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.id
  policy = data.aws_iam_policy_document.logs.json

  depends_on = [aws_s3_bucket_public_access_block.logs]
}
