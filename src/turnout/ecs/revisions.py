"""Service revisions: what a deployment brings, kept for good, because what is deployed changes and they do not.

A revision has the number of its task set (deployment `ecs-svc/N` is revision `N`), as on AWS. Its document is an
entry of DescribeServiceRevisions; image digests that were not known at once are completed when its deployment ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.ecs.service_rows import Service, TaskSet
from turnout.names import arn
from turnout.store import Shelf, Store, Transaction

MEMBERS = (
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "platformFamily",
    "loadBalancers",
    "serviceRegistries",
    "networkConfiguration",
)


def revision_arn(region: str, cluster: str, service: str, set_id: str) -> str:
    return arn("ecs", region, f"service-revision/{cluster}/{service}/{set_id.rsplit('/', 1)[-1]}")


class Revisions:
    def __init__(self, store: Store) -> None:
        self._shelf = Shelf(store, "ecs.service-revision")

    def find(self, region: str, revision: str) -> dict[str, Any] | None:
        return self._shelf.find(region, revision)

    def keep(
        self,
        tx: Transaction,
        service: Service,
        one: TaskSet,
        asked: Mapping[str, Any],
        definition: Mapping[str, Any],
    ) -> None:
        """A new revision. `asked` is the service as its user wants it; the set knows its resolved target groups."""
        advanced = {b["targetGroupArn"]: b.get("advancedConfiguration") for b in asked.get("loadBalancers", ())}
        rules: dict[str, str] = {}
        for group, more in advanced.items():
            if more:
                rules |= {group: more["productionListenerRule"]}
                rules |= {more["alternateTargetGroupArn"]: more["productionListenerRule"]}
        resolved = [
            {"targetGroupArn": group, **({"productionListenerRule": rules[group]} if group in rules else {})}
            for group in one.target_groups
        ]
        document = {
            "serviceRevisionArn": revision_arn(one.region, one.cluster, one.service, one.id),
            "serviceArn": service.arn,
            "clusterArn": service.body["clusterArn"],
            "taskDefinition": one.task_definition,
            **{member: asked[member] for member in MEMBERS if asked.get(member)},
            "containerImages": [
                _image(container["name"], container["image"], one.pins)
                for container in definition["containerDefinitions"]
            ],
            "guardDutyEnabled": False,
            "createdAt": one.created_at,
        }
        if resolved:
            document["resolvedConfiguration"] = {"loadBalancers": resolved}
        self._shelf.put(tx, one.region, document["serviceRevisionArn"], document)

    def complete(self, tx: Transaction, one: TaskSet) -> None:
        """The digests that were found when the tasks of the set were started."""
        revision = revision_arn(one.region, one.cluster, one.service, one.id)
        document = self.find(one.region, revision)
        if document is not None:
            self._shelf.put(tx, one.region, revision, with_digests(document, one.pins))


def with_digests(document: Mapping[str, Any], pins: Mapping[str, str]) -> dict[str, Any]:
    images = [_image(each["containerName"], each["image"], pins) for each in document["containerImages"]]
    return {**document, "containerImages": images}


def _image(container: str, image: str, pins: Mapping[str, str]) -> dict[str, str]:
    found = {"containerName": container, "image": image}
    digest = pins.get(container, "").partition("@")[2]
    return found | ({"imageDigest": digest} if digest else {})
