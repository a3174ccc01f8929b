"""What RegisterTaskDefinition refuses of health checks, dependencies and timeouts of containers. Pure.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.errors import AwsError

CHECK_DEFAULTS = {"interval": 30, "timeout": 5, "retries": 3}
CHECK_LIMITS = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}
"""Seconds, but for retries."""
FARGATE_TIMEOUTS_S = (2, 120)

Document = Mapping[str, Any]


def check_health_check(container: Document) -> None:
    """Raise for a health check that AWS would refuse."""
    check = container.get("healthCheck")
    if check is None:
        return
    name, command = container["name"], check.get("command") or []
    if len(command) < 2 or command[0] not in ("CMD", "CMD-SHELL"):
        raise _refused(
            f"Invalid setting for container '{name}'. The command of healthCheck must begin with CMD or CMD-SHELL,"
            f' and say what to run, as in ["CMD-SHELL", "curl -f http://localhost/ || exit 1"]; it is {list(command)}.'
        )
    for member, (least, most) in CHECK_LIMITS.items():
        value = check.get(member)
        if value is not None and not least <= value <= most:
            raise _refused(
                f"Invalid setting for container '{name}'. The {member} of healthCheck must be between {least} and"
                f" {most}, not {value}."
            )


def completed_check(check: Document) -> dict[str, Any]:
    """A health check with AWS's defaults, which DescribeTaskDefinition tells too."""
    return {**CHECK_DEFAULTS, **check}


def check_timeouts(container: Document, *, is_fargate: bool) -> None:
    for member in ("startTimeout", "stopTimeout"):
        value = container.get(member)
        least, most = FARGATE_TIMEOUTS_S if is_fargate else (0, None)
        if value is not None and (value < least or (most is not None and value > most)):
            limits = f"between {least} and {most} for Fargate" if most else f"at least {least}"
            raise _refused(
                f"Invalid setting for container '{container['name']}'. {member} must be {limits}, not {value}."
            )


def check_dependencies(containers: Sequence[Document]) -> None:
    """Every dependency exists, can be met, and none waits for itself."""
    by_name = {container["name"]: container for container in containers}
    for container in containers:
        for dependency in container.get("dependsOn", ()):
            _check_dependency(container["name"], dependency, by_name.get(dependency["containerName"]))
    needs = {c["name"]: [d["containerName"] for d in c.get("dependsOn", ())] for c in containers}
    while free := [name for name, others in needs.items() if not any(other in needs for other in others)]:
        for name in free:
            del needs[name]
    if needs:
        raise _refused(f"Invalid dependsOn. The containers {', '.join(sorted(needs))} wait for each other.")


def _check_dependency(name: str, dependency: Document, other: Document | None) -> None:
    condition = dependency["condition"]
    if other is None:
        raise _refused(
            f"Invalid dependsOn of container '{name}'. There is no container '{dependency['containerName']}'."
        )
    if condition in ("SUCCESS", "COMPLETE") and other.get("essential", True):
        raise _refused("A dependency container with SUCCESS or COMPLETE condition cannot be an essential container")
    if condition == "HEALTHY" and not other.get("healthCheck"):
        raise _refused(
            f"Invalid dependsOn of container '{name}'. A dependency container with HEALTHY condition must have a"
            f" healthCheck, and '{other['name']}' has none."
        )


def _refused(message: str) -> AwsError:
    return AwsError("ClientException", message)
