"""The plan of an execution: gates and actions.

A run of kind "codepipeline" has, for each stage in turn, a *gate* step and then one step per action; actions of equal
runOrder have equal rank and run together. A gate leaves nothing to chance: passing it takes the stage's lock (a row
under a unique index), and the end of the last action of a stage gives the lock back in the same transaction.
Woken topics: `codepipeline.stage/<region>/<pipeline>/<stage>` when a stage is left or its transition is enabled.

RetryStageExecution makes a further run of the same execution (named `<execution id>/<attempt>`), which holds the lock
from the start and whose steps are the actions to be done again and all later stages: nothing moves backwards, and the
earlier run stays as it ended. Artifacts and variables are looked up over all runs of an execution.

Left after a crash: whatever the rows say. A gate that was passed finds its lock; an action that had begun finds its
row with its resolved configuration and the names of its artifacts, and asks again under the same cause.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codepipeline import events
from turnout.codepipeline.actions.job import Action
from turnout.codepipeline.book import Book
from turnout.codepipeline.gate import verdict
from turnout.codepipeline.jobs import Jobs
from turnout.codepipeline.pipelines import Pipelines
from turnout.codepipeline.statuses import (
    ACTION,
    EXECUTION_EVENTS,
    SUPERSEDED,
    execution_status,
    is_stage_over,
    stage_status,
    why_stopped,
)
from turnout.errors import AwsError, StepFailed, StepStopped
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Runs, Step, StepSpec
from turnout.store import Store, Transaction

log = logging.getLogger(__name__)

DAY_S = 86400.0
LONGEST_HOLD_S = 30 * DAY_S
"""How long an execution may wait in front of a stage."""


def stage_topic(region: str, pipeline: str, stage: str) -> str:
    return f"codepipeline.stage/{region}/{pipeline}/{stage}"


def gate_name(stage: str) -> str:
    return f"enter {stage}"


def steps_of(pipeline: Mapping[str, Any], actions: Mapping[tuple[str, str], Action], first: int = 0) -> list[StepSpec]:
    """The steps of the stages from number `first` on."""
    steps: list[StepSpec] = []
    for index, stage in list(enumerate(pipeline["stages"]))[first:]:
        steps.append(StepSpec(gate_name(stage["name"]), index * 1000, LONGEST_HOLD_S, {"gate": stage["name"]}))
        steps.extend(action_step(stage["name"], index, action, actions) for action in stage["actions"])
    return steps


def action_step(
    stage: str, index: int, action: Mapping[str, Any], actions: Mapping[tuple[str, str], Action]
) -> StepSpec:
    provider = actions[action["actionTypeId"]["category"], action["actionTypeId"]["provider"]].provider
    minutes = action.get("timeoutInMinutes")
    if minutes is None and provider.timeout_minutes_key in action.get("configuration", {}):
        minutes = int(action["configuration"][provider.timeout_minutes_key])
    return StepSpec(
        f"{stage}/{action['name']}",
        index * 1000 + action.get("runOrder", 1),
        provider.timeout_s if minutes is None else minutes * 60.0,
        {"stage": stage, "action": dict(action)},
    )


class ExecutionPlan(StraightPlan):
    """Runs executions. `spec` of a run: uid, execution, pipeline (the declaration), bucket, trigger, attempt."""

    kind = "codepipeline"

    def __init__(
        self,
        store: Store,
        runs: Runs,
        aws: Aws,
        clock: Clock,
        book: Book,
        pipelines: Pipelines,
        actions: Mapping[tuple[str, str], Action],
    ) -> None:
        self._store = store
        self._runs = runs
        self._aws = aws
        self._clock = clock
        self._book = book
        self._pipelines = pipelines
        self._actions = actions
        self._jobs = Jobs(store, aws, clock, book, actions)

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        if "gate" in step.spec:
            return self._pass_gate(run, step)
        kind = step.spec["action"]["actionTypeId"]
        job = self._jobs.job_for(run, step)
        try:
            return await self._actions[kind["category"], kind["provider"]].ensure(job)
        except AwsError as error:
            raise StepFailed("JobFailed", f"{error.message} ({error.code})") from error

    def stops(self, run: Run, step: Step) -> StepStopped | None:
        """Who waits at a gate stops; an action that was begun goes on, unless it is abandoned."""
        is_begun = "action" in step.spec and self._book.find_action(step.id) is not None
        if is_begun and not run.facts.get("abandon"):
            return None
        return StepStopped(why_stopped(run), str((run.stop or {}).get("message", "The execution was stopped.")))

    def expired(self, run: Run, step: Step) -> StepFailed:
        if "gate" in step.spec:
            return StepFailed("JobFailed", f"The execution waited 30 days: {step.note}")
        name, minutes = step.spec["action"]["name"], (step.timeout_s or 0) / 60
        return StepFailed("JobFailed", f"Action {name} timed out after {minutes:g} minutes: {step.note}")

    def ended(self, tx: Transaction, run: Run, step: Step) -> None:
        """Tell the end of an action, and leave the stage with its last one."""
        now = self._clock.now()
        if (action := self._book.find_action(step.id)) is not None:
            state = ACTION[step.status].upper()
            self._aws.announce(tx, events.action_event(run, step, action, state, now))
        for stay in self._book.stays_of(run.id):
            steps = self.steps_in(run, stay.stage)
            if stay.left_at is None and is_stage_over(run, steps):
                self._book.leave(tx, stay)
                state = EXECUTION_EVENTS[stage_status(run, steps)]
                self._aws.announce(tx, events.stage_event(run, stay.stage, state, now))
                self._runs.wake(tx, stage_topic(run.region, run.spec["pipeline"]["name"], stay.stage))

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        state = EXECUTION_EVENTS[execution_status(run)]
        self._aws.announce(tx, events.pipeline_event(run, state, self._clock.now()))

    def steps_in(self, run: Run, stage: str) -> list[Step]:
        """The actions of a run in a stage."""
        return [step for step in self._runs.steps(run.id) if step.spec.get("stage") == stage]

    # Gates

    def _pass_gate(self, run: Run, step: Step) -> Done | Wait:
        """Take the stage's lock, or wait for it. Without an await: what is read is still true when it is written."""
        uid, stage, execution_id = run.spec["uid"], step.spec["gate"], run.spec["execution"]
        topic = stage_topic(run.region, run.spec["pipeline"]["name"], stage)
        with self._store.transaction() as tx:
            inside = self._book.inside(uid, stage)
            if inside is not None and inside.run_id == run.id:
                return Done()
            waiting = self._book.in_front_of(uid, step.name)
            number = next((number for number, id, _ in waiting if id == execution_id), None)
            if number is None:  # stopped between being picked up and getting here
                return Wait(0, "to be stopped")
            transition = self._pipelines.transition(run.region, uid, stage)
            found = verdict(
                number,
                [each for each, _, _ in waiting],
                None if inside is None else inside.execution_id,
                transition["enabled"],
                transition.get("disabledReason"),
                stage,
            )
            for other, _, run_id in waiting:
                if other in found.superseded:
                    message = f"Superseded by execution {execution_id} in front of stage {stage}."
                    self._runs.request_stop(tx, run_id, code=SUPERSEDED, message=message)
            if not found.is_admitted:
                return Wait(DAY_S, found.why, on=topic)
            self._book.enter(tx, uid, stage, execution_id, run.id)
            now = self._clock.now()
            self._aws.announce(tx, events.stage_event(run, stage, "STARTED", now))
            return Done()
