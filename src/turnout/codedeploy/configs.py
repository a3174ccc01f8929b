"""Deployment configs: the five of AWS's for ECS, and custom ones. What they say is how traffic is shifted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.aws import Answer, Call
from turnout.clock import Clock
from turnout.codedeploy.records import Document, Records, page
from turnout.codedeploy.starting import ALL_AT_ONCE_CONFIG
from turnout.errors import AwsError
from turnout.names import new_uuid

PREFIX = "CodeDeployDefault."
MOST_PERCENT = 99
MOST_MINUTES = 2880


def _linear(percent: int, minutes: int) -> Document:
    return {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": percent, "linearInterval": minutes}}


def _canary(percent: int, minutes: int) -> Document:
    return {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": percent, "canaryInterval": minutes}}


PREDEFINED: Mapping[str, Document] = {
    ALL_AT_ONCE_CONFIG: {"type": "AllAtOnce"},
    "CodeDeployDefault.ECSLinear10PercentEvery1Minutes": _linear(10, 1),
    "CodeDeployDefault.ECSLinear10PercentEvery3Minutes": _linear(10, 3),
    "CodeDeployDefault.ECSCanary10Percent5Minutes": _canary(10, 5),
    "CodeDeployDefault.ECSCanary10Percent15Minutes": _canary(10, 15),
}


def find_config(records: Records, region: str, name: str) -> Document:
    """A DeploymentConfigInfo. Raises DeploymentConfigDoesNotExistException."""
    if name in PREDEFINED:
        return {
            "deploymentConfigId": f"00000000-0000-0000-0000-{[*PREDEFINED].index(name) + 1:012d}",
            "deploymentConfigName": name,
            "computePlatform": "ECS",
            "trafficRoutingConfig": PREDEFINED[name],
        }
    found = records.configs.find(region, name)
    if found is None:
        raise AwsError("DeploymentConfigDoesNotExistException", f"No Deployment Configuration found for name: {name}")
    return found


def check_routing(routing: Mapping[str, Any]) -> Document:
    """A TrafficRoutingConfig of exactly the members that its type has. Raises as CreateDeploymentConfig does."""
    kind = routing.get("type")
    shapes = {
        "TimeBasedCanary": ("timeBasedCanary", "canaryPercentage", "canaryInterval"),
        "TimeBasedLinear": ("timeBasedLinear", "linearPercentage", "linearInterval"),
    }
    if kind == "AllAtOnce" and not routing.keys() - {"type"}:
        return {"type": kind}
    if kind not in shapes or routing.keys() != {"type", shapes[kind][0]}:
        raise _wrong_routing(f"{kind} needs exactly {shapes[kind][0] if kind in shapes else 'a type'}, no other shift")
    member, percent_name, minutes_name = shapes[kind]
    percent, minutes = routing[member].get(percent_name), routing[member].get(minutes_name)
    if percent is None or not 1 <= percent <= MOST_PERCENT:
        raise _wrong_routing(f"{percent_name} must be from 1 to {MOST_PERCENT}")
    if minutes is None or not 1 <= minutes <= MOST_MINUTES:
        raise _wrong_routing(f"{minutes_name} must be from 1 to {MOST_MINUTES} minutes")
    return {"type": kind, member: {percent_name: percent, minutes_name: minutes}}


def _wrong_routing(what: str) -> AwsError:
    message = f"The traffic routing configuration is not valid: {what}."
    return AwsError("InvalidTrafficRoutingConfigurationException", message)


class Configs:
    _records: Records
    _clock: Clock

    def create_deployment_config(self, call: Call) -> Answer:
        name = call["deploymentConfigName"]
        if name.startswith(PREFIX):
            message = f"Deployment configuration names must not start with {PREFIX}"
            raise AwsError("InvalidDeploymentConfigNameException", message)
        if self._records.configs.find(call.region, name) is not None:
            message = f"Deployment Configuration already exists: {name}"
            raise AwsError("DeploymentConfigAlreadyExistsException", message)
        platform = call.get("computePlatform", "Server")
        if platform != "ECS":
            message = f"turnout deploys to Amazon ECS only: computePlatform must be ECS, not {platform}"
            raise AwsError("InvalidComputePlatformException", message)
        if call.get("minimumHealthyHosts") is not None:
            message = "For ECS deployment configuration, minimumHealthyHosts can not be specified"
            raise AwsError("InvalidMinimumHealthyHostValueException", message)
        if call.get("zonalConfig") is not None:
            message = "For ECS deployment configuration, zonalConfig can not be specified"
            raise AwsError("InvalidZonalDeploymentConfigurationException", message)
        config = {
            "deploymentConfigId": new_uuid(),
            "deploymentConfigName": name,
            "createTime": self._clock.now(),
            "computePlatform": platform,
            "trafficRoutingConfig": check_routing(call.get("trafficRoutingConfig") or {}),
        }
        with self._records.store.transaction() as tx:
            self._records.configs.put(tx, call.region, name, config)
        return {"deploymentConfigId": config["deploymentConfigId"]}

    def get_deployment_config(self, call: Call) -> Answer:
        return {"deploymentConfigInfo": find_config(self._records, call.region, call["deploymentConfigName"])}

    def list_deployment_configs(self, call: Call) -> Answer:
        names = [*PREDEFINED, *(c["deploymentConfigName"] for c in self._records.configs.list(call.region))]
        some, token = page(names, call.get("nextToken"))
        return {"deploymentConfigsList": some, "nextToken": token}

    def delete_deployment_config(self, call: Call) -> Answer:
        name = call["deploymentConfigName"]
        if name in PREDEFINED:
            raise AwsError("InvalidOperationException", f"The predefined configuration {name} cannot be deleted.")
        users = [g for g in self._records.groups.list(call.region) if g["deploymentConfigName"] == name]
        if users:
            message = f"The configuration {name} is used by deployment group {users[0]['deploymentGroupName']}"
            raise AwsError("DeploymentConfigInUseException", message)
        with self._records.store.transaction() as tx:
            self._records.configs.delete(tx, call.region, name)
        return {}
