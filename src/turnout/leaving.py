"""How a target group that traffic has left is left: its tasks may go, then they drain, and what was cut is counted.

Whoever moves traffic keeps what is known of it, a `Known`, as a fact of its run: so a restart of the engine neither
begins anew nor forgets. Nothing is in here of tasks: they are told to go by ECS, and their deregistration delay is the
load balancer's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from turnout.clock import Clock
from turnout.errors import TurnoutError
from turnout.traffic import LONG_CONNECTIONS, LONG_CONNECTIONS_TAG, Drained, Traffic

LOOK_AGAIN_S = 0.25
LEFT_LOOK_AGAIN_S, LEFT_LOOK_SHARE = 15.0, 0.05
"""A connection that is left may stay for days: the longer it has been waited for, the less its end matters to the
second. The next look comes after a twentieth of the time that has passed, and after 15 s at the latest."""
TELL_AHEAD_S = 1.0
"""Each look says the goodbyes that are due by the look after the next, for looks are up to half a second apart: who is
told last hears of it while the delay still passes."""
IN_FORCE_WITHIN_S = 600.0
"""How long after the deregistration delay a balancer that is silent, or refuses the weights, is waited for."""
SILENT = ""
"""The version of the weights of a balancer that did not answer."""

Known = dict[str, Any]
"""policy; moved, left, cut, told: the counts of the receipt (None: not known, or not yet); goodbyes: Envoy's count when
it began; drained: what was last seen, and at: when; deadline_reached: whether something was in flight then."""


class NotInForce(TurnoutError):
    """The load balancer has not taken on the new weights: the tasks may be what serves."""


@dataclass(frozen=True)
class Side:
    """A target group that was left, and the listener by which its clients come. `delay_s`: as the clock has it."""

    region: str
    listener_arn: str
    target_group: str
    policy: str
    delay_s: float
    cause: str
    """Whose goodbyes they are: those of the same cause are said once."""


class Leaving:
    def __init__(self, traffic: Traffic, clock: Clock) -> None:
        self._traffic = traffic
        self._clock = clock

    async def release(self, side: Side, known: Known | None, since: float) -> tuple[Known, float | None]:
        """(what is known, seconds until the next look): None once its tasks may go. Raises NotInForce."""
        drained = await self._look(side)
        now = self._clock.now()
        is_due = now >= since + side.delay_s
        known = await self._count(side, known or _nothing(side.policy), drained)
        known |= {"drained": asdict(drained), "at": now}
        if not drained.is_in_force and now >= since + side.delay_s + IN_FORCE_WITHIN_S:
            raise NotInForce(f"The load balancer has not taken on the new weights: {drained.reason}")
        if may_go(side.policy, drained, is_due=is_due):
            known["deadline_reached"] = is_due and not drained.is_proven
            return known, None
        return known, max(LOOK_AGAIN_S, min(LEFT_LOOK_AGAIN_S, (now - since) * LEFT_LOOK_SHARE))

    async def watch(self, side: Side, known: Known, since: float) -> tuple[Known, float | None]:
        """While the tasks drain, `since` when: (what is known, seconds until the next look); None: all is known."""
        elapsed = self._clock.now() - since
        known = dict(known)
        await self._say_goodbye(side, share_at(elapsed, side.delay_s))
        if known["drained"]["is_proven"] or known["deadline_reached"]:
            is_telling = side.policy == "announce" and elapsed < side.delay_s
            return known, max(LOOK_AGAIN_S, side.delay_s / 20) if is_telling else None
        drained = await self._look(side)
        is_over = self._clock.now() >= since + side.delay_s
        # What is seen after the delay is no longer what was cut: then the former look counts.
        if drained.weights_version != SILENT and not is_over:
            known |= {"drained": asdict(drained), "at": self._clock.now()}
        known["deadline_reached"] = is_over and not known["drained"]["is_proven"]
        return known, None if is_over else LOOK_AGAIN_S

    async def close(self, side: Side, known: Known) -> Known:
        """What is known at the end. Nobody waits any longer: who has not been told goodbye yet is told now."""
        await self._say_goodbye(side, 1.0)
        last = known["drained"]
        is_known = last["is_proven"] or (known["deadline_reached"] and last["weights_version"] != SILENT)
        before, now = known["goodbyes"], await self._goodbyes(side)
        told = None if before is None or now is None or now < before else now - before
        return {**known, "cut": last["in_flight"] if is_known else None, "told": told}

    async def _say_goodbye(self, side: Side, share: float) -> None:
        """Where the policy is to announce it, to this share of the connections."""
        if side.policy == "announce":
            await self._traffic.announce(side.region, side.listener_arn, side.cause, share)

    async def _count(self, side: Side, known: Known, drained: Drained) -> Known:
        """Once the weights are in force: who has moved, and who is left.

        A connection with nothing in flight here has moved: its next request goes to the other side.
        """
        if known["left"] is not None or not drained.is_in_force:
            return dict(known)
        try:
            connections = await self._traffic.connections(side.region, side.listener_arn)
        except TurnoutError:  # silent again: it is not known
            connections = None
        moved = None if connections is None else max(0, connections - drained.in_flight)
        return {**known, "moved": moved, "left": drained.in_flight, "goodbyes": await self._goodbyes(side)}

    async def _goodbyes(self, side: Side) -> int | None:
        if side.policy != "announce":
            return 0
        try:
            return await self._traffic.goodbyes(side.region, side.listener_arn)
        except TurnoutError:
            return None

    async def _look(self, side: Side) -> Drained:
        try:
            return await self._traffic.prove_drained(side.region, side.target_group)
        except TurnoutError as silent:  # the balancer has just died and is coming back
            return Drained(False, False, str(silent), 0, 0, SILENT)


def may_go(policy: str, drained: Drained, *, is_due: bool) -> bool:
    """Whether the tasks of a side may be told to go, which begins their deregistration delay. Pure.

    `is_due`: as much time has passed as that delay lasts. It excuses requests that still arrive by another way, and
    never a balancer that has not taken on the weights.
    """
    if policy == "leave":
        return drained.is_proven
    return drained.is_quiet or (drained.is_in_force and is_due)


def share_at(elapsed_s: float, delay_s: float) -> float:
    """The share of the connections (0 to 1) that is told goodbye by a look, so long after the delay began. Pure."""
    return min(1.0, (elapsed_s + TELL_AHEAD_S) / delay_s) if delay_s else 1.0


def policy_in(tags: dict[str, str]) -> str:
    """What the tags of a listener say."""
    return tags.get(LONG_CONNECTIONS_TAG, LONG_CONNECTIONS[0])


def counts(known: Known | None) -> Known | None:
    """What a receipt tells of it."""
    return known and {name: known.get(name) for name in ("policy", "moved", "left", "told", "cut")}


def _nothing(policy: str) -> Known:
    return {
        "policy": policy,
        "moved": None,
        "left": None,
        "cut": None,
        "told": None,
        "goodbyes": None,
        "drained": None,
        "at": None,
        "deadline_reached": False,
    }
