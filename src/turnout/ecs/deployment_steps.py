"""The lifecycle stages of a deployment that ECS makes by itself, as the steps of its run. Pure.

ROLLING has no stages on AWS: here it has one in which tasks are replaced, and a bake if there are alarms. The others:

    RECONCILE_SERVICE             former deployments have ended, the source has all of the traffic, others are gone
    PRE_SCALE_UP                  hooks
    SCALE_UP                      green (the target revision) grows to the whole of the desired count, and is healthy
    POST_SCALE_UP                 hooks
    TEST_TRAFFIC_SHIFT            the test listener rule forwards to green; hooks
    POST_TEST_TRAFFIC_SHIFT       hooks
    PRE_PRODUCTION_TRAFFIC_SHIFT  hooks, before each increment
    PRODUCTION_TRAFFIC_SHIFT      one increment, its hooks and its bake at the same time
    POST_PRODUCTION_TRAFFIC_SHIFT hooks
    BAKE_TIME                     both revisions run
    CLEAN_UP                      blue (the source revision) is proven drained, then stopped

The first deployment of a service has no blue: nothing is shifted away from anything, so there are no hooks and no bake.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-how-it-works.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnout.runs import StepSpec

KIND, ROLLBACK = "ecs.deployment", "ecs.rollback"
WATCH, ROLL, HOOK, PROVE, RETURN = "watch", "roll", "hook", "prove", "return"
"""Acts that are no stages; a stage's own act has its name."""

RECONCILE, SCALE_UP, TEST_SHIFT, SHIFT, BAKE, CLEAN_UP = (
    "RECONCILE_SERVICE",
    "SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
)
PRE_SHIFT = "PRE_PRODUCTION_TRAFFIC_SHIFT"
POST_SHIFT = "POST_PRODUCTION_TRAFFIC_SHIFT"
HOOKED = (
    RECONCILE,
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    TEST_SHIFT,
    "POST_TEST_TRAFFIC_SHIFT",
    PRE_SHIFT,
    SHIFT,
    POST_SHIFT,
)
"""The stages at which hooks may run."""

LONGEST_STAGE_S = 24 * 3600.0
"""How long green may take to become healthy, as on AWS."""
DEFAULT_HOOK_MINUTES = 1440
WHOLE = 1000
"""Percentages are counted in tenths: AWS allows multiples of 0.1."""


@dataclass(frozen=True)
class Increment:
    """Green has `percent` of the production traffic, for `bake_minutes` before the next increment."""

    percent: float
    bake_minutes: int = 0


def increments_for(configuration: Mapping[str, Any]) -> list[Increment]:
    """The steps of the production traffic. No bake follows the last: that is BAKE_TIME.

    Linear by 30 is 30, 60, 90, 100: the last increment is what is left (AWS is silent; docs/choices.md).
    """
    strategy = configuration["strategy"]
    if strategy == "CANARY":
        canary = configuration["canaryConfiguration"]
        if canary["canaryPercent"] < 100:
            return [Increment(canary["canaryPercent"], canary["canaryBakeTimeInMinutes"]), Increment(100.0)]
    if strategy == "LINEAR":
        linear = configuration["linearConfiguration"]
        step = round(linear["stepPercent"] * 10)
        bake = linear["stepBakeTimeInMinutes"]
        return [Increment(tenths / 10, bake) for tenths in range(step, WHOLE, step)] + [Increment(100.0)]
    return [Increment(100.0)]


def weights_at(percent: float, target: str, source: str) -> dict[str, int]:
    """The weights that give the target group `target` so many percent. ELB's weights are whole, 0 to 999.

    A whole percentage is written as CodeDeploy writes it, of 100; a fraction in tenths, of 1000.
    """
    tenths = round(percent * 10)
    if tenths % 10 == 0:
        return {target: tenths // 10, source: 100 - tenths // 10}
    return {target: tenths, source: WHOLE - tenths}


def steps_for(
    configuration: Mapping[str, Any], *, is_first: bool, reconciles: bool, hook_ids: Iterable[str]
) -> list[StepSpec]:
    """The steps of a deployment. `reconciles`: other revisions than source and target are active when it begins."""
    writing = _Writing([] if is_first else configuration.get("lifecycleHooks", []), iter(hook_ids))
    has_alarms = bool(alarms_of(configuration))
    if has_alarms:
        writing.act(RECONCILE, " alarms", act=WATCH)
    if is_rolling(configuration):
        writing.act(SCALE_UP, act=ROLL)
        if has_alarms:
            writing.act(BAKE)
        return writing.steps
    writing.act(RECONCILE)
    if reconciles:
        writing.hooks(RECONCILE)
    if is_first:
        writing.act(SCALE_UP)
        writing.act(SHIFT, percent=100.0)
        writing.act(CLEAN_UP)
        return writing.steps
    writing.hooks("PRE_SCALE_UP")
    writing.act(SCALE_UP, timeout_s=LONGEST_STAGE_S)
    writing.hooks("POST_SCALE_UP")
    writing.act(TEST_SHIFT)
    writing.hooks(TEST_SHIFT)
    writing.hooks("POST_TEST_TRAFFIC_SHIFT")
    for increment in increments_for(configuration):
        at = f" {increment.percent:g} %"
        writing.hooks(PRE_SHIFT, at)
        writing.act(SHIFT, at, percent=increment.percent)
        if increment.bake_minutes:
            writing.act(SHIFT, f"{at} bake", act=BAKE, minutes=increment.bake_minutes, percent=increment.percent)
            writing.beside(SHIFT, at)
        else:
            writing.hooks(SHIFT, at)
    writing.hooks(POST_SHIFT)
    writing.act(BAKE, minutes=configuration.get("bakeTimeInMinutes", 0))
    writing.act(CLEAN_UP, " proof", act=PROVE)
    writing.act(CLEAN_UP)
    return writing.steps


def steps_back(configuration: Mapping[str, Any]) -> list[StepSpec]:
    """The steps of a rollback: everything goes back in one move, then green is proven drained and stopped."""
    writing = _Writing([], iter(()))
    if is_rolling(configuration):
        writing.act(SCALE_UP, " return", act=RETURN)
        writing.act(SCALE_UP, act=ROLL)
        return writing.steps
    writing.act(SHIFT, act=RETURN)
    writing.act(CLEAN_UP, " proof", act=PROVE)
    writing.act(CLEAN_UP)
    return writing.steps


def is_rolling(configuration: Mapping[str, Any]) -> bool:
    return bool(configuration.get("strategy", "ROLLING") == "ROLLING")


def alarms_of(configuration: Mapping[str, Any]) -> list[str]:
    """The names of the alarms that decide about a deployment."""
    alarms = configuration.get("alarms") or {}
    return list(alarms.get("alarmNames", ())) if alarms.get("enable") else []


class _Writing:
    """Steps in their order: an act of a stage, or all hooks of a stage together."""

    def __init__(self, hooks: Sequence[Mapping[str, Any]], hook_ids: Any) -> None:
        self.steps: list[StepSpec] = []
        self._hooks = hooks
        self._hook_ids = hook_ids
        self._rank = 0

    def act(self, stage: str, suffix: str = "", *, timeout_s: float | None = None, **spec: Any) -> None:
        self._rank += 1
        whole = {"stage": stage, "act": stage, **spec}
        self.steps.append(StepSpec(f"{stage}{suffix}", self._rank, timeout_s, whole))

    def hooks(self, stage: str, suffix: str = "") -> None:
        self._rank += 1
        self.beside(stage, suffix)

    def beside(self, stage: str, suffix: str = "") -> None:
        """The hooks of a stage, at the same time as its last act."""
        wanted = [hook for hook in self._hooks if stage in hook["lifecycleStages"]]
        for number, hook in enumerate(wanted, start=1):
            spec = {"stage": stage, "act": HOOK, "hook": dict(hook), "hookId": next(self._hook_ids)}
            self.steps.append(StepSpec(f"{stage}{suffix} hook {number}", self._rank, None, spec))
