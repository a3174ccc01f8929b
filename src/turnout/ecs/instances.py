"""Container instances: this machine is the one of every cluster, from the start. `machines.py` says under which id."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from turnout.aws import Answer, Call
from turnout.ecs.machines import look_for_instance
from turnout.ecs.pages import page
from turnout.ecs.room import Room, short_name
from turnout.ecs.task_description import container_instance_arn
from turnout.ecs.task_rows import counted
from turnout.errors import AwsError
from turnout.names import arn

CPU_UNITS = 1024
"""Of one core."""


class ContainerInstances(Room):
    async def list_container_instances(self, call: Call) -> Answer:
        cluster = self.cluster_of(call)
        await look_for_instance(self, call.region, cluster)
        if call.get("filter"):
            raise AwsError("InvalidParameterException", "turnout does not implement the cluster query language yet.")
        is_shown = call.get("status", "ACTIVE") == "ACTIVE"
        arns = [container_instance_arn(self, call.region, cluster)] if is_shown else []
        return page(call, "containerInstanceArns", arns)

    async def describe_container_instances(self, call: Call) -> Answer:
        cluster = self.cluster_of(call)
        await look_for_instance(self, call.region, cluster)
        own = container_instance_arn(self, call.region, cluster)
        found, failures = [], []
        for text in call["containerInstances"]:
            if short_name(text) == short_name(own):
                found.append(self._described_machine(call, cluster, own))
            else:
                missing = arn("ecs", call.region, f"container-instance/{cluster}/{short_name(text)}")
                failures.append({"arn": missing, "reason": "MISSING"})
        return {"containerInstances": found, "failures": failures}

    def _described_machine(self, call: Call, cluster: str, own: str) -> dict[str, Any]:
        machine = self.instance(call.region, cluster)
        attributes = {
            "ecs.os-type": "linux",
            "ecs.availability-zone": f"{call.region}a",
            "ecs.cpu-architecture": os.uname().machine,
            **machine.get("attributes", {}),
        }
        tasks = self.tasks.of_cluster(call.region, cluster)
        running, pending = counted(tasks)
        resources = [
            {"name": name, "type": "INTEGER", "integerValue": amount} for name, amount in machine_resources().items()
        ]
        return {
            "containerInstanceArn": own,
            "ec2InstanceId": machine["ec2InstanceId"],
            "version": 1,
            "versionInfo": {},
            "registeredResources": resources,
            "remainingResources": resources,
            "status": "ACTIVE",
            "agentConnected": True,
            "runningTasksCount": running,
            "pendingTasksCount": pending,
            "attributes": [{"name": name, "value": value} for name, value in attributes.items()],
            "registeredAt": machine["registeredAt"],
            "attachments": [],
            "tags": self.tags_of(call.region, own) if "TAGS" in call.get("include", ()) else [],
        }


@cache
def machine_resources() -> dict[str, int]:
    """CPU units and MEMORY in MiB that this machine has."""
    memory_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20)
    return {"CPU": (os.cpu_count() or 1) * CPU_UNITS, "MEMORY": memory_mib}
