"""moto for worlds that die over and over: one for all of them, kept beside their homes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from turnout.clock import ManualClock
from turnout.gateway.others import Others


class Kept:
    """moto's records go through every death unharmed: that they survive a real one has tests of its own."""

    def __init__(self, others: Others) -> None:
        self._others = others

    def __getattr__(self, name: str) -> Any:
        return getattr(self._others, name)

    def start(self) -> None: ...

    def close(self) -> None: ...


@contextmanager
def keep_others(folder: Path) -> Iterator[None]:
    """Worlds made meanwhile share one moto, with its files in `folder`, whatever becomes of them."""
    kept = Kept(Others(folder, ManualClock()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("turnout.app.Others", lambda folder, clock: kept)
        yield
