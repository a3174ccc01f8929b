"""Which instance types AWS offers where: moto reads 95 files of it when EC2 is imported (40 MB, half a second).

Here a region's file is read when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_FOLDER = "instance_type_offerings/"


class Offerings(list[dict[str, Any]]):
    """The offerings of one region and kind of location. moto's own loop over it, at its import, finds nothing yet."""

    def __init__(self, resource: str, load: Callable[[str], Any]) -> None:
        super().__init__()
        self._resource = resource
        self._load = load
        self._looks = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._looks += 1
        if self._looks > 1 and not len(self):
            location_type = self._resource.partition(_FOLDER)[2].partition("/")[0]
            self.extend(offering | {"LocationType": location_type} for offering in self._load(self._resource))
        return super().__iter__()


def lazily(load: Callable[[str], Any]) -> Callable[[str], Any]:
    """moto's `load_resource`, but for offerings."""
    return lambda resource: Offerings(resource, load) if _FOLDER in resource else load(resource)
