"""Names: ARNs, identifiers and AWS's words for places. Pure."""

from __future__ import annotations

import re
import secrets
import string
import uuid

ACCOUNT = "000000000000"
"""The only account there is, moto's included."""

DEFAULT_REGION = "us-east-1"

_CAPITALS = string.ascii_uppercase + string.digits
_LETTERS = string.ascii_letters + string.digits


_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def is_region(text: str) -> bool:
    """Whether `text` looks like a region: regions are part of ARNs, of host names and of folders' names."""
    return _REGION.fullmatch(text) is not None


def arn(service: str, region: str, resource: str, account: str = ACCOUNT) -> str:
    """The ARN of `resource`, e.g. arn("ecs", "eu-central-1", "cluster/web")."""
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def resource_of(resource_arn: str) -> str:
    """The part of an ARN behind the account: "cluster/web"."""
    return resource_arn.split(":", 5)[5]


def is_arn(text: str) -> bool:
    """Whether `text` has the six parts of an ARN."""
    return text.startswith("arn:") and text.count(":") >= 5


def new_uuid() -> str:
    return str(uuid.uuid4())


def new_capitals(length: int) -> str:
    """`length` of [A-Z0-9], as in a CodeDeploy deployment id."""
    return "".join(secrets.choice(_CAPITALS) for _ in range(length))


def new_alphanumerics(length: int) -> str:
    """`length` of [A-Za-z0-9], as in a CodePipeline artifact key."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def new_digits(length: int) -> str:
    """`length` digits without a leading zero, as in an ECS task set id."""
    return secrets.choice("123456789") + "".join(secrets.choice(string.digits) for _ in range(length - 1))


def new_hex(length: int) -> str:
    """`length` of [0-9a-f], as in an ECS task id or a load balancer's."""
    return secrets.token_hex((length + 1) // 2)[:length]
