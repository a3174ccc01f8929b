"""moto makes the backend of a region when it is first touched, be it by a read, and fills it with random ids.

So that those are the same after a restart, a backend is always born of the same seed and at the same time.
That also spares the snapshot what moto ships in each (2,600 images, 1,600 policies): a reference is enough.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

from moto.core.base_backend import AccountSpecificBackend, BackendDict

from turnout.gateway.moto.chance import Chance, drawing_from
from turnout.gateway.moto.tuning import import_tuned

SHIPPED = {
    ("moto.ec2.models", "amis"): ("launch_permissions", "state"),
    ("moto.ec2.models", "snapshots"): ("create_volume_permission_groups", "create_volume_permission_userids", "status"),
    ("moto.iam.models", "managed_policies"): ("attachment_count",),
}
"""(module, attribute of the backend) → what can change in the objects that a backend is born with."""

Place = tuple[str, str, str, str]
"""module, account, region, and the attribute of the backend."""


@dataclass(frozen=True)
class Shipped:
    """An object that a backend was born with. It holds the object, so that its identity stays its own."""

    thing: Any
    place: Place
    key: Any
    values: dict[str, Any]
    """What can change in it, as it was at birth."""

    @property
    def changes(self) -> dict[str, Any]:
        """What has changed in it since."""
        return {name: now for name, was in self.values.items() if (now := getattr(self.thing, name)) != was}


@dataclass(frozen=True)
class Difference:
    """What has become of a collection since its backend was born."""

    added: dict[Any, Any]
    gone: list[Any]
    changes: dict[Any, dict[str, Any]]


class Births:
    """How backends come into the world, for one home."""

    current: Births | None = None
    """moto is one per process, and so is this."""

    def __init__(self, seed: bytes, at: float) -> None:
        self._seed = seed
        self._at = at
        self.shipped: dict[int, Shipped] = {}
        """By the identity of the object."""
        self._collections: dict[Place, dict[Any, Shipped]] = {}

    def attend(self) -> None:
        """From now on, every backend is born under this one's eyes."""
        Births.current = self
        AccountSpecificBackend.__getitem__ = _find_or_bear

    @staticmethod
    @contextmanager
    def drawing(name: str) -> Iterator[None]:
        """What is drawn inside depends on the home and on this name, and on nothing else."""
        births = Births.current
        assert births is not None
        with drawing_from(Chance(births._seed + name.encode(), births._at)):
            yield

    def note(self, backend: Any) -> None:
        """Remember what a backend was born with."""
        module = type(backend).__module__
        for (owner, attribute), changing in SHIPPED.items():
            if owner == module:
                place = (module, backend.account_id, backend.region_name, attribute)
                held = self._collections[place] = {}
                for key, thing in getattr(backend, attribute).items():
                    values = {name: copy(getattr(thing, name)) for name in changing}
                    held[key] = self.shipped[id(thing)] = Shipped(thing, place, key, values)

    def difference(self, place: Place, now: dict[Any, Any]) -> Difference:
        """What has become of the collection at `place`, which holds `now`."""
        born = self._collections[place]
        added = {key: thing for key, thing in now.items() if key not in born or born[key].thing is not thing}
        changes = {key: changes for key, shipped in born.items() if (changes := shipped.changes)}
        return Difference(added, [key for key in born if key not in now], changes)

    def restored(self, place: Place, difference: Difference) -> dict[Any, Any]:
        """The collection at `place` with its difference."""
        gone = set(difference.gone)
        born = self._collections[place]
        for key, changes in difference.changes.items():
            vars(born[key].thing).update(changes)
        return {key: shipped.thing for key, shipped in born.items() if key not in gone} | difference.added

    def get_shipped(self, place: Place, key: Any) -> Any:
        """The object that the backend was born with; the backend is born if need be."""
        if place not in self._collections:
            module, account, region, _ = place
            find_backends(module)[account][region]
        return self._collections[place][key].thing


@cache
def find_backends(module: str) -> Any:
    """The BackendDict of a module of moto's."""
    found = sys.modules.get(module) or import_tuned(module)
    values = vars(found).values()
    return next(value for value in values if isinstance(value, BackendDict) and value.backend.__module__ == module)


_bear = AccountSpecificBackend.__getitem__


def _find_or_bear(account: Any, region: str) -> Any:
    region = "aws" if region == "global" else region
    if dict.__contains__(account, region):
        return dict.__getitem__(account, region)
    with Births.drawing(f"{account.service_name}/{account.account_id}/{region}"):
        backend = _bear(account, region)
    assert Births.current is not None
    Births.current.note(backend)
    return backend
