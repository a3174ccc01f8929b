"""Clusters: records, with the counts of what runs in them."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.ecs.pages import page
from turnout.ecs.room import Room, short_name
from turnout.ecs.task_rows import counted
from turnout.errors import AwsError
from turnout.names import arn

DEFAULT_SETTINGS = [{"name": "containerInsights", "value": "disabled"}]
MOST_DESCRIBED = 100


class Clusters(Room):
    def create_cluster(self, call: Call) -> Answer:
        """Idempotent: an ACTIVE cluster of that name is answered as it is."""
        name = call.get("clusterName", "default")
        if found := self.find_cluster(call.region, name):
            return {"cluster": self._described_cluster(call.region, found, ("SETTINGS", "TAGS"))}
        cluster_arn = arn("ecs", call.region, f"cluster/{name}")
        body = {
            "clusterArn": cluster_arn,
            "clusterName": name,
            "status": "ACTIVE",
            "settings": call.get("settings") or DEFAULT_SETTINGS,
            "capacityProviders": call.get("capacityProviders", []),
            "defaultCapacityProviderStrategy": call.get("defaultCapacityProviderStrategy", []),
        }
        for member in ("configuration", "serviceConnectDefaults"):
            if call.get(member):
                body[member] = call[member]
        with self.store.transaction() as tx:
            self.clusters.put(tx, call.region, name, body)
            self.put_tags(tx, call.region, cluster_arn, call.get("tags", []))
        return {"cluster": self._described_cluster(call.region, body, ("SETTINGS", "TAGS"))}

    def describe_clusters(self, call: Call) -> Answer:
        wanted = call.get("clusters") or ["default"]
        if len(wanted) > MOST_DESCRIBED:
            raise AwsError("InvalidParameterException", f"Clusters cannot be greater than {MOST_DESCRIBED}.")
        clusters, failures = [], []
        for text in wanted:
            found = self.clusters.find(call.region, short_name(text))
            if found is None:
                missing = arn("ecs", call.region, f"cluster/{short_name(text)}")
                failures.append({"arn": missing, "reason": "MISSING"})
            else:
                clusters.append(self._described_cluster(call.region, found, call.get("include", ())))
        return {"clusters": clusters, "failures": failures}

    def list_clusters(self, call: Call) -> Answer:
        found = [one["clusterArn"] for one in self.clusters.list(call.region) if one["status"] == "ACTIVE"]
        return page(call, "clusterArns", found)

    def update_cluster(self, call: Call) -> Answer:
        changes = {m: call[m] for m in ("settings", "configuration", "serviceConnectDefaults") if call.get(m)}
        return self._changed_cluster(call, **changes)

    def update_cluster_settings(self, call: Call) -> Answer:
        return self._changed_cluster(call, settings=call["settings"])

    def put_cluster_capacity_providers(self, call: Call) -> Answer:
        known = {"FARGATE", "FARGATE_SPOT", *(one["name"] for one in self.capacity.list(call.region))}
        for name in call["capacityProviders"]:
            if name not in known:
                raise AwsError(
                    "InvalidParameterException",
                    "The specified capacity provider does not exist. Specify a valid name or ARN and try again.",
                )
        return self._changed_cluster(
            call,
            capacityProviders=call["capacityProviders"],
            defaultCapacityProviderStrategy=call["defaultCapacityProviderStrategy"],
        )

    def delete_cluster(self, call: Call) -> Answer:
        """Refused while services or tasks live in it. This machine leaves with the cluster."""
        name = self.cluster_of(call)
        if any(service.status != "INACTIVE" for service in self.services.of_cluster(call.region, name)):
            raise AwsError(
                "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."
            )
        if any(not task.is_stopped for task in self.tasks.of_cluster(call.region, name)):
            raise AwsError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
        with self.store.transaction() as tx:
            self.machine_shelf.delete(tx, call.region, name)
        return self._changed_cluster(call, status="INACTIVE")

    def _changed_cluster(self, call: Call, **changes: Any) -> Answer:
        name = self.cluster_of(call)
        body = self.clusters.find(call.region, name) or {}
        body |= changes
        with self.store.transaction() as tx:
            self.clusters.put(tx, call.region, name, body)
        return {"cluster": self._described_cluster(call.region, body, ("SETTINGS", "TAGS"))}

    def _described_cluster(
        self, region: str, body: dict[str, Any], include: tuple[str, ...] | list[str]
    ) -> dict[str, Any]:
        name = body["clusterName"]
        services = [s for s in self.services.of_cluster(region, name) if s.status != "INACTIVE"]
        tasks = self.tasks.of_cluster(region, name)
        running, pending = counted(tasks)
        shown = {
            **body,
            "registeredContainerInstancesCount": 1 if body["status"] == "ACTIVE" else 0,
            "runningTasksCount": running,
            "pendingTasksCount": pending,
            "activeServicesCount": sum(service.status == "ACTIVE" for service in services),
            "statistics": [],
            "tags": self.tags_of(region, body["clusterArn"]) if "TAGS" in include else [],
        }
        if "SETTINGS" not in include:
            shown["settings"] = []
        if "CONFIGURATIONS" not in include:
            shown.pop("configuration", None)
        if "STATISTICS" in include:
            for kind, word in (("EC2", "EC2"), ("Fargate", "FARGATE")):
                run, pend = counted([task for task in tasks if task.launch_type == word])
                own = [s.status for s in services if s.body.get("launchType", "EC2") == word]
                figures = {
                    f"running{kind}TasksCount" if kind == "EC2" else "RunningFargateTasksCount": run,
                    f"pending{kind}TasksCount": pend,
                    f"active{kind}ServiceCount": own.count("ACTIVE"),
                    f"draining{kind}ServiceCount": own.count("DRAINING"),
                }
                shown["statistics"] += [{"name": n, "value": str(v)} for n, v in figures.items()]
        return shown
