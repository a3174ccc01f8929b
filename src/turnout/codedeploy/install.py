"""Install: the replacement task set is created in the idle target group, and is healthy before anything else happens.

What is left after a crash is a task set whose externalId is the deployment's id: it is found again by that.
"""

from __future__ import annotations

from typing import Any

from turnout.codedeploy.colours import primary_of, task_set_made_for, task_set_of, task_sets_info
from turnout.codedeploy.health import Never, Sight, is_ending, unhealthy_among, verdict
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.routes import routes_with
from turnout.codedeploy.tail import log_tail
from turnout.errors import StepFailed
from turnout.runner import Done, Wait
from turnout.runs import Run, Step

LAST_WORDS_S = 0.25
LOOK_AGAIN_S = 5.0
"""In case nothing wakes us: the grace period of a target ends without a sound."""


class Install:
    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        reach, region, spec = self._reach, run.region, run.spec
        service = await reach.service(region, spec["cluster"], spec["service"])
        task_set = task_set_made_for(service, run.name)
        if task_set is None:
            if "task_set" in run.facts["green"]:
                raise StepFailed(
                    "ECS_UPDATE_ERROR",
                    f"The replacement task set {run.facts['green']['task_set']} disappeared while it was installed.",
                )
            task_set = await self._create(run, step, service)
        green = reach.facts(run)["green"] | {
            "task_set": task_set["taskSetArn"],
            "task_set_id": task_set["id"],
            "task_definition": task_set["taskDefinition"],
        }
        reach.remember(run, green=green)
        await self._see(run, service)
        return await self._judge(run, service, task_set, green)

    async def ensure_back(self, run: Run, step: Step) -> Done:
        """Of a rollback: no task set is created, the original one is still there."""
        service = await self._reach.service(run.region, run.spec["cluster"], run.spec["service"])
        blue = task_set_of(service, run.facts["blue"]["task_set"])
        if blue is None or blue["status"] == "DRAINING":
            raise StepFailed(
                "ECS_UPDATE_ERROR",
                f"The original task set {run.facts['blue']['task_set']} is gone: deploy the former revision again.",
            )
        return Done()

    async def _create(self, run: Run, step: Step, service: dict[str, Any]) -> dict[str, Any]:
        reach, region, spec, appspec = self._reach, run.region, run.spec, run.spec["appspec"]
        blue, green = run.facts["blue"]["target_group"], run.facts["green"]["target_group"]
        await self._clear(run, step, service, green)
        routes = await reach.routes(region, spec["listener_arn"])
        if not routes_with(routes, [green]):
            # A target group that no listener holds is not checked: its health would never be known. At weight 0 it is.
            await reach.ensure_weights(region, spec["listener_arn"], {blue: 100, green: 0}, f"step:{step.id}")
        current = primary_of(service) or {}
        strategy = appspec["capacity_provider_strategy"] or current.get("capacityProviderStrategy")
        options = {
            "capacityProviderStrategy": strategy,
            "launchType": None if strategy else current.get("launchType"),
            "networkConfiguration": appspec["network_configuration"] or current.get("networkConfiguration"),
            "platformVersion": appspec["platform_version"] or current.get("platformVersion"),
            "serviceRegistries": current.get("serviceRegistries"),
        }
        answer = await reach.ecs(
            "CreateTaskSet",
            region,
            cause=f"step:{step.id}",
            cluster=spec["cluster"],
            service=spec["service"],
            externalId=run.name,
            taskDefinition=appspec["task_definition"],
            scale={"value": 100.0, "unit": "PERCENT"},
            loadBalancers=[
                {
                    "targetGroupArn": green,
                    "containerName": appspec["container_name"],
                    "containerPort": appspec["container_port"],
                }
            ],
            **{name: value for name, value in options.items() if value},
        )
        created: dict[str, Any] = answer["taskSet"]
        return created

    async def _clear(self, run: Run, step: Step, service: dict[str, Any], green: str) -> None:
        """Delete what an earlier deployment left in the idle target group: it would answer beside the new tasks."""
        for task_set in service.get("taskSets", []):
            groups = [balancer.get("targetGroupArn") for balancer in task_set.get("loadBalancers", [])]
            if task_set["status"] == "ACTIVE" and green in groups:
                await self._reach.ecs(
                    "DeleteTaskSet",
                    run.region,
                    cause=f"step:{step.id}",
                    cluster=run.spec["cluster"],
                    service=run.spec["service"],
                    taskSet=task_set["taskSetArn"],
                    force=True,
                )

    async def _judge(
        self, run: Run, service: dict[str, Any], task_set: dict[str, Any], green: dict[str, Any]
    ) -> Done | Wait:
        reach, region, spec = self._reach, run.region, run.spec
        where = (region, spec["cluster"], spec["service"], task_set["id"])
        health = await reach.elb("DescribeTargetHealth", region, TargetGroupArn=green["target_group"])
        groups = await reach.target_groups(region, [green["target_group_name"]])
        seen = verdict(
            Sight(
                task_set=task_set,
                desired=int(service.get("desiredCount", 0)),
                targets=health["TargetHealthDescriptions"],
                running=await reach.tasks(*where, "RUNNING"),
                stopped=await reach.tasks(*where, "STOPPED"),
                target_group=groups[green["target_group"]],
                grace_s=float(service.get("healthCheckGracePeriodSeconds") or 0),
                now=reach.clock.now(),
                ignores_targets=bool(spec.get("ignores_target_health")),
            )
        )
        if (unhealthy := unhealthy_among(health["TargetHealthDescriptions"])) is not None:
            reach.remember(run, unhealthy=unhealthy)
        if isinstance(seen, Never) and is_ending(seen.task):
            return Wait(LAST_WORDS_S, f"{seen.why}; its last words are being read")
        if isinstance(seen, Never):
            checked = reach.facts(run).get("unhealthy")
            why = seen.why if checked is None or checked in seen.why else f"{seen.why.rstrip('.')}; {checked}"
            lines = await log_tail(reach.aws, region, seen.task) if seen.task else []
            reach.remember(run, log_tail=lines)
            said = "".join(f"\n  {line}" for line in lines)
            raise StepFailed(
                "HEALTH_CONSTRAINTS",
                f"The replacement task set cannot become healthy: {why.rstrip('.')}."
                + (f" Its last output:{said}" * bool(said)),
            )
        if isinstance(seen, str):
            steady = task_set.get("stabilityStatus") == "STEADY_STATE"
            health_topic = f"elbv2.health/{region}/{green['target_group']}"
            topic = health_topic if steady else f"ecs.taskset/{region}/{task_set['taskSetArn']}"
            return Wait(LOOK_AGAIN_S, seen, on=topic)
        reach.remember(run, green={**green, "images": await reach.images(*where)})
        return Done()

    async def _see(self, run: Run, service: dict[str, Any]) -> None:
        routes = await self._reach.routes(run.region, run.spec["listener_arn"])
        self._reach.remember(run, task_sets=task_sets_info(service, routes, self._reach.facts(run)))
