"""AWS's service models as botocore ships them: what settles shapes, enums, names and protocols."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, cached_property
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import UnknownServiceError
from moto.core.loaders import create_loader
from moto.core.model import OperationModel, ServiceModel

LOADER = create_loader()
"""One for all: EC2's model alone takes 14 MB, and every botocore session would read it again."""


@cache
def service_model(service: str) -> ServiceModel:
    """The model of a service by its boto3 name."""
    return ServiceModel(LOADER.load_service_model(service, "service-2"), service)


@cache
def find_operation(service: str, operation: str) -> OperationModel | None:
    """The model of an operation; None if AWS has no such operation."""
    try:
        model = service_model(service)
    except UnknownServiceError:
        return None
    return model.operation_model(operation) if operation in model.operation_names else None


class OwnedModels:
    """How the services that turnout answers itself are told apart on the wire."""

    def __init__(self, services: Iterable[str]) -> None:
        self.services = tuple(services)

    @cached_property
    def by_target_prefix(self) -> dict[str, str]:
        """`CodeDeploy_20141006` → codedeploy (JSON and CBOR)."""
        return {m["targetPrefix"]: s for s, m in self._metadata if "targetPrefix" in m}

    @cached_property
    def by_query_version(self) -> dict[tuple[str, str], str]:
        """(signing name, API version) → service, for the query protocol."""
        return {
            (m.get("signingName", m["endpointPrefix"]), m["apiVersion"]): s
            for s, m in self._metadata
            if "query" in m["protocols"]
        }

    def rest_operation(self, service: str, method: str, path: str) -> tuple[str, dict[str, str]] | None:
        """(operation, labels of the path) of a request to a service that names its operations by method and path."""
        for wanted, pattern, operation in self._rest.get(service, ()):
            if wanted == method and (found := pattern.fullmatch(path)):
                return operation, {name: unquote(value) for name, value in found.groupdict().items()}
        return None

    @cached_property
    def rest_services(self) -> dict[str, str]:
        """Signing name → service, of those that speak rest-json."""
        return {m.get("signingName", m["endpointPrefix"]): s for s, m in self._metadata if m["protocol"] == "rest-json"}

    @cached_property
    def _rest(self) -> dict[str, list[tuple[str, re.Pattern[str], str]]]:
        found: dict[str, list[tuple[str, re.Pattern[str], str]]] = {}
        for service in self.rest_services.values():
            model = service_model(service)
            for name in model.operation_names:
                http = model.operation_model(name).http
                found.setdefault(service, []).append((http["method"], _pattern(http["requestUri"]), name))
        return found

    @property
    def _metadata(self) -> list[tuple[str, dict[str, Any]]]:
        return [(service, service_model(service).metadata) for service in self.services]


def _pattern(uri: str) -> re.Pattern[str]:
    """A path with its labels: `{Name}` is one segment, `{Name+}` several. A slash at the end is nobody's."""
    parts = re.split(r"\{(\w+)(\+?)\}", uri.partition("?")[0].rstrip("/"))
    text = "".join(
        re.escape(literal) + (f"(?P<{name}>{'.+' if greedy else '[^/]+'})" if name else "")
        for literal, name, greedy in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True)
    )
    return re.compile(f"{text}/?")
