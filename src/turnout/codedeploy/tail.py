"""The last lines that a task wrote, for the message of the deployment that it brought down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.aws import Aws
from turnout.errors import AwsError

LINES = 10


async def log_tail(aws: Aws, region: str, task: Mapping[str, Any], lines: int = LINES) -> list[str]:
    """The last lines of the container that failed, or of the first that has an awslogs stream; empty if none has."""
    try:
        answer = await aws.call("ecs", "DescribeTaskDefinition", region, taskDefinition=task["taskDefinitionArn"])
        settings = {
            c["name"]: c.get("logConfiguration") or {} for c in answer["taskDefinition"]["containerDefinitions"]
        }
        task_id = str(task["taskArn"]).rsplit("/", 1)[-1]
        ended = sorted(task.get("containers", []), key=_innocence)
        for container in ended:
            options = settings.get(container["name"], {}).get("options", {})
            if "awslogs-group" not in options:
                continue
            prefix = options.get("awslogs-stream-prefix", "ecs")
            events = await aws.call(
                "logs",
                "GetLogEvents",
                options.get("awslogs-region", region),
                logGroupName=options["awslogs-group"],
                logStreamName=f"{prefix}/{container['name']}/{task_id}",
                limit=lines,
                startFromHead=False,
            )
            return [str(event["message"]) for event in events.get("events", [])][-lines:]
    except AwsError:  # the reason stands without its lines: the group or the stream may never have been made
        return []
    return []


def _innocence(container: Mapping[str, Any]) -> tuple[bool, bool]:
    """Sorts the one that failed before the one that fails its checks, and both before the others. Pure."""
    return container.get("exitCode") in (None, 0), container.get("healthStatus") != "UNHEALTHY"
