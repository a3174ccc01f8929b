"""How a deployment reaches ECS and the load balancer, with their refusals in the words of CodeDeploy.

`Reach` is all that a step may touch besides its own run: the two services, the traffic, the clock, and the run's facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.aws import Answer, Aws
from turnout.clock import Clock
from turnout.codedeploy.colours import BLUE, GREEN, task_set_made_for, task_set_of
from turnout.codedeploy.routes import Route, Weights, actions_at, balancer_invalid, routes_of, routes_with
from turnout.errors import AwsError, StepFailed
from turnout.leaving import policy_in
from turnout.runs import Run, Runs
from turnout.samples import Samples, Tasks
from turnout.traffic import Traffic

TASKS_AT_ONCE = 100
"""The most tasks that one DescribeTasks takes."""


class Reach:
    """AWS calls of one region's deployments. An AwsError becomes the StepFailed that AWS's CodeDeploy reports."""

    def __init__(self, aws: Aws, runs: Runs, clock: Clock, traffic: Traffic, samples: Samples) -> None:
        self.aws = aws
        self.runs = runs
        self.clock = clock
        self.traffic = traffic
        self.samples = samples

    def facts(self, run: Run) -> dict[str, Any]:
        """What the run has learnt by now (`run` is how it was at the pick-up)."""
        return self.runs.get(run.id).facts

    def remember(self, run: Run, **facts: Any) -> None:
        """Keep what was learnt, unless it is known."""
        known = self.facts(run)
        if any(known.get(name) != value for name, value in facts.items()):
            with self.runs.store.transaction() as tx:
                self.runs.remember(tx, run.id, **facts)

    async def ecs(self, operation: str, region: str, /, *, cause: str | None = None, **params: Any) -> Answer:
        try:
            return await self.aws.call("ecs", operation, region, cause=cause, **params)
        except AwsError as error:
            raise StepFailed(
                "ECS_UPDATE_ERROR",
                f"The ECS service cannot be updated due to an unexpected error: {error.message} (Service: AmazonECS;"
                f" Status Code: {error.status}; Error Code: {error.code}). Check your ECS service status.",
            ) from error

    async def elb(self, operation: str, region: str, /, *, cause: str | None = None, **params: Any) -> Answer:
        try:
            return await self.aws.call("elbv2", operation, region, cause=cause, **params)
        except AwsError as error:
            raise balancer_invalid(error.message) from error

    # ECS

    async def service(self, region: str, cluster: str, name: str) -> dict[str, Any]:
        """The service with its task sets. Raises INVALID_ECS_SERVICE."""
        answer = await self.ecs("DescribeServices", region, cluster=cluster, services=[name])
        found: dict[str, Any] | None = next(iter(answer.get("services", [])), None)
        if found is None or found.get("status") != "ACTIVE":
            state = "does not exist" if found is None else f"is {found.get('status')}"
            raise StepFailed("INVALID_ECS_SERVICE", f"The ECS service {name} {state} in cluster {cluster}.")
        return found

    async def tasks(self, region: str, cluster: str, service: str, task_set_id: str, status: str) -> list[Any]:
        """The tasks of one task set whose desired status is RUNNING or STOPPED."""
        arns: list[str] = []
        params: dict[str, Any] = {"cluster": cluster, "serviceName": service, "desiredStatus": status}
        while True:
            answer = await self.ecs("ListTasks", region, **params)
            arns += answer.get("taskArns", [])
            if not answer.get("nextToken"):
                break
            params["nextToken"] = answer["nextToken"]
        found: list[Any] = []
        for start in range(0, len(arns), TASKS_AT_ONCE):
            some = arns[start : start + TASKS_AT_ONCE]
            described = await self.ecs("DescribeTasks", region, cluster=cluster, tasks=some)
            found += [task for task in described.get("tasks", []) if task.get("startedBy") == task_set_id]
        return found

    async def images(self, region: str, cluster: str, service: str, task_set_id: str) -> list[dict[str, Any]]:
        """What the containers of a task set run: container, image and digest."""
        images: dict[str, dict[str, Any]] = {}
        for task in await self.tasks(region, cluster, service, task_set_id, "RUNNING"):
            for container in task.get("containers", []):
                images[container["name"]] = {
                    "container": container["name"],
                    "image": container.get("image"),
                    "digest": container.get("imageDigest"),
                }
        return list(images.values())

    async def count_tasks(self, run: Run) -> dict[str, Tasks]:
        """The tasks of both colours now, for a sample."""
        service = await self.service(run.region, run.spec["cluster"], run.spec["service"])
        facts = self.facts(run)
        found = {
            BLUE: task_set_of(service, facts[BLUE].get("task_set")),
            GREEN: task_set_of(service, facts[GREEN].get("task_set")) or task_set_made_for(service, run.name),
        }
        return {
            colour: Tasks(int(one.get("runningCount", 0)), int(one.get("computedDesiredCount", 0)))
            if one
            else Tasks(0, 0)
            for colour, one in found.items()
        }

    # The load balancer

    async def target_groups(self, region: str, names: list[str]) -> dict[str, dict[str, Any]]:
        """ARN → target group, in the order of `names`. Raises ELASTIC_LOAD_BALANCING_INVALID."""
        answer = await self.elb("DescribeTargetGroups", region, Names=names)
        found = {group["TargetGroupName"]: group for group in answer["TargetGroups"]}
        missing = [name for name in names if name not in found]
        if missing:
            raise balancer_invalid(f"One or more target groups not found: {', '.join(missing)}")
        return {found[name]["TargetGroupArn"]: found[name] for name in names}

    async def deregistration_delay_s(self, region: str, target_group_arn: str) -> float:
        answer = await self.elb("DescribeTargetGroupAttributes", region, TargetGroupArn=target_group_arn)
        attributes = {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}
        return float(attributes.get("deregistration_delay.timeout_seconds", 300))

    async def long_connections(self, region: str, listener_arn: str) -> str:
        """What a listener's tag says of connections on the colour that is left."""
        answer = await self.elb("DescribeTags", region, ResourceArns=[listener_arn])
        tags = {tag["Key"]: tag["Value"] for found in answer["TagDescriptions"] for tag in found["Tags"]}
        return policy_in(tags)

    async def routes(self, region: str, listener_arn: str) -> list[Route]:
        """What a listener forwards to, its rules included."""
        answer = await self.elb("DescribeListeners", region, ListenerArns=[listener_arn])
        rules: list[Mapping[str, Any]] = []
        params: dict[str, Any] = {"ListenerArn": listener_arn}
        while True:
            page = await self.elb("DescribeRules", region, **params)
            rules += page.get("Rules", [])
            if not page.get("NextMarker"):
                break
            params["Marker"] = page["NextMarker"]
        return routes_of(answer["Listeners"][0], rules)

    async def ensure_weights(self, region: str, listener_arn: str, weights: Weights, cause: str | None) -> bool:
        """Put every route that holds one of the two target groups at `weights`; whether one had to be moved."""
        moved = False
        for route in routes_with(await self.routes(region, listener_arn), weights):
            if route.is_at(weights):
                continue
            moved = True
            actions = actions_at(route.actions, weights)
            if route.rule_arn is None:
                params: dict[str, Any] = {"ListenerArn": listener_arn, "DefaultActions": actions}
                await self.elb("ModifyListener", region, cause=cause, **params)
            else:
                await self.elb("ModifyRule", region, cause=cause, RuleArn=route.rule_arn, Actions=actions)
        return moved
