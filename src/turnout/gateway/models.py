"""AWS's service models as botocore ships them: what settles shapes, enums, names and protocols."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, cached_property
from typing import Any

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

    @property
    def _metadata(self) -> list[tuple[str, dict[str, Any]]]:
        return [(service, service_model(service).metadata) for service in self.services]
