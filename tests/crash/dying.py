"""An engine that dies at a point of a story, once: what the stories of the crash tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """SIGKILL at a point."""


def survive(
    world: Any, seconds: float, fatal: int | None, revive: Callable[[], None], rest: Callable[[], None] = lambda: None
) -> int:
    """Let time pass in a world whose engine dies at the point `fatal`, and is started again. The points passed.

    A point is a commit, or the beginning or the end of an act. `rest` awaits what takes real time.
    """
    points = 0

    def fuse(point: str) -> None:
        nonlocal points
        if point == "before commit":  # what is on disk is what the point before left
            return
        points += 1
        if points == fatal:
            raise Killed(point)

    world.fuse = fuse
    try:
        world.tick(seconds)
        rest()
    except Killed:
        world.fuse = lambda point: None
        revive()
        world.tick(seconds)
        rest()
    world.fuse = lambda point: None
    return points
