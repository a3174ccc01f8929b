"""From the names in an AppSpec's Hooks to what a deployment does at its events: frozen before it begins. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from turnout.codedeploy.appspec import invalid
from turnout.codedeploy.hooks.bundles import HookFile
from turnout.codedeploy.lifecycle import TEST_EVENTS
from turnout.hookfile import LAMBDA, Hook

Document = dict[str, Any]


def resolve(
    named: Mapping[str, str], file: HookFile | None, *, has_test_listener: bool, containers: Collection[str]
) -> dict[str, Document]:
    """Lifecycle event → its hook: one of the file, else a Lambda function. Raises InvalidRevisionException.

    `containers` are those of the task definition that is deployed.
    """
    found = {}
    for event, function in named.items():
        if event in TEST_EVENTS and not has_test_listener:
            raise invalid(
                f"{event} has the hook {function}, which would never run: the deployment group has no test listener."
                " Give it one (testTrafficRoute), or move the hook to another event."
            )
        name = name_of(function)
        hook = file.hooks.get(name) if file else None
        if hook is None:
            found[event] = {**Hook(name, LAMBDA, where="").wire(), "function": function}
            continue
        _check(event, hook, has_test_listener=has_test_listener, containers=containers)
        assert file is not None
        found[event] = {**hook.wire(), "bundle": file.bundle, "folder": file.folder}
    return found


def name_of(function: str) -> str:
    """smoke of smoke, of smoke:PROD and of arn:aws:lambda:REGION:ACCOUNT:function:smoke:PROD."""
    _, is_split, rest = function.partition(":function:")
    return (rest if is_split else function).partition(":")[0]


def _check(event: str, hook: Hook, *, has_test_listener: bool, containers: Collection[str]) -> None:
    needed = hook.variables()
    if "TEST_URL" in needed and not has_test_listener:
        raise invalid(f"{hook.where}: {hook.name} uses ${{TEST_URL}}, but the deployment group has no test listener.")
    if "GREEN_URL" in needed and event == "BeforeInstall":
        raise invalid(f"{hook.where}: {hook.name} uses ${{GREEN_URL}} at BeforeInstall: green is not there yet.")
    container = hook.settings.get("container")
    if container is not None and container not in containers:
        listed = ", ".join(containers)
        raise invalid(f"{hook.where}: {hook.name} runs the container {container}; the task definition has {listed}.")
