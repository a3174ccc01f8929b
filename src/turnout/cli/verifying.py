"""Whether what a task definition names is there: what would otherwise be found out by tasks that do not start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from turnout.cli.clients import Clients, is_missing
from turnout.cli.versions import Document
from turnout.names import is_arn

REFUSED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")

Look = Callable[[], Any]
Check = tuple[str, Look, tuple[str, ...]]
"""What it is, a call that finds it, and the error codes that say that it is not there."""


def findings(clients: Clients, document: Document) -> Iterator[str]:
    """What is missing, and what could not be looked at. Images are pinned, and so looked at, before."""
    checks = [*_roles(clients, document)]
    for container in document["containerDefinitions"]:
        checks += _secrets(clients, container)
        checks += _log_group(clients, container)
    for what, look, missing in checks:
        try:
            is_there = look()
        except Exception as error:
            if is_missing(error, *missing):
                is_there = False
            elif is_missing(error, *REFUSED):
                yield f"{what} could not be looked at: {error}"
                continue
            else:
                raise
        if not is_there:
            yield f"{what} does not exist in {clients.region}"


def _roles(clients: Clients, document: Document) -> Iterator[Check]:
    for member in ("executionRoleArn", "taskRoleArn"):
        if arn := document.get(member):
            name = str(arn).rpartition("/")[2]
            yield f"{member} {arn}", partial(clients("iam").get_role, RoleName=name), ("NoSuchEntity",)


def _secrets(clients: Clients, container: Mapping[str, Any]) -> Iterator[Check]:
    for secret in container.get("secrets", []):
        source = str(secret["valueFrom"])
        what = f"{container['name']}: the secret {secret['name']} ({source})"
        if is_arn(source) and ":secretsmanager:" in source:
            # arn:…:secret:NAME-abcdef:json-key:version-stage:version-id
            whole = ":".join(source.split(":")[:7])
            look: Look = partial(clients("secretsmanager").describe_secret, SecretId=whole)
            yield what, look, ("ResourceNotFoundException",)
        else:
            name = source.partition(":parameter")[2] if is_arn(source) else source
            yield what, partial(clients("ssm").get_parameter, Name=name), ("ParameterNotFound", "ValidationException")


def _log_group(clients: Clients, container: Mapping[str, Any]) -> Iterator[Check]:
    log = container.get("logConfiguration", {})
    options = log.get("options", {})
    if log.get("logDriver") == "awslogs" and options.get("awslogs-create-group") != "true":
        group = options.get("awslogs-group", "")

        def look() -> bool:
            found = clients("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            return any(one["logGroupName"] == group for one in found)

        if options.get("awslogs-region") in (None, clients.region):
            yield f"{container['name']}: the log group {group}", look, ("ResourceNotFoundException",)
