"""Which EC2 instance this machine is to a cluster.

There is one machine. To a cluster it is an instance of its own, until EC2 has one whose user data says
ECS_CLUSTER=<cluster>, as an Auto Scaling group launches them: from then on it bears that instance's id. Further
instances are records of EC2 alone: their CPU is not there.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bootstrap_container_instance.html
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from turnout.ecs.room import Room

RUNNING = [{"Name": "instance-state-name", "Values": ["running"]}]

_CLUSTER = re.compile(r"""\bECS_CLUSTER=["']?(?P<name>[A-Za-z0-9_-]+)""")


async def look_for_instance(room: Room, region: str, cluster: str) -> None:
    """Bind a cluster to the oldest instance that names it, or free it from one that is gone.

    A cluster in which tasks live stays with the instance that it has: their targets are registered by its id.
    """
    if any(not task.is_stopped for task in room.tasks.of_cluster(region, cluster)):
        return
    known = room.machine_shelf.find(region, cluster)
    found = await _oldest_instance(room, region, cluster)
    if (known or {}).get("ec2InstanceId") == (found or {}).get("ec2InstanceId"):
        return
    with room.store.transaction() as tx:
        if found is None:
            room.machine_shelf.delete(tx, region, cluster)
        else:
            room.machine_shelf.put(tx, region, cluster, {**found, "registeredAt": room.clock.now()})


def cluster_of_user_data(encoded: str) -> str | None:
    """The cluster that an instance's user data (base64) joins; None if it names none. The last one counts. Pure."""
    try:
        text = base64.b64decode(encoded).decode(errors="replace")
    except (binascii.Error, ValueError):
        return None
    names = [match["name"] for match in _CLUSTER.finditer(text)]
    return names[-1] if names else None


async def _oldest_instance(room: Room, region: str, cluster: str) -> dict[str, Any] | None:
    answer = await room.aws.call("ec2", "DescribeInstances", region, Filters=RUNNING)
    instances = [instance for each in answer["Reservations"] for instance in each["Instances"]]
    for instance in sorted(instances, key=lambda one: (one["LaunchTime"], one["InstanceId"])):
        attribute = await room.aws.call(
            "ec2", "DescribeInstanceAttribute", region, InstanceId=instance["InstanceId"], Attribute="userData"
        )
        if cluster_of_user_data(attribute.get("UserData", {}).get("Value", "")) == cluster:
            return _described(instance)
    return None


def _described(instance: dict[str, Any]) -> dict[str, Any]:
    attributes = {
        "ecs.ami-id": instance.get("ImageId"),
        "ecs.instance-type": instance.get("InstanceType"),
        "ecs.vpc-id": instance.get("VpcId"),
        "ecs.subnet-id": instance.get("SubnetId"),
        "ecs.availability-zone": instance.get("Placement", {}).get("AvailabilityZone"),
    }
    return {
        "ec2InstanceId": instance["InstanceId"],
        "attributes": {name: value for name, value in attributes.items() if value},
    }
