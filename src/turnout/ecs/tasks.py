"""Tasks: run, describe, list, stop."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.ecs.definitions import TaskDefinitions
from turnout.ecs.launch import LATEST_FARGATE, spec_for, start_task
from turnout.ecs.pages import page
from turnout.ecs.room import short_name, unsupported
from turnout.ecs.service_rules import check_launch_type, check_network, launch_type_of
from turnout.ecs.states import USER
from turnout.ecs.task_description import container_instance_arn, describe_task, task_arn
from turnout.ecs.task_rows import Task
from turnout.errors import AwsError

MOST_STARTED, MOST_DESCRIBED = 10, 100


class Tasks(TaskDefinitions):
    def run_task(self, call: Call) -> Answer:
        count = call.get("count", 1)
        if not 1 <= count <= MOST_STARTED:
            raise AwsError("InvalidParameterException", f"count must be between 1 and {MOST_STARTED}, not {count}.")
        return self._started(call, count)

    def start_task(self, call: Call) -> Answer:
        """As RunTask, on the container instances that are named: there is only one."""
        cluster = self.cluster_of(call)
        own = container_instance_arn(self, call.region, cluster)
        wanted = call["containerInstances"]
        if not 1 <= len(wanted) <= MOST_STARTED:
            raise AwsError(
                "InvalidParameterException", f"Between 1 and {MOST_STARTED} containerInstances can be named."
            )
        failures = [{"arn": text, "reason": "MISSING"} for text in wanted if text not in (own, own.rsplit("/", 1)[-1])]
        answer = self._started(call, len(wanted) - len(failures))
        return {**answer, "failures": failures}

    def _started(self, call: Call, count: int) -> Answer:
        cluster = self.cluster_of(call)
        token = call.get("clientToken")
        cause = f"{call.cause}/RunTask" if call.cause else token and f"token:{call.region}/{cluster}/{token}"
        if known := self.tasks.of_cause(cause):
            return {"tasks": [self._described_task(task) for task in known], "failures": []}
        if call.get("volumeConfigurations"):
            raise unsupported("volumeConfigurations")
        definition = self.usable_definition(call.region, call["taskDefinition"])
        launch_type = launch_type_of(call.input)
        check_launch_type(launch_type, definition)
        check_network(call.input, definition)
        overrides = call.get("overrides", {})
        _check_overrides(overrides, definition)
        spec = spec_for(
            call.region,
            cluster,
            definition,
            launch_type,
            overrides=overrides,
            startedBy=call.get("startedBy"),
            group=call.get("group", f"family:{definition['family']}"),
            platformVersion=LATEST_FARGATE if launch_type == "FARGATE" else None,
            enableExecuteCommand=call.get("enableExecuteCommand", False),
        )
        tags = list(call.get("tags", []))
        if call.get("propagateTags") == "TASK_DEFINITION":
            tags += self.tags_of(call.region, definition["taskDefinitionArn"])
        with self.store.transaction() as tx:
            ids = [start_task(self, tx, spec, tags, cause) for _ in range(count)]
        return {"tasks": [self._described_task(self.tasks.get(task_id)) for task_id in ids], "failures": []}

    def describe_tasks(self, call: Call) -> Answer:
        cluster = self.cluster_of(call)
        wanted = call["tasks"]
        if not 1 <= len(wanted) <= MOST_DESCRIBED:
            raise AwsError("InvalidParameterException", f"Between 1 and {MOST_DESCRIBED} tasks can be described.")
        has_tags = "TAGS" in call.get("include", ())
        found, failures = [], []
        for text in wanted:
            task = self._find_task(call.region, cluster, text)
            if task is None:
                failures.append({"arn": task_arn(call.region, cluster, short_name(text)), "reason": "MISSING"})
            else:
                found.append(self._described_task(task, has_tags=has_tags))
        return {"tasks": found, "failures": failures}

    def list_tasks(self, call: Call) -> Answer:
        cluster = self.cluster_of(call)
        desired = call.get("desiredStatus", "RUNNING")
        instance = call.get("containerInstance")
        if call.get("serviceName"):
            name = short_name(call["serviceName"])
            if self.services.find(call.region, cluster, name) is None:
                raise AwsError("ServiceNotFoundException", "Service not found.")
        else:
            name = None
        is_here = instance is None or short_name(instance) == short_name(
            container_instance_arn(self, call.region, cluster)
        )
        arns = [
            task_arn(task.region, task.cluster, task.id)
            for task in self.tasks.of_cluster(call.region, cluster, name)
            if task.desired_status == desired
            and call.get("family") in (None, task.family)
            and call.get("startedBy") in (None, task.started_by)
            and call.get("launchType") in (None, task.launch_type)
            and is_here
        ]
        return page(call, "taskArns", arns)

    def stop_task(self, call: Call) -> Answer:
        cluster = self.cluster_of(call)
        task = self._find_task(call.region, cluster, call["task"])
        if task is None:
            raise AwsError("InvalidParameterException", "The referenced task was not found.")
        if task.counts:
            reason = call.get("reason", "Task stopped by user")
            with self.store.transaction() as tx:
                self.runs.request_stop(tx, task.run_id, code=USER, message=reason, at=self.clock.now())
                self.wake_set(tx, task.task_set)
        return {"task": self._described_task(self.tasks.get(task.id))}

    def _find_task(self, region: str, cluster: str, text: str) -> Task | None:
        task = self.tasks.find(short_name(text))
        return task if task and (task.region, task.cluster) == (region, cluster) else None

    def _described_task(self, task: Task, *, has_tags: bool = True) -> dict[str, Any]:
        tags = self.tags_of(task.region, task_arn(task.region, task.cluster, task.id)) if has_tags else []
        return {**describe_task(self, task), "tags": tags}


def _check_overrides(overrides: dict[str, Any], definition: dict[str, Any]) -> None:
    names = {container["name"] for container in definition["containerDefinitions"]}
    for override in overrides.get("containerOverrides", ()):
        if override.get("name") not in names:
            raise AwsError(
                "InvalidParameterException",
                f"Override for container named {override.get('name')} is not a container in the TaskDefinition.",
            )
        if override.get("environmentFiles") or override.get("resourceRequirements"):
            raise unsupported("environmentFiles and resourceRequirements of a container override")
