"""From readings of counters to what is new in them. Pure.

A reading is what has been published of a target group in one life of the proxy; it is kept, so that nothing is
published twice and what happened while no engine looked is not forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from turnout.loadbalancer.proxy import Failure, GroupMeter

CLASSES = ("2XX", "3XX", "4XX", "5XX")


@dataclass(frozen=True)
class Reading:
    """`told` is what has been published so far; `made_*` how many answers the proxy made by itself."""

    epoch: str = ""
    told: dict[str, int] = field(default_factory=dict)
    made_5xx: int = 0
    made_503: int = 0
    latency: list[list[float]] = field(default_factory=list)
    """[milliseconds, count]"""
    seen: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    """The counters of CLASSES as they were last read, and in `before` what they had come to when they began anew."""
    before: list[int] = field(default_factory=lambda: [0, 0, 0, 0])


def answers_of(was: Reading, meter: GroupMeter, epoch: str) -> tuple[list[int], list[int]]:
    """(answers by CLASSES in this life of the proxy, `before` of the next reading).

    Envoy's counters of answers begin anew when a cluster is replaced by another version of itself (other health checks)
    at a moment without requests; those of requests and connections do not.
    """
    if was.epoch != epoch:
        was = Reading(epoch)
    seen = zip(was.before, was.seen, meter.answers, strict=True)
    before = [before + (last if now < last else 0) for before, last, now in seen]
    return [earlier + now for earlier, now in zip(before, meter.answers, strict=True)], before


def account(was: Reading, meter: GroupMeter, epoch: str, failed: Sequence[Failure]) -> tuple[Reading, dict[str, int]]:
    """The next reading, and what is new: "requests", "2XX" … "5XX" (of the targets), "connections".

    The answers that the proxy made are in its counters, and told apart by its log. The log may be a moment ahead of the
    counters or behind: what was published too much is made good by the next look.
    """
    if was.epoch != epoch:
        was = Reading(epoch)
    answers, before = answers_of(was, meter, epoch)
    made = [failure.code for failure in failed if failure.is_among_errors]
    made_5xx = min(was.made_5xx + len(made), answers[3])
    # Only for want of a target is it 503: then AWS doesn't count the request, for nobody was chosen.
    made_503 = min(was.made_503 + made.count(503), made_5xx)
    total = dict(zip(CLASSES, answers, strict=True))
    total["5XX"] -= made_5xx
    total |= {"requests": meter.completed - made_503, "connections": meter.connections}
    new = {name: max(0, count - was.told.get(name, 0)) for name, count in total.items()}
    told = {name: was.told.get(name, 0) + count for name, count in new.items()}
    return Reading(epoch, told, made_5xx, made_503, was.latency, list(meter.answers), before), new
