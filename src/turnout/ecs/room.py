"""What every part of the room holds: the rows, the documents, and how things are found by name."""

from __future__ import annotations

from typing import Any

from turnout.aws import Aws, Call, Event
from turnout.clock import Clock
from turnout.config import Config
from turnout.ecs.definition_rows import TaskDefinitionRows
from turnout.ecs.service_rows import Service, ServiceRows, TaskSet, TaskSetRows
from turnout.ecs.task_rows import TaskRows
from turnout.errors import AwsError
from turnout.names import is_arn, new_hex, resource_of
from turnout.runs import Runs
from turnout.runtimes import Runtime
from turnout.store import Shelf, Store, Transaction
from turnout.traffic import Traffic

KEEP = "Keep"
"""The step of a scheduler that keeps a task set at its count."""


class Room:
    """The operations of the room inherit it, its plans are handed it."""

    SERVICE = "ecs"

    def __init__(
        self, store: Store, runs: Runs, aws: Aws, clock: Clock, config: Config, runtime: Runtime, traffic: Traffic
    ) -> None:
        self.store = store
        self.runs = runs
        self.aws = aws
        self.clock = clock
        self.config = config
        self.runtime = runtime
        self.traffic = traffic
        self.clusters = Shelf(store, "ecs.cluster")
        self.tags = Shelf(store, "ecs.tags")
        self.capacity = Shelf(store, "ecs.capacity-provider")
        self.account_settings = Shelf(store, "ecs.account-setting")
        self.machine_shelf = Shelf(store, "ecs.machine")
        self.definitions = TaskDefinitionRows(store)
        self.services = ServiceRows(store)
        self.sets = TaskSetRows(store)
        self.tasks = TaskRows(store)

    # Finding what a call names

    def find_cluster(self, region: str, text: str | None) -> dict[str, Any] | None:
        """The document of an ACTIVE cluster, by name or ARN; "default" if none is named."""
        found = self.clusters.find(region, short_name(text or "default"))
        return found if found and found["status"] == "ACTIVE" else None

    def cluster_of(self, call: Call) -> str:
        """The name of the cluster that a call is about. Raises ClusterNotFoundException."""
        found = self.find_cluster(call.region, call.get("cluster"))
        if found is None:
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        return str(found["clusterName"])

    def service_of(self, call: Call, member: str = "service") -> Service:
        """The ACTIVE service that a call is about. Raises ServiceNotFoundException, ServiceNotActiveException."""
        cluster = self.cluster_of(call)
        service = self.services.find(call.region, cluster, short_name(call[member]))
        if service is None:
            raise AwsError("ServiceNotFoundException", "Service not found.")
        if service.status != "ACTIVE":
            raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
        return service

    def task_set_of(self, service: Service, text: str) -> TaskSet:
        """By ARN, by id (ecs-svc/…), or by its digits."""
        for one in self.sets.of_service(service):
            if text in (one.arn, one.id, one.id.split("/")[1]):
                return one
        raise AwsError(
            "TaskSetNotFoundException",
            "The specified task set wasn't found. You can view your available task sets with DescribeTaskSets."
            " Task sets are specific to each cluster, service and Region.",
        )

    # This machine

    def instance(self, region: str, cluster: str) -> dict[str, Any]:
        """The one container instance of a cluster: ec2InstanceId, registeredAt, attributes. See `machines.py`."""
        return self.machine_shelf.find(region, cluster) or self.machine()

    def machine(self) -> dict[str, Any]:
        """What this machine is to a cluster that no EC2 instance has joined: the same for as long as the home lives."""
        found = self.machine_shelf.find("", "machine")
        if found is None:
            found = {"ec2InstanceId": f"i-0{new_hex(16)}", "registeredAt": self.clock.now()}
            with self.store.transaction() as tx:
                self.machine_shelf.put(tx, "", "machine", found)
        return found

    # Telling

    def wake_set(self, tx: Transaction, set_id: str | None) -> None:
        """Let the scheduler of a task set look again."""
        one = self.sets.find(set_id) if set_id else None
        step = self.runs.find_step(one.run_id, KEEP) if one and one.run_id else None
        if step is not None and not step.status.is_over:
            self.runs.signal(tx, step.id)

    def wake_service(self, tx: Transaction, service: Service) -> None:
        for one in self.sets.of_service(service):
            self.wake_set(tx, one.id)

    def say(self, tx: Transaction, service: Service, message: str) -> None:
        """An event of a service; `message` begins behind "(service S"."""
        text = f"(service {service.name}{message}"
        self.services.say(tx, service.region, service.cluster, service.name, self.clock.now(), text)

    def announce(
        self, tx: Transaction, region: str, detail_type: str, resources: tuple[str, ...], detail: dict[str, Any]
    ) -> None:
        self.aws.announce(tx, Event("aws.ecs", detail_type, region, resources, detail, self.clock.now()))

    # Tags

    def tags_of(self, region: str, arn: str) -> list[dict[str, str]]:
        found = self.tags.find(region, arn)
        return [] if found is None else list(found["tags"])

    def put_tags(self, tx: Transaction, region: str, arn: str, tags: list[dict[str, str]]) -> None:
        if any("key" not in tag for tag in tags):
            raise AwsError("InvalidParameterException", "Each of tags must have a key.")
        if tags:
            self.tags.put(tx, region, arn, {"tags": tags})
        else:
            self.tags.delete(tx, region, arn)


def short_name(text: str) -> str:
    """The last part of a name or ARN: "cluster/web" and "service/web/api" are "web" and "api"."""
    return resource_of(text).rsplit("/", 1)[-1] if is_arn(text) else text.rsplit("/", 1)[-1]


def unsupported(what: str) -> AwsError:
    """An option that would change what happens, and that turnout cannot honour."""
    return AwsError("UnsupportedFeatureException", f"turnout does not implement {what} yet.")
