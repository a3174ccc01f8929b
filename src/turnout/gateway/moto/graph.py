"""The graph of moto's backends: everything that moto keeps, as one connected whole."""

from __future__ import annotations

import io
import sys
from typing import Any

from moto.core.base_backend import BackendDict

from turnout.gateway.moto.births import SHIPPED, Births, Difference, find_backends
from turnout.gateway.moto.pickling import Pickler, Unpickler

_FIXED = frozenset({"backend", "service_name", "_use_boto3_regions", "_additional_regions", "_id"})
"""What a BackendDict has from its making; any other attribute is state (S3's map of buckets to accounts)."""

_VOLATILE = {("moto.resourcegroupstaggingapi.models", "_pages"): dict}
"""Half-read listings, kept as generators: a token of before the restart has expired, as on AWS."""

_AS_BORN = {"moto.iam.models": ("aws_managed_policies",)}
"""What never changes."""


def dump(births: Births) -> tuple[bytes, set[str]]:
    """All that there is, and the names of the bodies that it points to."""
    states, extras = [], {}
    for backends in BackendDict._instances:
        module = backends.backend.__module__
        extras[module] = _extras(backends)
        for account, region, backend in backends.iter_backends():
            states.append((module, account, region, *_parted(births, module, account, region, vars(backend))))
    file = io.BytesIO()
    pickler = Pickler(file, births)
    pickler.dump({"states": states, "extras": extras})
    return file.getvalue(), pickler.bodies


def check(pickled: bytes) -> None:
    """Raises if it could not be loaded. Nothing is put anywhere."""
    Unpickler(io.BytesIO(pickled)).load()


def load(pickled: bytes) -> None:
    """Put everything back where it was. moto must be empty, and its births attended."""
    graph = Unpickler(io.BytesIO(pickled)).load()
    births = Births.current
    assert births is not None
    for module, account, region, state, differences in graph["states"]:
        backend = find_backends(module)[account][region]
        born = {name: vars(backend)[name] for name in _AS_BORN.get(module, ())}
        vars(backend).clear()
        vars(backend).update(state, **born)
        for attribute, difference in differences.items():
            setattr(backend, attribute, births.restored((module, account, region, attribute), difference))
    for module, extras in graph["extras"].items():
        vars(find_backends(module)).update(extras)
    order = list(graph["extras"])
    # The tagging API lists resources in this order.
    BackendDict._instances.sort(key=lambda backends: order.index(backends.backend.__module__))


def forget() -> None:
    """Empty every backend, as in a new process."""
    for backends in BackendDict._instances:
        for account in backends.values():
            account.clear()
        for state in _extras(backends).values():
            state.clear()
        backends.clear()
    BackendDict._instances.clear()
    if vpcs := sys.modules.get("moto.ec2.models.vpcs"):
        vpcs.DEFAULT_VPC_ENDPOINT_SERVICES.clear()


def _parted(
    births: Births, module: str, account: str, region: str, state: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Difference]]:
    """A backend's state without what it was born with, and what has become of that."""
    shipped = {attribute for owner, attribute in SHIPPED if owner == module}
    left_out = shipped.union(_AS_BORN.get(module, ()))
    kept = {name: value for name, value in state.items() if name not in left_out}
    kept |= {name: make() for (owner, name), make in _VOLATILE.items() if owner == module}
    places = {attribute: (module, account, region, attribute) for attribute in shipped}
    return kept, {attribute: births.difference(place, state[attribute]) for attribute, place in places.items()}


def _extras(backends: Any) -> dict[str, Any]:
    """The state that a BackendDict keeps beside its backends."""
    return {name: value for name, value in vars(backends).items() if name not in _FIXED}
