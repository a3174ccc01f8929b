"""ECS itself as the controller of a service: its service deployments, by BLUE_GREEN, CANARY, LINEAR or ROLLING."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from turnout.cli.clients import Clients, is_missing
from turnout.cli.controllers import Former, TooLate
from turnout.cli.controllers.native_sight import group_of, sight_of_service
from turnout.cli.serves import Serving, lead_all_to, routes_of_rule
from turnout.cli.shifts import shift_of_service
from turnout.cli.sight import Sight
from turnout.cli.versions import Document, described
from turnout.cli.view import SHIFTING
from turnout.errors import SetupError

BEGINS_WITHIN_S = 60.0
LOOK_EVERY_S = 0.5


class Native:
    has_spec = False

    def __init__(self, clients: Clients, service: Mapping[str, Any]) -> None:
        self.clients = clients
        self.cluster, self.service = service["clusterArn"].rpartition("/")[2], service["serviceName"]
        self.name = f"{self.cluster}/{self.service}"
        self.strategy = service.get("deploymentConfiguration", {}).get("strategy", "ROLLING")
        self._arn = service["serviceArn"]
        self._revisions: dict[str, dict[str, Any]] = {}

    def look(self, deployment: str) -> Sight:
        found = self._described(deployment)
        groups = {
            colour: group_of(self._revision(summary["arn"])) if "arn" in summary else None
            for colour, summary in _sides(found).items()
        }
        health = {arn: self._health(arn) for arn in groups.values() if arn}
        receipt = self.clients.told(f"receipts/{self.clients.region}/{_id(found['serviceDeploymentArn'])}")
        return sight_of_service(found, _sides(found), groups, health, receipt)

    def newest(self, *, is_under_way: bool = False) -> str | None:
        only = {"status": sorted(SHIFTING)} if is_under_way else {}
        listed = self.clients("ecs").list_service_deployments(cluster=self.cluster, service=self.service, **only)
        return next((_id(one["serviceDeploymentArn"]) for one in listed["serviceDeployments"]), None)

    def serving(self) -> Serving:
        done = next(self._succeeded(), None)
        if done is None:
            return Serving(None, self._now()["taskDefinition"], "", ())
        revision = self._revision(done["targetServiceRevisionArn"])
        return Serving(
            deployment=_id(done["serviceDeploymentArn"]),
            task_definition=revision["taskDefinition"],
            target_group=group_of(revision) or "",
            astray=tuple(self._astray(revision)),
            revision=f"ecs-svc/{_id(revision['serviceRevisionArn'])}",
        )

    def _astray(self, revision: Mapping[str, Any]) -> Iterator[str]:
        for rule, pair, group in self._rules(revision):
            for route in routes_of_rule(self.clients, rule):
                for elsewhere, share in route.elsewhere(group, pair):
                    yield f"{route.name}: {share:.3g} % to {elsewhere}"

    def _rules(self, revision: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str], str]]:
        """(production rule, target group's name → ARN of its pair, the one that a revision uses)."""
        used = {b["targetGroupArn"] for b in revision.get("resolvedConfiguration", {}).get("loadBalancers", [])}
        for balancer in self._now().get("loadBalancers", []):
            if advanced := balancer.get("advancedConfiguration"):
                pair = [balancer["targetGroupArn"], advanced["alternateTargetGroupArn"]]
                group = next((arn for arn in pair if arn in used), None)
                if group is not None:
                    yield advanced["productionListenerRule"], {arn.split("/")[1]: arn for arn in pair}, group

    def weights(self, service: Mapping[str, Any]) -> tuple[list[str], dict[str, int]]:
        """(production rules, target group → weight) of a service as it was described."""
        rules, weights = [], dict[str, int]()
        for balancer in service.get("loadBalancers", []):
            if advanced := balancer.get("advancedConfiguration"):
                rules.append(advanced["productionListenerRule"])
                pair = {balancer["targetGroupArn"]: 0, advanced["alternateTargetGroupArn"]: 0}
                for route in routes_of_rule(self.clients, rules[-1]):
                    pair |= route.weights
                weights |= pair
        return rules, weights

    def groups_in_use(self, service: Mapping[str, Any]) -> set[str]:
        """The target groups of all revisions that have tasks."""
        revisions = [self._revision(one["arn"]) for one in service.get("currentServiceRevisions", [])]
        return {group for revision in revisions if (group := group_of(revision))}

    def plan(self, spec: Document | None, config: str | None) -> list[str]:
        if config is not None:
            raise SetupError(
                f"--config is CodeDeploy's: {self.name} is released by ECS, by its strategy {self.strategy}."
            )
        return shift_of_service(self._now())

    def begin(
        self, task_definition: str, spec: Document | None, config: str | None = None, description: str | None = None
    ) -> str:
        former = self.newest()
        # The same revision again is a deployment as well: somebody asked for one.
        again = {"forceNewDeployment": True} if self._now()["taskDefinition"] == task_definition else {}
        self.clients("ecs").update_service(
            cluster=self.cluster, service=self.service, taskDefinition=task_definition, **again
        )
        return self.begun_after(former)

    def begun_after(self, former: str | None) -> str:
        """The deployment that UpdateService has begun: on AWS it is listed a moment later."""
        deadline = time.monotonic() + BEGINS_WITHIN_S
        while (begun := self.newest()) is None or begun == former:
            if time.monotonic() > deadline:
                raise SetupError(f"ECS has not begun a deployment of {self.name} within {BEGINS_WITHIN_S:g} s.")
            time.sleep(LOOK_EVERY_S)
        return begun

    def stop(self, deployment: str, *, roll_back: bool) -> str:
        if not roll_back:
            raise SetupError("ECS stops a deployment by rolling it back: leave --no-rollback out.")
        try:
            self.clients("ecs").stop_service_deployment(
                serviceDeploymentArn=self._arn_of(deployment), stopType="ROLLBACK"
            )
        except Exception as error:
            if is_missing(error, "ConflictException"):
                raise TooLate(error.response["Error"]["Message"]) from error  # type: ignore[attr-defined]
            raise
        return "is being rolled back"

    def go_on(self, sight: Sight) -> bool:
        try:
            self.clients("ecs").continue_service_deployment(
                serviceDeploymentArn=self._arn_of(sight.deployment), hookId=sight.asks, action="CONTINUE"
            )
        except Exception as error:
            if is_missing(error, "InvalidParameterException", "ConflictException"):
                return False
            raise
        return True

    def lead_back(self, serving: Serving) -> Iterator[str]:
        revision = next((self._revision(one["targetServiceRevisionArn"]) for one in self._succeeded()), {})
        for rule, pair, group in self._rules(revision):
            (other,) = (arn for arn in pair.values() if arn != group)
            for name in lead_all_to(self.clients, list(routes_of_rule(self.clients, rule)), group, other):
                yield f"{name} leads to {group.split('/')[1]} alone again."

    def ran(self, deployment: str | None, task_definition: Document) -> dict[str, str]:
        if deployment is None:
            return {}
        revision = self._revision(self._target(self._described(deployment)))
        return self._images(revision) if revision["taskDefinition"] == task_definition["taskDefinitionArn"] else {}

    def history(self, serving: Serving) -> Iterator[Former]:
        is_before = False
        for one in self._succeeded():
            number = _id(one["serviceDeploymentArn"])
            if is_before and (former := self._brought(number, one["targetServiceRevisionArn"])):
                yield former
            is_before = is_before or number == serving.deployment
            if is_before:
                oldest = self._described(number)
        # What the oldest deployment that is still listed has replaced.
        for summary in oldest.get("sourceServiceRevisions", []) if is_before else []:
            if former := self._brought(None, summary["arn"]):
                yield former

    def version_of(self, deployment: str) -> Former:
        former = self._brought(deployment, self._target(self._described(deployment)))
        if former is None:
            raise SetupError(f"the task definition of {deployment} is gone: name a FAMILY:REVISION.")
        return former

    def spec_for(self, former: Former, task_definition: str) -> Document | None:
        return None

    def _brought(self, deployment: str | None, revision_arn: str) -> Former | None:
        try:
            revision = self._revision(revision_arn)
            found = described(self.clients, revision["taskDefinition"])
        except SetupError:
            return None
        return Former(found, deployment, ran=self._images(revision))

    def _images(self, revision: Mapping[str, Any]) -> dict[str, str]:
        from turnout.cli.controllers.revisions import by_digest

        return {
            image["containerName"]: by_digest(image["image"], image["imageDigest"])
            for image in revision.get("containerImages", [])
            if image.get("imageDigest")
        }

    def _succeeded(self) -> Iterator[dict[str, Any]]:
        """ServiceDeploymentBriefs, newest first."""
        token: dict[str, str] = {}
        while True:  # it has no paginator
            answer = self.clients("ecs").list_service_deployments(
                cluster=self.cluster, service=self.service, status=["SUCCESSFUL"], **token
            )
            yield from answer["serviceDeployments"]
            if "nextToken" not in answer:
                return
            token = {"nextToken": answer["nextToken"]}

    def _now(self) -> dict[str, Any]:
        found = self.clients("ecs").describe_services(cluster=self.cluster, services=[self.service])["services"]
        return dict(found[0])

    def _described(self, deployment: str) -> dict[str, Any]:
        arn = self._arn_of(deployment)
        found = self.clients("ecs").describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
        if not found:
            raise SetupError(f"there is no service deployment {deployment} of {self.name}.")
        return dict(found[0])

    def _revision(self, arn: str) -> dict[str, Any]:
        if arn not in self._revisions:
            answer = self.clients("ecs").describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"]
            if not answer:
                raise SetupError(f"there is no service revision {arn}.")
            self._revisions[arn] = answer[0]
        return self._revisions[arn]

    def _target(self, deployment: Mapping[str, Any]) -> str:
        return str(deployment["targetServiceRevision"]["arn"])

    def _health(self, group_arn: str) -> list[str]:
        described = self.clients("elbv2").describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]
        return [target["TargetHealth"]["State"] for target in described]

    def _arn_of(self, deployment: str) -> str:
        if deployment.startswith("arn:"):
            return deployment
        return f"{self._arn.replace(':service/', ':service-deployment/', 1)}/{deployment}"


def _id(service_deployment_arn: str) -> str:
    return service_deployment_arn.rpartition("/")[2]


def _sides(deployment: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Colour → ServiceRevisionSummary."""
    source = deployment.get("sourceServiceRevisions", [])
    return ({"blue": source[0]} if source else {}) | {"green": deployment["targetServiceRevision"]}
