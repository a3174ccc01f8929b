"""The AppSpec file of an ECS deployment: YAML or JSON in, an `AppSpec` out, or what is wrong and on which line. Pure.

Names of keys are read without regard to case, as `aws ecs deploy` does. A key that nobody would read is an error:
a misspelt option must not be lost silently.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from turnout.errors import AwsError

HOOKABLE = ("BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic")
"""The lifecycle events of an ECS deployment that can have a hook, in their order."""


@dataclass(frozen=True)
class AppSpec:
    """What a deployment takes from its AppSpec file. The two wire members have ECS's names."""

    task_definition: str
    container_name: str
    container_port: int
    platform_version: str | None = None
    network_configuration: dict[str, Any] | None = None
    """ECS's networkConfiguration; None: the current service's."""
    capacity_provider_strategy: list[dict[str, Any]] | None = None
    """ECS's capacityProviderStrategy; None: the current service's."""
    hooks: dict[str, str] = field(default_factory=dict)
    """Lifecycle event → the function that is called at it."""


def parse(text: str, sha256: str | None = None) -> AppSpec:
    """Read an AppSpec file. Raises InvalidRevisionException with the line of what is wrong."""
    if sha256 is not None and (actual := hashlib.sha256(text.encode()).hexdigest()) != sha256.lower():
        raise invalid(f"The sha256 of the AppSpec content is {actual}, but {sha256} was given.")
    top = _Section.of(_compose(text), "the AppSpec file")
    top.only("version", "Resources", "Hooks")
    version = top.need("version").text()
    if version not in ("0", "0.0"):
        raise top.need("version").wrong(f"version must be 0.0, not {version}")
    resources = top.need("Resources").items()
    if len(resources) != 1:
        raise top.need("Resources").wrong(f"Resources must hold exactly one service, not {len(resources)}")
    named = resources[0].pairs()
    if len(named) != 1:
        raise resources[0].wrong("a resource must have exactly one name (TargetService) above its Type")
    service = named[0][1]
    service.only("Type", "Properties")
    if (kind := service.need("Type").text()) != "AWS::ECS::Service":
        raise service.need("Type").wrong(f"Type must be AWS::ECS::Service, not {kind}")
    return _properties(service.need("Properties"), _hooks(top.find("Hooks")))


def invalid(message: str) -> AwsError:
    return AwsError("InvalidRevisionException", message)


def _properties(properties: _Section, hooks: dict[str, str]) -> AppSpec:
    properties.only(
        "TaskDefinition", "LoadBalancerInfo", "PlatformVersion", "NetworkConfiguration", "CapacityProviderStrategy"
    )
    task_definition = properties.need("TaskDefinition")
    if "<" in task_definition.text():
        raise task_definition.wrong(
            f"TaskDefinition is still the placeholder {task_definition.text()}: CodePipeline's ECS deploy action and"
            " `aws ecs deploy` replace it, a plain CreateDeployment needs the ARN"
        )
    balancer = properties.need("LoadBalancerInfo")
    balancer.only("ContainerName", "ContainerPort")
    port = balancer.need("ContainerPort")
    platform_version = properties.find("PlatformVersion")
    network = properties.find("NetworkConfiguration")
    strategy = properties.find("CapacityProviderStrategy")
    return AppSpec(
        task_definition=task_definition.text(),
        container_name=balancer.need("ContainerName").text(),
        container_port=port.number(1, 65535),
        platform_version=platform_version.text() if platform_version else None,
        network_configuration=_network(network) if network else None,
        capacity_provider_strategy=[_provider(item) for item in strategy.items()] if strategy else None,
        hooks=hooks,
    )


def _network(network: _Section) -> dict[str, Any]:
    network.only("AwsvpcConfiguration")
    vpc = network.need("AwsvpcConfiguration")
    vpc.only("Subnets", "SecurityGroups", "AssignPublicIp")
    configuration: dict[str, Any] = {"subnets": [item.text() for item in vpc.need("Subnets").items()]}
    if groups := vpc.find("SecurityGroups"):
        configuration["securityGroups"] = [item.text() for item in groups.items()]
    if public := vpc.find("AssignPublicIp"):
        if public.text() not in ("ENABLED", "DISABLED"):
            raise public.wrong(f"AssignPublicIp must be ENABLED or DISABLED, not {public.text()}")
        configuration["assignPublicIp"] = public.text()
    return {"awsvpcConfiguration": configuration}


def _provider(item: _Section) -> dict[str, Any]:
    item.only("Base", "CapacityProvider", "Weight")
    provider: dict[str, Any] = {"capacityProvider": item.need("CapacityProvider").text()}
    if base := item.find("Base"):
        provider["base"] = base.number(0, 100_000)
    if weight := item.find("Weight"):
        provider["weight"] = weight.number(0, 1000)
    return provider


def _hooks(hooks: _Section | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in hooks.items() if hooks else ():
        for name, function in item.pairs():
            if name not in HOOKABLE:
                raise function.wrong(f"{name} cannot have a hook; these can: {', '.join(HOOKABLE)}")
            if name in found:
                raise function.wrong(f"{name} has two hooks")
            found[name] = function.text()
    return found


@dataclass(frozen=True)
class _Section:
    """A node of the file, what it is called, and the line of its name."""

    node: yaml.Node
    where: str
    line: int

    @staticmethod
    def of(node: yaml.Node, where: str, key: yaml.Node | None = None) -> _Section:
        return _Section(node, where, (key or node).start_mark.line + 1)

    def wrong(self, what: str) -> AwsError:
        return invalid(f"The AppSpec file is invalid, line {self.line}: {what}.")

    def pairs(self) -> list[tuple[str, _Section]]:
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong(f"{self.where} must be a mapping of names to values")
        return [(str(key.value), _Section.of(value, str(key.value), key)) for key, value in self.node.value]

    def items(self) -> list[_Section]:
        if isinstance(self.node, yaml.ScalarNode) and self.node.tag == "tag:yaml.org,2002:null":
            return []
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.wrong(f"{self.where} must be a list (lines that begin with `- `)")
        return [_Section.of(item, f"an item of {self.where}") for item in self.node.value]

    def find(self, name: str) -> _Section | None:
        """The value of `name`; None if it is not there, or empty."""
        found = [value for key, value in self.pairs() if key.lower() == name.lower()]
        if len(found) > 1:
            raise found[1].wrong(f"{name} is given twice")
        if not found or found[0].node.tag == "tag:yaml.org,2002:null":
            return None
        return found[0]

    def need(self, name: str) -> _Section:
        value = self.find(name)
        if value is None:
            raise self.wrong(f"{self.where} needs {name}")
        return value

    def only(self, *names: str) -> None:
        known = {name.lower() for name in names}
        for name, value in self.pairs():
            if name.lower() not in known:
                raise value.wrong(f"{self.where} has no {name} in an ECS deployment; it has {_listed(names)}")

    def text(self) -> str:
        if not isinstance(self.node, yaml.ScalarNode) or not str(self.node.value).strip():
            raise self.wrong(f"{self.where} must be a text")
        return str(self.node.value)

    def number(self, least: int, most: int) -> int:
        text = self.text()
        if not text.isdecimal() or not least <= int(text) <= most:
            raise self.wrong(f"{self.where} must be a whole number from {least} to {most}, not {text}")
        return int(text)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _compose(text: str) -> yaml.Node:
    """The tree of the file with its lines. JSON is read as the YAML that it is, once it is known to be JSON."""
    if text.lstrip().startswith("{"):
        text = text.partition("\n#")[0]  # a comment that follows (`turnout.hookplace`) is no JSON
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            raise invalid(f"The AppSpec file is not valid JSON, line {error.lineno}: {error.msg}.") from error
        text = text.expandtabs()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise invalid(f"The AppSpec file is not valid YAML, line {line}: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise invalid(f"The AppSpec file is not valid YAML: {error}.") from error
    if node is None:
        raise invalid("An AppSpec file is required, but could not be found in the revision")
    return node
