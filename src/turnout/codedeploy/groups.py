"""Deployment groups: which service is deployed, behind which listener and pair of target groups, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnout.aws import Answer, Call
from turnout.clock import Clock
from turnout.codedeploy.colours import primary_of
from turnout.codedeploy.configs import find_config
from turnout.codedeploy.describing import status_of
from turnout.codedeploy.group_rules import checked, listener_of, pair_of
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.records import Document, Records, check_batch, group_key, page, without_tags
from turnout.codedeploy.routes import routes_with
from turnout.codedeploy.starting import KIND, History
from turnout.codedeploy.tags import check_tags
from turnout.errors import AwsError, StepFailed
from turnout.names import new_uuid
from turnout.runs import Runs

UPDATABLE = (
    "deploymentConfigName",
    "serviceRoleArn",
    "triggerConfigurations",
    "alarmConfiguration",
    "autoRollbackConfiguration",
    "outdatedInstancesStrategy",
    "deploymentStyle",
    "blueGreenDeploymentConfiguration",
    "loadBalancerInfo",
    "ecsServices",
)


class Groups:
    _records: Records
    _clock: Clock
    _reach: Reach
    _runs: Runs
    _history: History

    async def create_deployment_group(self, call: Call) -> Answer:
        application = self._records.application(call.region, call["applicationName"])
        name = call["deploymentGroupName"]
        group = checked(call.input)
        check_tags(call.get("tags", []), of_group=True)
        self._check_new(call.region, application, name)
        group |= {"deploymentGroupName": name, "deploymentGroupId": new_uuid(), "computePlatform": "ECS"}
        await self._check_world(call.region, group, is_new_route=True)
        with self._records.store.transaction() as tx:
            self._check_new(call.region, application, name)
            self._records.put_group(tx, call.region, application, {**group, "tags": call.get("tags", [])})
        return {"deploymentGroupId": group["deploymentGroupId"]}

    async def update_deployment_group(self, call: Call) -> Answer:
        """Members that are left out stay as they are. What is being deployed is not changed: its input is frozen."""
        application = self._records.application(call.region, call["applicationName"])
        name = call["currentDeploymentGroupName"]
        current = self._records.group(call.region, call["applicationName"], name)
        new_name = call.get("newDeploymentGroupName", name)
        if new_name != name:
            self._check_new(call.region, application, new_name)
        members = {member: call.input[member] for member in UPDATABLE if member in call.input}
        foreign = {member: value for member, value in call.input.items() if member not in UPDATABLE}
        group = {**current, **checked({**current, **foreign, **members}), "deploymentGroupName": new_name}
        is_new_route = group["loadBalancerInfo"] != current["loadBalancerInfo"]
        await self._check_world(call.region, group, is_new_route=is_new_route)
        with self._records.store.transaction() as tx:
            self._records.groups.delete(tx, call.region, group_key(application, name))
            self._records.put_group(tx, call.region, application, group)
        return {"hooksNotCleanedUp": []}

    def get_deployment_group(self, call: Call) -> Answer:
        group = self._records.group(call.region, call["applicationName"], call["deploymentGroupName"])
        return {"deploymentGroupInfo": self._describe_group(call.region, call["applicationName"], group)}

    def batch_get_deployment_groups(self, call: Call) -> Answer:
        application, names = call["applicationName"], call["deploymentGroupNames"]
        check_batch(names, 100, "deployment groups")
        self._records.application(call.region, application)
        found, missing = [], []
        for name in names:
            try:
                group = self._records.group(call.region, application, name)
                found.append(self._describe_group(call.region, application, group))
            except AwsError:
                missing.append(name)
        message = f"No Deployment Group found for names: {', '.join(missing)}" if missing else None
        return {"deploymentGroupsInfo": found, "errorMessage": message}

    def list_deployment_groups(self, call: Call) -> Answer:
        application = self._records.application(call.region, call["applicationName"])
        names = [group["deploymentGroupName"] for group in self._records.groups_of(call.region, application)]
        some, token = page(names, call.get("nextToken"))
        return {"applicationName": call["applicationName"], "deploymentGroups": some, "nextToken": token}

    def delete_deployment_group(self, call: Call) -> Answer:
        application = self._records.applications.find(call.region, call["applicationName"])
        if application is not None:
            with self._records.store.transaction() as tx:
                key = group_key(application, call["deploymentGroupName"])
                self._records.groups.delete(tx, call.region, key)
        return {"hooksNotCleanedUp": []}

    def _describe_group(self, region: str, application: str, group: Document) -> Document:
        history = self._history.find(region, group["deploymentGroupId"])
        described: dict[str, Any] = {
            "applicationName": application,
            **without_tags(group),
            "targetRevision": history.get("revision"),
            "lastSuccessfulDeployment": self._describe_last(region, history.get("succeeded")),
            "lastAttemptedDeployment": self._describe_last(region, history.get("attempted")),
        }
        return {member: value for member, value in described.items() if value is not None}

    def _describe_last(self, region: str, deployment_id: str | None) -> Document | None:
        run = deployment_id and self._runs.find(KIND, region, deployment_id)
        if not run:
            return None
        status = status_of(run, self._runs.steps(run.id))
        last = {"deploymentId": run.name, "status": status, "endTime": run.ended_at, "createTime": run.created_at}
        return {member: value for member, value in last.items() if value is not None}

    def _check_new(self, region: str, application: Document, name: str) -> None:
        if self._records.groups.find(region, group_key(application, name)) is not None:
            message = f"Deployment group name already exists: {name}"
            raise AwsError("DeploymentGroupAlreadyExistsException", message)

    async def _check_world(self, region: str, group: Document, *, is_new_route: bool) -> None:
        """Check what the group refers to, and normalise a production listener that is new to it."""
        find_config(self._records, region, group["deploymentConfigName"])
        self._check_service_is_free(region, group)
        service = await self._check_service(region, group["ecsServices"][0])
        names = [target_group["name"] for target_group in pair_of(group)["targetGroups"]]
        try:
            arns = list(await self._reach.target_groups(region, names))
        except StepFailed as missing:
            raise AwsError("InvalidTargetGroupPairException", missing.message) from missing
        try:
            if (test_listener_arn := listener_of(group, "testTrafficRoute")) is not None:
                await self._reach.routes(region, test_listener_arn)
            if is_new_route:
                await self._normalise(region, listener_of(group, "prodTrafficRoute") or "", service, arns)
        except StepFailed as missing:
            raise AwsError("InvalidLoadBalancerInfoException", missing.message) from missing

    async def _normalise(self, region: str, listener_arn: str, service: Document, arns: Sequence[str]) -> None:
        """Both target groups on the production listener, at 100 and 0, before the first deployment, as AWS does.

        So the idle one is checked, and its health is known. A route that shares its traffic already is left alone.
        """
        primary = primary_of(service)
        behind = [balancer.get("targetGroupArn") for balancer in (primary or {}).get("loadBalancers", [])]
        routes = routes_with(await self._reach.routes(region, listener_arn), arns)
        live = {arn for route in routes for arn, weight in route.weights.items() if weight}
        blue = next((arn for arn in arns if live == {arn} or (not live and arn in behind)), None)
        if blue is not None:
            (green,) = (arn for arn in arns if arn != blue)
            await self._reach.ensure_weights(region, listener_arn, {blue: 100, green: 0}, None)

    async def _check_service(self, region: str, service: Document) -> Document:
        try:
            found = await self._reach.service(region, service["clusterName"], service["serviceName"])
        except StepFailed as missing:
            raise AwsError("InvalidECSServiceException", missing.message) from missing
        if (found.get("deploymentController") or {}).get("type") != "CODE_DEPLOY":
            raise AwsError(
                "InvalidECSServiceException",
                "Deployment group's ECS service must be configured for a CODE_DEPLOY deployment controller.",
            )
        return found

    def _check_service_is_free(self, region: str, group: Document) -> None:
        for other in self._records.groups.list(region):
            is_other = other["deploymentGroupId"] != group["deploymentGroupId"]
            if is_other and other["ecsServices"] == group["ecsServices"]:
                service = group["ecsServices"][0]
                raise AwsError(
                    "ECSServiceMappingLimitExceededException",
                    f"The ECS service {service['clusterName']}:{service['serviceName']} is already deployed by"
                    f" deployment group {other['deploymentGroupName']}.",
                )
