"""How a deployment begins: its run, its announcement and its place in the history of its group, in one transaction."""

from __future__ import annotations

from typing import Any

from turnout.aws import Aws
from turnout.codedeploy.alarms import insert_watch
from turnout.codedeploy.announcing import announce
from turnout.codedeploy.lifecycle import ROLLBACK_CREATOR, steps_for
from turnout.codedeploy.shifting import ALL_AT_ONCE
from turnout.names import new_capitals
from turnout.runs import Run, Runs, Status, Step
from turnout.store import Shelf, Store, Transaction

KIND = "codedeploy"
ALL_AT_ONCE_CONFIG = "CodeDeployDefault.ECSAllAtOnce"


class History:
    """By deployment group id: the last deployment that was attempted, the last that succeeded, and its revision."""

    def __init__(self, store: Store) -> None:
        self._shelf = Shelf(store, "codedeploy.history")

    def find(self, region: str, group_id: str) -> dict[str, Any]:
        return self._shelf.find(region, group_id) or {}

    def add(self, tx: Transaction, run: Run, **what: Any) -> None:
        group_id = run.spec["deployment_group_id"]
        self._shelf.put(tx, run.region, group_id, {**self.find(run.region, group_id), **what})


class Starting:
    def __init__(self, runs: Runs, aws: Aws, history: History) -> None:
        self._runs = runs
        self._aws = aws
        self._history = history

    def start(
        self, tx: Transaction, region: str, spec: dict[str, Any], cause: str | None, facts: dict[str, Any] | None = None
    ) -> Run:
        """A deployment, due at once. Raises Exclusive while another one of its group is unfinished."""
        run = self._runs.insert(
            tx,
            KIND,
            region,
            f"d-{new_capitals(9)}",
            spec,
            steps_for(spec),
            lane=spec["deployment_group_id"],
            is_exclusive=True,
            cause=cause,
            facts=facts,
        )
        self._history.add(tx, run, attempted=run.name)
        announce(tx, self._aws, self._runs, run, "START")
        insert_watch(tx, self._runs, run)
        return run

    def roll_back(self, tx: Transaction, failed: Run) -> Run:
        """A second deployment that puts back what `failed` moved. It creates nothing, and never rolls back itself."""
        spec = failed.spec | {
            "creator": ROLLBACK_CREATOR,
            "config_name": ALL_AT_ONCE_CONFIG,
            "routing": dict(ALL_AT_ONCE),
            "revision": failed.spec["previous_revision"],
            "commit_id": None,
            "description": None,
            "rollback_events": [],
            "rolls_back": failed.name,
            "alarms": [],
            "hooks": {},
        }
        kept = ("service_arn", "blue", "green", "task_sets")
        facts = {name: failed.facts[name] for name in kept if name in failed.facts}
        rollback = self.start(tx, failed.region, spec, f"rollback:{failed.id}", facts)
        self._runs.remember(tx, failed.id, rolled_back_by=rollback.name)
        return rollback


def wants_rollback(run: Run, steps: list[Step]) -> bool:
    """Whether the end of a deployment brings a rollback about. Pure.

    Nothing is rolled back before there is a replacement, nor once the original task set is being terminated.
    """
    begun = {step.name for step in steps if step.started_at is not None}
    if run.spec["rolls_back"] is not None or "Install" not in begun or "TerminateBlue" in begun:
        return False
    if run.status is Status.FAILED:
        return "DEPLOYMENT_FAILURE" in run.spec["rollback_events"]
    if run.status is Status.STOPPED and run.stop is not None:
        return bool(run.stop["rollback"])
    return False
