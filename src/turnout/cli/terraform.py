"""What leads Terraform's AWS provider here: an override file, beside files that are not changed for it. Pure.

https://developer.hashicorp.com/terraform/language/files/override
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

FILE = "turnout_override.tf"
"""Terraform reads *_override.tf last, and merges it into the blocks of the other files."""

LOCK = ".terraform.lock.hcl"
"""Where `terraform init` has written down which version of the provider it took."""

CURRENT = 6
"""The major version of the provider that is expected where no lock file says another."""

PATH_STYLE_SINCE = 4
"""Before, `s3_use_path_style` was called `s3_force_path_style`."""

ENDPOINTS = [
    "acm",
    "apigateway",
    "applicationautoscaling",
    "athena",
    "autoscaling",
    "backup",
    "batch",
    "budgets",
    "cloudformation",
    "cloudfront",
    "cloudtrail",
    "cloudwatch",
    "cloudwatchevents",
    "cloudwatchlogs",
    "codeartifact",
    "codebuild",
    "codecommit",
    "codedeploy",
    "codepipeline",
    "codestarconnections",
    "cognitoidentity",
    "cognitoidp",
    "configservice",
    "dynamodb",
    "ec2",
    "ecr",
    "ecrpublic",
    "ecs",
    "efs",
    "eks",
    "elasticache",
    "elb",
    "es",
    "firehose",
    "glue",
    "guardduty",
    "iam",
    "imagebuilder",
    "kafka",
    "kinesis",
    "kms",
    "lambda",
    "mq",
    "organizations",
    "ram",
    "rds",
    "redshift",
    "resourcegroups",
    "resourcegroupstaggingapi",
    "route53",
    "route53resolver",
    "s3",
    "s3control",
    "secretsmanager",
    "securityhub",
    "servicediscovery",
    "servicequotas",
    "ses",
    "shield",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
    "swf",
    "synthetics",
    "transfer",
    "wafv2",
    "xray",
]
"""Names that every version knows; `elb` is both kinds of balancers before version 4."""

LATER_ENDPOINTS = [
    "apigatewayv2",
    "codeconnections",
    "codestarnotifications",
    "elbv2",
    "opensearch",
    "pipes",
    "scheduler",
    "sesv2",
]
"""https://registry.terraform.io/providers/hashicorp/aws/latest/docs/guides/custom-service-endpoints"""

_LOCKED = re.compile(r'provider\s+"[^"]*/hashicorp/aws"\s*{[^}]*?version\s*=\s*"(\d+)\.')


def locked_version(folder: Path) -> int | None:
    """The major version of the AWS provider that a folder is bound to; None before `terraform init`."""
    try:
        found = _LOCKED.search((folder / LOCK).read_text())
    except OSError:
        return None
    return int(found[1]) if found else None


def override(endpoint: str, credentials: tuple[str, str], version: int) -> str:
    """The override file for a major version of the provider. `credentials`: (key id, secret)."""
    return "\n".join(_lines(endpoint, credentials, version)) + "\n"


def _lines(endpoint: str, credentials: tuple[str, str], version: int) -> Iterator[str]:
    key_id, secret = (json.dumps(word).replace("${", "$${").replace("%{", "%%{") for word in credentials)
    path_style = "s3_use_path_style" if version >= PATH_STYLE_SINCE else "s3_force_path_style"
    width = max(len("skip_metadata_api_check"), len(path_style))
    yield f"# Leads the AWS provider, version {version}, to turnout at {endpoint}. Without this file it is AWS again."
    yield 'provider "aws" {'
    for name, value in (
        ("access_key", key_id),
        ("secret_key", secret),
        (path_style, "true"),
        ("skip_metadata_api_check", "true"),
    ):
        yield f"  {name:{width}} = {value}"
    yield ""
    yield "  endpoints {"
    names = sorted([*ENDPOINTS, *(LATER_ENDPOINTS if version >= PATH_STYLE_SINCE else ())])
    longest = max(map(len, names))
    for name in names:
        yield f'    {name:{longest}} = "{endpoint}"'
    yield "  }"
    yield "}"
