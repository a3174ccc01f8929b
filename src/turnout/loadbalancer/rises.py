"""The first answer of a group whose weight rose from zero: what makes a switch measurable.

The watch begins with the commit of the weights, not when somebody asks: by then the answer has long been given.
A watch that the engine's death cuts short stays without a result; nobody invents one.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from turnout.clock import Clock
from turnout.errors import TurnoutError
from turnout.jsontext import read
from turnout.loadbalancer.picture import group_name
from turnout.loadbalancer.proxy import Proxy
from turnout.store import Store, Transaction

log = logging.getLogger(__name__)

BEFORE_WITHIN_S = 1.0
"""Weights do not wait longer for a proxy that is being started again: then the first answer goes unmeasured."""
PACE = ((0.25, 0.002), (2.0, 0.01), (30.0, 0.1), (600.0, 1.0))
"""(until so many seconds after the commit, look every so many): often while it is likely."""


@dataclass
class Rise:
    weights_id: int
    group_arn: str
    before: int
    at: float
    first_answer: asyncio.Future[float | None]


class Rises:
    """Every rise that is being watched, and what came of the former ones (in `elbv2_weights`)."""

    def __init__(self, store: Store, clock: Clock, proxy: Proxy) -> None:
        self._store = store
        self._clock = clock
        self._proxy = proxy
        self._tasks: set[asyncio.Task[None]] = set()
        self._rises: dict[str, Rise] = {}
        """Group ARN → its last rise."""

    async def before(self, group_arns: Collection[str]) -> dict[str, int]:
        """What the groups have answered before the weights are committed; {} if the proxy does not say."""
        if not group_arns:
            return {}
        try:
            async with asyncio.timeout(BEFORE_WITHIN_S):
                counters = await self._proxy.counters([group_name(arn) for arn in group_arns])
        except (TurnoutError, TimeoutError):
            return {}
        return {arn: counters.groups[group_name(arn)].completed for arn in group_arns}

    def expect(self, tx: Transaction, weights_id: int, group_arn: str, before: int) -> None:
        """Watch a group from the commit on."""
        tx.after_commit(partial(self._begin, weights_id, group_arn, before, self._clock.now()))

    def last_of(self, group_arn: str) -> Rise | None:
        return self._rises.get(group_arn)

    async def first_answer(self, group_arn: str, within_s: float) -> float | None:
        """When the group's next request is answered; None if none is in time."""
        before = await self._proxy.completed(group_name(group_arn))
        return await self._look(group_arn, before, ((within_s, 0.003),), lambda: True)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, weights_id: int, group_arn: str, before: int, at: float) -> None:
        loop = asyncio.get_running_loop()
        rise = self._rises[group_arn] = Rise(weights_id, group_arn, before, at, loop.create_future())
        task = loop.create_task(self._follow(rise), name=f"first answer of {group_arn}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, rise: Rise) -> None:
        answered_at: float | None = None
        try:
            answered_at = await self._look(
                rise.group_arn, rise.before, PACE, lambda: self._rises.get(rise.group_arn) is rise
            )
        except TurnoutError as error:
            log.warning("the first answer of %s was not seen: %s", rise.group_arn, error)
        finally:
            if not rise.first_answer.done():
                rise.first_answer.set_result(answered_at)
        if answered_at is not None:
            with self._store.transaction() as tx:
                row = self._store.one("SELECT first_answers FROM elbv2_weights WHERE id = ?", (rise.weights_id,))
                if row is not None:
                    answers = {**read(row["first_answers"]), rise.group_arn: answered_at}
                    tx.execute(
                        "UPDATE elbv2_weights SET first_answers = ? WHERE id = ?",
                        (json.dumps(answers), rise.weights_id),
                    )

    async def _look(
        self, group_arn: str, before: int, pace: tuple[tuple[float, float], ...], is_wanted: Callable[[], bool]
    ) -> float | None:
        name = group_name(group_arn)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for until_s, every_s in pace:
            while loop.time() - begun < until_s and is_wanted():
                if await self._proxy.completed(name) != before:
                    return self._clock.now()
                await asyncio.sleep(every_s)
        return None
