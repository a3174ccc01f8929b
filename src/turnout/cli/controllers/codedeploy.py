"""A deployment group of CodeDeploy as the controller of its service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from turnout.cli import appspec
from turnout.cli.clients import Clients, is_missing
from turnout.cli.controllers import Former, TooLate
from turnout.cli.controllers.revisions import history, images_in, version_of
from turnout.cli.place import Place
from turnout.cli.seeing import Seer
from turnout.cli.serves import Serving, lead_all_to, routes, who_serves
from turnout.cli.shifts import Shift, shift_of_group
from turnout.cli.sight import Sight
from turnout.cli.versions import Document, short_name
from turnout.cli.view import UNDER_WAY
from turnout.errors import SetupError


class CodeDeploy:
    has_spec = True

    def __init__(self, clients: Clients, place: Place) -> None:
        self.clients = clients
        self.place = place
        self.cluster, self.service, self.name = place.cluster, place.service, place.name
        self.strategy = place.config
        self._seer = Seer(clients, place)

    def look(self, deployment: str) -> Sight:
        return self._seer.look(deployment)

    def newest(self, *, is_under_way: bool = False) -> str | None:
        only = {"includeOnlyStatuses": sorted(UNDER_WAY)} if is_under_way else {}
        listed: list[str] = self.clients("codedeploy").list_deployments(
            applicationName=self.place.application, deploymentGroupName=self.place.group, **only
        )["deployments"]
        return listed[0] if listed else None

    def serving(self) -> Serving:
        return who_serves(self.clients, self.place)

    def plan(self, spec: Document | None, config: str | None) -> list[str]:
        codedeploy = self.clients("codedeploy")
        group = codedeploy.get_deployment_group(
            applicationName=self.place.application, deploymentGroupName=self.place.group
        )["deploymentGroupInfo"]
        return shift_of_group(group, self.shift(config), appspec.hooks_of(spec or {}))

    def shift(self, config: str | None = None) -> Shift:
        """How a deployment configuration, else the group's, moves the traffic. Raises SetupError."""
        config = config or self.place.config
        try:
            found = self.clients("codedeploy").get_deployment_config(deploymentConfigName=config)
        except Exception as error:
            if is_missing(error, "DeploymentConfigDoesNotExistException", "InvalidDeploymentConfigNameException"):
                raise SetupError(f"there is no deployment configuration {config} in {self.clients.region}.") from error
            raise
        return Shift.of_config(found["deploymentConfigInfo"].get("trafficRoutingConfig", {}))

    def begin(
        self, task_definition: str, spec: Document | None, config: str | None = None, description: str | None = None
    ) -> str:
        revision = appspec.revision_of(appspec.running(spec or {}, task_definition, "the AppSpec"))
        chosen: dict[str, Any] = {"deploymentConfigName": config, "description": description}
        try:
            answer = self.clients("codedeploy").create_deployment(
                applicationName=self.place.application,
                deploymentGroupName=self.place.group,
                revision=revision,
                **{name: value for name, value in chosen.items() if value is not None},
            )
        except Exception as error:
            if is_missing(error, "DeploymentLimitExceededException"):
                message = error.response["Error"]["Message"]  # type: ignore[attr-defined]
                raise SetupError(f"{message}. `turnout watch` follows it, `turnout stop` ends it.") from error
            raise
        return str(answer["deploymentId"])

    def stop(self, deployment: str, *, roll_back: bool) -> str:
        try:
            answer = self.clients("codedeploy").stop_deployment(deploymentId=deployment, autoRollbackEnabled=roll_back)
        except Exception as error:
            if is_missing(error, "DeploymentAlreadyCompletedException"):
                raise TooLate(error.response["Error"]["Message"]) from error  # type: ignore[attr-defined]
            raise
        return str(answer.get("statusMessage") or f"stop {answer['status']}")

    def go_on(self, sight: Sight) -> bool:
        try:
            self.clients("codedeploy").continue_deployment(deploymentId=sight.deployment, deploymentWaitType=sight.asks)
        except Exception as error:
            # Between the look and the call the wait may have ended by itself: then there is nothing to end.
            if is_missing(error, "DeploymentAlreadyCompletedException", "InvalidDeploymentStatusException"):
                return False
            if is_missing(error, "DeploymentIsNotInReadyStateException"):
                return False
            raise
        return True

    def lead_back(self, serving: Serving) -> Iterator[str]:
        place, ecs = self.place, self.clients("ecs")
        other = next(arn for arn in place.target_groups.values() if arn != serving.target_group)
        for listener in (*place.production, *place.test):
            for name in lead_all_to(self.clients, list(routes(self.clients, listener)), serving.target_group, other):
                yield f"{name} leads to {serving.target_group.split('/')[1]} alone again."
        service = ecs.describe_services(cluster=place.cluster, services=[place.service])["services"][0]
        primary = next(one for one in service["taskSets"] if one["status"] == "PRIMARY")
        for one in service["taskSets"]:
            # An older one is blue of a group that keeps it (KEEP_ALIVE).
            if one["status"] == "ACTIVE" and one["createdAt"] > primary["createdAt"]:
                ecs.delete_task_set(cluster=place.cluster, service=place.service, taskSet=one["taskSetArn"], force=True)
                yield f"{short_name(one['taskDefinition'])} of {one.get('externalId', one['id'])} is being ended."

    def ran(self, deployment: str | None, task_definition: Document) -> dict[str, str]:
        receipt = self.clients.told(f"receipts/{self.clients.region}/{deployment}") if deployment else None
        return images_in(receipt, task_definition)

    def history(self, serving: Serving) -> Iterator[Former]:
        return history(self.clients, self.place, serving)

    def version_of(self, deployment: str) -> Former:
        return version_of(self.clients, self.place, deployment)

    def spec_for(self, former: Former, task_definition: str) -> Document | None:
        """Its own, hooks included; without one the container and port of the service."""
        if former.spec:
            return appspec.running(dict(former.spec), task_definition, str(former.deployment))
        service = self.clients("ecs").describe_services(cluster=self.cluster, services=[self.service])["services"][0]
        primary = next(task_set for task_set in service["taskSets"] if task_set["status"] == "PRIMARY")
        balancer = primary["loadBalancers"][0]
        return appspec.made_for(task_definition, balancer["containerName"], balancer["containerPort"])
