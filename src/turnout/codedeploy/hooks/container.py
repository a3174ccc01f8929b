"""A hook that is a container: a task of its own in the service's cluster, whose exit code decides.

The task definition is that which is deployed, with only the container that is named, or one made for an image; it has
no ports, so it cannot be in the way of what serves. It is deregistered afterwards. After a crash the same cause finds
the same definition and the same task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from turnout.codedeploy.colours import primary_of
from turnout.codedeploy.hooks.plan import keep_output
from turnout.codedeploy.hooks.surroundings import Surroundings, hook_of
from turnout.codedeploy.hooks.words import FAILED, MISSING, NOT_EXECUTABLE, TIMED_OUT, UNKNOWN, tail_of
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.starting import KIND as DEPLOYMENT
from turnout.codedeploy.tail import log_tail
from turnout.errors import AwsError, StepFailed, StepStopped
from turnout.hookfile import Hook
from turnout.runner import Done, Wait
from turnout.runs import Run, Step

LOOK_AGAIN_S = 30.0
"""The end of the task wakes the hook; this is for nothing but peace of mind."""
LINES = 100
MEMORY_MIB = 128
"""Reserved for a container that is made for an image."""

KEPT = ("networkMode", "cpu", "memory", "taskRoleArn", "executionRoleArn", "volumes", "requiresCompatibilities")
"""What the task of a hook has of the task definition that is deployed."""
LEFT_OUT = ("portMappings", "dependsOn", "healthCheck", "links", "volumesFrom")
"""Of the container: what makes it serve, or leads to containers that are not there."""
CODES = {126: NOT_EXECUTABLE, 127: MISSING}

Document = dict[str, Any]


class ContainerHook:
    def __init__(self, reach: Reach, surroundings: Surroundings) -> None:
        self._reach = reach
        self._surroundings = surroundings

    def ends_by_itself(self) -> bool:
        return True

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        hook = hook_of(run)
        task_arn = run.facts.get("task")
        if task_arn is None:
            if run.stop is not None:
                raise StepStopped(UNKNOWN, run.stop["message"])
            task_arn = await self._start(run, step, hook)
        cluster = self._deployment(run).spec["cluster"]
        answer = await self._call("DescribeTasks", run.region, cluster=cluster, tasks=[task_arn])
        if not answer["tasks"]:
            raise StepFailed(UNKNOWN, f"the task {task_arn} of the hook {hook.name} has vanished")
        task: Document = answer["tasks"][0]
        if task["lastStatus"] != "STOPPED":
            return await self._wait(run, step, hook, task, cluster)
        lines = await log_tail(self._reach.aws, run.region, task, LINES)
        keep_output(self._reach.runs, run, tail_of("\n".join(lines)))
        await self._call("DeregisterTaskDefinition", run.region, taskDefinition=task["taskDefinitionArn"])
        if self._reach.runs.get(run.id).facts.get("asked_to_end"):
            if run.stop is not None:
                raise StepStopped(UNKNOWN, run.stop["message"])
            raise StepFailed(TIMED_OUT, f"the container of {hook.name} did not end within {hook.timeout_s:g} s")
        container = task["containers"][0]
        code = container.get("exitCode")
        if code == 0:
            return Done()
        why = container.get("reason") or task.get("stoppedReason") or "it did not start"
        what = f"exit code {code}" if code is not None else str(why)
        raise StepFailed(CODES.get(code, FAILED), f"the container of {hook.name} failed: {what}")

    async def _start(self, run: Run, step: Step, hook: Hook) -> str:
        reach, spec = self._reach, self._deployment(run).spec
        cause = f"step:{step.id}"
        found = await self._call(
            "DescribeTaskDefinition", run.region, taskDefinition=spec["appspec"]["task_definition"]
        )
        definition = definition_for(hook, found["taskDefinition"], spec["application"], run.region)
        registered = await self._call("RegisterTaskDefinition", run.region, cause=cause, **definition)
        service = await reach.service(run.region, spec["cluster"], spec["service"])
        primary = primary_of(service) or {}
        network = spec["appspec"]["network_configuration"] or primary.get("networkConfiguration")
        told = {
            **self._surroundings.clients(run.region),
            **hook.settings["environment"],
            **await self._surroundings.variables(run),
        }
        override = {
            "name": definition["containerDefinitions"][0]["name"],
            "command": hook.settings["command"],
            "environment": [{"name": name, "value": value} for name, value in told.items()],
        }
        params = {"launchType": primary.get("launchType"), "networkConfiguration": network}
        answer = await self._call(
            "RunTask",
            run.region,
            cause=cause,
            cluster=spec["cluster"],
            taskDefinition=registered["taskDefinition"]["taskDefinitionArn"],
            count=1,
            startedBy=run.spec["deployment"],
            overrides={"containerOverrides": [override]},
            **{name: value for name, value in params.items() if value},
        )
        if not answer["tasks"]:
            raise StepFailed(FAILED, f"the container of {hook.name} could not be run: {answer.get('failures')}")
        task_arn = str(answer["tasks"][0]["taskArn"])
        reach.remember(run, task=task_arn)
        return task_arn

    async def _wait(self, run: Run, step: Step, hook: Hook, task: Document, cluster: str) -> Wait:
        assert step.started_at is not None
        left_s = step.started_at + hook.timeout_s - self._reach.clock.now()
        topic = f"ecs.task/{run.region}/{task['taskArn']}"
        if run.stop is None and left_s > 0:
            return Wait(min(LOOK_AGAIN_S, left_s), f"its task is {task['lastStatus']}", on=topic)
        reason = f"The hook {hook.name} of {run.spec['deployment']} is no longer waited for"
        await self._call("StopTask", run.region, cluster=cluster, task=task["taskArn"], reason=reason)
        self._reach.remember(run, asked_to_end=True)
        return Wait(LOOK_AGAIN_S, f"its task was asked to end, and is {task['lastStatus']}", on=topic)

    def _deployment(self, run: Run) -> Run:
        deployment = self._reach.runs.find(DEPLOYMENT, run.region, run.spec["deployment"])
        assert deployment is not None
        return deployment

    async def _call(self, operation: str, region: str, /, *, cause: str | None = None, **params: Any) -> Document:
        try:
            return await self._reach.aws.call("ecs", operation, region, cause=cause, **params)
        except AwsError as error:
            raise StepFailed(FAILED, f"{operation} was refused: {error.message} ({error.code})") from error


def definition_for(hook: Hook, deployed: Mapping[str, Any], application: str, region: str) -> Document:
    """What RegisterTaskDefinition is given for a hook. Pure."""
    named = hook.settings.get("container")
    if named is None:
        own: Document = {"name": "hook", "image": hook.settings["image"], "memoryReservation": MEMORY_MIB}
    else:
        found = next(c for c in deployed["containerDefinitions"] if c["name"] == named)
        own = {name: value for name, value in found.items() if name not in LEFT_OUT}
    own["essential"] = True
    own.setdefault(
        "logConfiguration",
        {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": f"/turnout/hooks/{application}",
                "awslogs-region": region,
                "awslogs-stream-prefix": "hook",
                "awslogs-create-group": "true",
            },
        },
    )
    family = re.sub(r"[^A-Za-z0-9_-]", "-", f"turnout-hook-{application}-{hook.name}")[:255]
    kept = {name: deployed[name] for name in KEPT if deployed.get(name)}
    return {**kept, "family": family, "containerDefinitions": [own]}
