"""Every call of the command line, read in its source: an operation, a parameter or a list that AWS does not have fails.

What the answers' members are read by is held by `tests/rooms/test_verbs.py`, where the verbs run.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from tests.fakes.modelled import modelled
from turnout import cli

SOURCE = Path(cli.__file__).parent
OURS = {"get_paginator", "meta", "exceptions"}


def operations(service: str, loaded: dict[str, dict[str, OperationModel]] = {}) -> dict[str, OperationModel]:  # noqa: B006
    if service not in loaded:
        model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
        loaded[service] = {xform_name(name): model.operation_model(name) for name in model.operation_names}
    return loaded[service]


def service_of(node: ast.AST, names: dict[str, str]) -> str | None:
    """The service of an expression like clients("ecs"), self.clients("ecs"), or a name that was given one."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], ast.Constant):
        callee = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if callee.strip("_") == "clients":
            return str(node.args[0].value)
    return None


def calls(path: Path) -> Iterator[tuple[int, str, str, list[str], str | None]]:
    """(line, service, method, parameters, member of the answer that `pages` gathers) of each call of AWS."""
    tree = ast.parse(path.read_text())
    for scope in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        names: dict[str, str] = {}
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign):
                pairs: list[tuple[ast.AST, ast.AST]] = [(target, node.value) for target in node.targets]
                if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(node.targets[0].elts, node.value.elts, strict=True))
                for target, value in pairs:
                    if isinstance(target, ast.Name) and (found := service_of(value, {})):
                        names[target.id] = found
        for node in ast.walk(scope):
            if not isinstance(node, ast.Call):
                continue
            given = [keyword.arg for keyword in node.keywords if keyword.arg]
            if isinstance(node.func, ast.Attribute) and (service := service_of(node.func.value, names)):
                if node.func.attr not in OURS:
                    yield node.lineno, service, node.func.attr, given, None
            elif getattr(node.func, "id", "") == "pages" and (service := service_of(node.args[0], names)):
                yield node.lineno, service, node.args[1].value, given, node.args[2].value  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_call_is_one_that_aws_has(path: Path) -> None:
    for line, service, method, given, member in calls(path):
        operation = operations(service).get(method)
        assert operation is not None, f"{path.name}:{line}: {service} has no operation {method}"
        known = operation.input_shape.members if operation.input_shape else {}
        assert set(given) <= set(known), f"{path.name}:{line}: {method} takes no {', '.join(set(given) - set(known))}"
        if member is not None:
            assert member in operation.output_shape.members, f"{path.name}:{line}: {method} answers no {member}"


def test_the_calls_are_really_found() -> None:
    found = {(service, method) for path in SOURCE.rglob("*.py") for _, service, method, _, _ in calls(path)}
    assert {("codedeploy", "create_deployment"), ("ecs", "update_service"), ("elbv2", "describe_rules")} <= found
    assert len(found) > 50


def test_a_member_that_aws_does_not_have_cannot_be_read() -> None:
    shape = operations("codedeploy")["get_deployment"].output_shape
    answer: Any = modelled({"deploymentInfo": {"deploymentId": "d-1"}}, shape)
    assert answer["deploymentInfo"].get("status") is None
    with pytest.raises(AssertionError, match="DeploymentInfo has no receipt"):
        answer["deploymentInfo"].get("receipt")
