"""How an execution begins: the one place where runs of kind "codepipeline" are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codepipeline import events
from turnout.codepipeline.actions.job import Action
from turnout.codepipeline.book import Book
from turnout.codepipeline.pipelines import Pipeline
from turnout.codepipeline.plan import ExecutionPlan, action_step, steps_of
from turnout.codepipeline.records import Execution
from turnout.names import new_uuid
from turnout.runs import Run, Runs, StepSpec
from turnout.store import Transaction

Trigger = tuple[str, str | None]
"""(triggerType, triggerDetail) in AWS's words."""


class Starting:
    def __init__(
        self, runs: Runs, aws: Aws, clock: Clock, book: Book, actions: Mapping[tuple[str, str], Action]
    ) -> None:
        self._runs = runs
        self._aws = aws
        self._clock = clock
        self._book = book
        self._actions = actions

    def start(
        self,
        tx: Transaction,
        region: str,
        pipeline: Pipeline,
        trigger: Trigger,
        *,
        token: str | None = None,
        variables: dict[str, str] | None = None,
        revisions: dict[str, str] | None = None,
    ) -> str:
        """A new execution, due at once. Returns its id."""
        declaration, execution_id = pipeline["declaration"], new_uuid()
        declared = declaration.get("variables", [])
        defaults = {item["name"]: item["defaultValue"] for item in declared if item.get("defaultValue") is not None}
        spec = {
            "uid": pipeline["uid"],
            "execution": execution_id,
            "pipeline": declaration,
            "bucket": bucket_of(declaration, region),
            "trigger": trigger,
            "attempt": 1,
        }
        run = self._insert(tx, region, execution_id, spec, steps_of(declaration, self._actions))
        self._book.add_execution(
            tx,
            execution_id,
            pipeline["uid"],
            run.id,
            declaration["version"],
            trigger,
            token=token,
            variables=defaults | (variables or {}),
            revisions=revisions,
        )
        self._aws.announce(tx, events.pipeline_event(run, "STARTED", self._clock.now()))
        return execution_id

    def resume(
        self, tx: Transaction, execution: Execution, was: Run, index: int, again: Sequence[Mapping[str, Any]]
    ) -> None:
        """A further run of an execution: the actions `again` of stage number `index`, inside it at once, and all later
        stages."""
        attempt = was.spec["attempt"] + 1
        declaration = was.spec["pipeline"]
        stage = declaration["stages"][index]["name"]
        steps = [action_step(stage, index, action, self._actions) for action in again]
        steps += steps_of(declaration, self._actions, index + 1)
        run = self._insert(tx, was.region, f"{execution.id}/{attempt}", {**was.spec, "attempt": attempt}, steps)
        self._book.continue_with(tx, execution.id, run.id)
        self._book.enter(tx, execution.pipeline, stage, execution.id, run.id)
        now = self._clock.now()
        self._aws.announce(tx, events.pipeline_event(run, "RESUMED", now))
        self._aws.announce(tx, events.stage_event(run, stage, "RESUMED", now))

    def _insert(self, tx: Transaction, region: str, name: str, spec: dict[str, Any], steps: Iterable[StepSpec]) -> Run:
        lane = spec["pipeline"]["name"]
        return self._runs.insert(tx, ExecutionPlan.kind, region, name, spec, steps, lane=lane)


def bucket_of(declaration: Mapping[str, Any], region: str) -> str:
    """The artifact bucket of a pipeline in its own region."""
    store = declaration.get("artifactStore") or declaration["artifactStores"][region]
    return str(store["location"])
