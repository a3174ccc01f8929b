"""The engine's time: it runs on steadily when the clock of the machine is set forward or back.

Deadlines and waits are absolute and stored. If they were compared with a clock that is set back by an hour, everything
would stand still for that hour; set forward, every deadline would have passed at once. So the time of day is read once
and counted on by the clock that nobody can set (it counts while the machine sleeps, too), also over the engine's end.
The difference from the machine's clock is made up for when no wait can be hurt by it: while nothing is under way.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from turnout.clock import Clock

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
KEEP_EVERY_S = 60.0
SAME_S = 0.005
"""A difference that is none."""
JUMP_S = 1.0
"""What is less than this hurts no wait: it is made up for at any time."""
SLOWED = 0.5
"""How fast the time of an engine that is ahead goes while it waits for the machine's: it never goes back."""


def elapsed_s() -> float:
    """Seconds since the machine was started, its sleep included; nobody can set them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def start_of_the_machine() -> str:
    """What tells this start of the machine from any other; "" where there is no telling."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


class SteadyClock(Clock):
    """`file` keeps the engine's time over its end, so that what was set meanwhile is noticed, too."""

    def __init__(self, file: Path, speed: float = 1.0, elapsed: Callable[[], float] = elapsed_s) -> None:
        super().__init__(speed)
        self._file = file
        self._elapsed = elapsed
        self._machine = start_of_the_machine()
        self._rate = 1.0
        self._since = elapsed()
        self._at = self._went_on() or time.time()
        self._ahead_s = 0.0
        self._kept_at = -KEEP_EVERY_S  # nothing is written before the first look: an engine may yet refuse its home
        self._note()

    def now(self) -> float:
        return self._at + self._rate * (self._elapsed() - self._since)

    @property
    def ahead_s(self) -> float:
        """By how much this is ahead of the machine's clock; negative: behind."""
        return self.now() - time.time()

    @property
    def trouble(self) -> str | None:
        ahead_s = self.ahead_s
        if abs(ahead_s) < JUMP_S:
            return None
        set_to, stands = ("back", "ahead of") if ahead_s > 0 else ("forward", "behind")
        return (
            f"the machine's clock was set {set_to}: the engine's time is {abs(ahead_s):.0f} s {stands} it, so that no"
            " wait stalls or ends at once, and draws near while no deployment or build is under way"
        )

    def draw_near(self, is_quiet: Callable[[], bool]) -> None:
        """Make up for what the machine's clock was set by, if it hurts nobody. To be called again and again."""
        self._note()
        ahead_s = self.ahead_s
        rate = 1.0
        if abs(ahead_s) > SAME_S and (abs(ahead_s) < JUMP_S or is_quiet()):
            rate = max(SLOWED, 1.0 - ahead_s) if ahead_s > 0 else rate
            self._go_on(time.time() if ahead_s < 0 else self.now(), rate)
        elif rate != self._rate:
            self._go_on(self.now(), rate)
        if self._elapsed() >= self._kept_at + KEEP_EVERY_S:
            self._keep()

    def _go_on(self, at: float, rate: float) -> None:
        self._at, self._since, self._rate = at, self._elapsed(), rate
        self._keep()

    def _note(self) -> None:
        """Tell the log of a clock that was set since the last look."""
        ahead_s = self.ahead_s
        if abs(ahead_s - self._ahead_s) > JUMP_S and (trouble := self.trouble) is not None:
            log.warning("%s", trouble)
        self._ahead_s = ahead_s

    def _keep(self) -> None:
        self._kept_at = self._elapsed()
        kept = {"machine": self._machine, "elapsed": self._kept_at, "now": self.now()}
        with suppress(OSError):  # a full disk: what was kept before says the same as long as nobody sets the clock
            draft = self._file.with_suffix(".new")
            draft.write_text(json.dumps(kept))
            draft.replace(self._file)

    def _went_on(self) -> float | None:
        """What an engine before this one would take the time to be now. After a start of the machine its clock is
        believed, unless that would be to go back: some start in 1970, and learn the time later."""
        try:
            kept = json.loads(self._file.read_text())
            if self._machine and kept["machine"] == self._machine:
                return float(kept["now"]) + max(0.0, self._since - float(kept["elapsed"]))
            return max(float(kept["now"]), time.time())
        except (OSError, ValueError, KeyError):
            return None


async def keep_time(clock: SteadyClock, is_quiet: Callable[[], bool]) -> None:
    """Look at the machine's clock until cancelled."""
    while True:
        clock.draw_near(is_quiet)
        await asyncio.sleep(LOOK_EVERY_S)
