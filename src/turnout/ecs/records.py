"""Tags, account settings and capacity providers: records that make nothing happen on one machine."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.ecs.definition_rows import is_revision
from turnout.ecs.room import Room, short_name
from turnout.errors import AwsError
from turnout.names import arn, is_arn, resource_of

MOST_TAGS = 50
DEFAULT_SETTINGS = {
    "awsvpcTrunking": "disabled",
    "containerInsights": "disabled",
    "containerInstanceLongArnFormat": "enabled",
    "serviceLongArnFormat": "enabled",
    "taskLongArnFormat": "enabled",
    "tagResourceAuthorization": "off",
    "fargateFIPSMode": "disabled",
    "fargateTaskRetirementWaitPeriod": "7",
    "guardDutyActivate": "off",
    "dualStackIPv6": "disabled",
}
AWS_PROVIDERS = ("FARGATE", "FARGATE_SPOT")


class Records(Room):
    # Tags

    def tag_resource(self, call: Call) -> Answer:
        name = self._tagged(call)
        tags = {tag["key"]: tag for tag in self.tags_of(call.region, name)}
        tags |= {tag.get("key", ""): tag for tag in call["tags"]}
        if len(tags) > MOST_TAGS:
            raise AwsError("InvalidParameterException", f"A resource can have at most {MOST_TAGS} tags.")
        with self.store.transaction() as tx:
            self.put_tags(tx, call.region, name, list(tags.values()))
        return {}

    def untag_resource(self, call: Call) -> Answer:
        name = self._tagged(call)
        left = [tag for tag in self.tags_of(call.region, name) if tag["key"] not in call["tagKeys"]]
        with self.store.transaction() as tx:
            self.put_tags(tx, call.region, name, left)
        return {}

    def list_tags_for_resource(self, call: Call) -> Answer:
        return {"tags": self.tags_of(call.region, self._tagged(call))}

    def _tagged(self, call: Call) -> str:
        """The ARN of something that exists."""
        name = str(call["resourceArn"])
        if not is_arn(name):
            raise AwsError("InvalidParameterException", f"Invalid ARN: {name}")
        kind, _, rest = resource_of(name).partition("/")
        first, _, last = rest.partition("/")
        family, _, revision = rest.partition(":")
        match kind:
            case "cluster":
                exists = self.find_cluster(call.region, rest) is not None
            case "service":
                service = self.services.find(call.region, first, last)
                exists = service is not None and service.status != "INACTIVE"
            case "task-definition":
                exists = is_revision(revision) and self.definitions.find(call.region, family, int(revision)) is not None
            case "task":
                exists = self.tasks.find(short_name(name)) is not None
            case "task-set":
                exists = any(one.arn == name for one in self.sets.everywhere())
            case "container-instance":
                exists = self.find_cluster(call.region, first) is not None
            case "capacity-provider":
                exists = self.capacity.find(call.region, rest) is not None
            case _:
                exists = False
        if not exists:
            raise AwsError("InvalidParameterException", "The specified resource was not found.")
        return name

    # Account settings

    def list_account_settings(self, call: Call) -> Answer:
        own = {one["name"]: one for one in self.account_settings.list(call.region)}
        names = [call["name"]] if call.get("name") else sorted({*own, *(DEFAULT_SETTINGS if _effective(call) else ())})
        found = [own.get(name) or _setting(call, name, DEFAULT_SETTINGS.get(name)) for name in names]
        value = call.get("value")
        shown = [one for one in found if one["value"] is not None and value in (None, one["value"])]
        return {"settings": shown}

    def put_account_setting(self, call: Call) -> Answer:
        setting = _setting(call, call["name"], call["value"])
        with self.store.transaction() as tx:
            self.account_settings.put(tx, call.region, call["name"], setting)
        return {"setting": setting}

    def put_account_setting_default(self, call: Call) -> Answer:
        return self.put_account_setting(call)

    def delete_account_setting(self, call: Call) -> Answer:
        found = self.account_settings.find(call.region, call["name"])
        with self.store.transaction() as tx:
            self.account_settings.delete(tx, call.region, call["name"])
        return {"setting": found or _setting(call, call["name"], DEFAULT_SETTINGS.get(call["name"]))}

    # Capacity providers

    def create_capacity_provider(self, call: Call) -> Answer:
        name = call["name"]
        if self.capacity.find(call.region, name) is not None or name in AWS_PROVIDERS:
            raise AwsError("ClientException", "The specified capacity provider already exists.")
        provider = {m: v for m, v in call.input.items() if m != "tags"} | {
            "capacityProviderArn": arn("ecs", call.region, f"capacity-provider/{name}"),
            "status": "ACTIVE",
        }
        with self.store.transaction() as tx:
            self.capacity.put(tx, call.region, name, provider)
            self.put_tags(tx, call.region, provider["capacityProviderArn"], call.get("tags", []))
        return {"capacityProvider": {**provider, "tags": call.get("tags", [])}}

    def describe_capacity_providers(self, call: Call) -> Answer:
        own = {one["name"]: one for one in self.capacity.list(call.region)}
        every = {name: _of_aws(call.region, name) for name in AWS_PROVIDERS} | own
        wanted = [short_name(text) for text in call.get("capacityProviders", ())]
        has_tags = "TAGS" in call.get("include", ())
        shown = [every[name] for name in (wanted or every) if name in every]
        missing = [arn("ecs", call.region, f"capacity-provider/{name}") for name in wanted if name not in every]
        return {
            "capacityProviders": [
                {**one, "tags": self.tags_of(call.region, one["capacityProviderArn"]) if has_tags else []}
                for one in shown
            ],
            "failures": [{"arn": one, "reason": "MISSING"} for one in missing],
        }

    def update_capacity_provider(self, call: Call) -> Answer:
        found = self._provider(call, call["name"])
        found["autoScalingGroupProvider"] = {
            **found.get("autoScalingGroupProvider", {}),
            **call.get("autoScalingGroupProvider", {}),
        }
        with self.store.transaction() as tx:
            self.capacity.put(tx, call.region, found["name"], found)
        return {"capacityProvider": found}

    def delete_capacity_provider(self, call: Call) -> Answer:
        found = self._provider(call, short_name(call["capacityProvider"]))
        with self.store.transaction() as tx:
            self.capacity.delete(tx, call.region, found["name"])
            self.put_tags(tx, call.region, found["capacityProviderArn"], [])
        return {"capacityProvider": {**found, "status": "INACTIVE", "updateStatus": "DELETE_COMPLETE"}}

    def _provider(self, call: Call, name: str) -> dict[str, Any]:
        found = self.capacity.find(call.region, name)
        if found is None:
            raise AwsError("ClientException", "The specified capacity provider does not exist.")
        return found


def _effective(call: Call) -> bool:
    return bool(call.get("effectiveSettings"))


def _setting(call: Call, name: str, value: str | None) -> dict[str, Any]:
    return {"name": name, "value": value, "principalArn": call.get("principalArn", call.principal)}


def _of_aws(region: str, name: str) -> dict[str, Any]:
    return {
        "capacityProviderArn": arn("ecs", region, f"capacity-provider/{name}"),
        "name": name,
        "status": "ACTIVE",
    }
