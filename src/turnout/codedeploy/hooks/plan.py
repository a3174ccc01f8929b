"""The run of a hook, kind "codedeploy.hook", beside the deployment that waits for it. Its name is deployment/event.

    Invoke, Verdict   of a Lambda function, at the same time: the call, and the status that the function reports
    Run               of a script, a container or an HTTP call: its own end decides

What it came to is written into the facts of the deployment in the transaction that ends the step which decides, and
wakes the deployment. After a crash each kind finds what it began: an invocation, a process and a task by their names;
an HTTP call is made once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from turnout.codedeploy.hooks.words import SUCCESS, UNKNOWN, outcome
from turnout.errors import StepStopped
from turnout.hookfile import LAMBDA
from turnout.names import new_uuid
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Runs, Status, Step, StepSpec, run_topic
from turnout.store import Transaction

KIND = "codedeploy.hook"
INVOKE, VERDICT, RUN = "Invoke", "Verdict", "Run"
LONGEST_S = 3600.0

Document = dict[str, Any]


class HookKind(Protocol):
    """How hooks of one kind are made to happen."""

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        """Raises StepFailed with a LifecycleErrorCode; what it wrote is left by `keep_output` before."""

    def ends_by_itself(self) -> bool:
        """Whether `ensure` brings about the end of what was begun when the run is asked to stop."""


class HookPlan(StraightPlan):
    kind = KIND

    def __init__(self, runs: Runs, deployment_kind: str, kinds: Mapping[str, HookKind]) -> None:
        self._runs = runs
        self._deployment_kind = deployment_kind
        self._kinds = kinds

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        return await self._kind_of(run).ensure(run, step)

    def stops(self, run: Run, step: Step) -> StepStopped | None:
        return None if self._kind_of(run).ends_by_itself() else super().stops(run, step)

    def ended(self, tx: Transaction, run: Run, step: Step) -> None:
        if step.name == INVOKE:  # the verdict may wait for its last words, and is there if it could not be invoked
            verdict = self._runs.find_step(run.id, VERDICT)
            if verdict is not None and not verdict.status.is_over:
                has_failed = step.status is Status.FAILED and verdict.answer is None
                failed = {"status": "Failed", "at": step.ended_at, "code": step.code, "message": step.message}
                self._runs.signal(tx, verdict.id, failed if has_failed else None)
            return
        deployment = self._runs.find(self._deployment_kind, run.region, run.spec["deployment"])
        event = run.spec["event"]
        known = (deployment.facts.get("hooks") or {}).get(event) if deployment else None
        if deployment is None or known is None or known["status"] != "InProgress":
            return
        has_succeeded = step.status is Status.SUCCEEDED
        facts = self._runs.get(run.id).facts
        put_outcome(
            self._runs,
            tx,
            deployment,
            {
                **known,
                "status": str(step.status),
                "errorCode": SUCCESS if has_succeeded else step.code if step.status is Status.FAILED else UNKNOWN,
                "message": facts.get("said", "Succeeded") if has_succeeded else step.message,
                "output": facts.get("output", ""),
                "endedAt": step.ended_at,
            },
        )
        self._runs.wake(tx, topic_of(run.region, run.spec["deployment"], event))

    def _kind_of(self, run: Run) -> HookKind:
        return self._kinds[run.spec["hook"]["kind"]]


def insert_hook(tx: Transaction, runs: Runs, deployment: Run, step: Step) -> Run:
    """Begin the hook of a lifecycle event. Its execution id is stored before anybody is told of it."""
    event, hook = step.name, deployment.spec["hooks"][step.name]
    execution_id = new_uuid()
    steps = [StepSpec(RUN, 0)]
    if hook["kind"] == LAMBDA:
        steps = [StepSpec(INVOKE, 0), StepSpec(VERDICT, 0)]
    run = runs.insert(
        tx,
        KIND,
        deployment.region,
        f"{deployment.name}/{event}",
        {"deployment": deployment.name, "event": event, "hook": hook, "execution_id": execution_id},
        steps,
        lane=deployment.name,
        cause=f"hook:{step.id}",
    )
    put_outcome(runs, tx, deployment, outcome(event, hook, execution_id, runs.clock.now()))
    return run


def end_hook(tx: Transaction, runs: Runs, deployment: Run, event: str) -> None:
    """The deployment no longer waits for the hook of an event: it is asked to end."""
    known = (runs.get(deployment.id).facts.get("hooks") or {}).get(event)
    if known is None or known["status"] != "InProgress":
        return
    put_outcome(runs, tx, deployment, {**known, "status": "Stopped", "endedAt": runs.clock.now()})
    run = runs.find(KIND, deployment.region, f"{deployment.name}/{event}")
    if run is not None and not run.status.is_over:
        runs.request_stop(tx, run.id, code=UNKNOWN, message="The deployment no longer waits for it.")


def put_outcome(runs: Runs, tx: Transaction, deployment: Run, ended: Document) -> None:
    known = runs.get(deployment.id).facts.get("hooks") or {}
    runs.remember(tx, deployment.id, hooks={**known, ended["event"]: ended})


def keep_output(runs: Runs, run: Run, output: str, said: str | None = None) -> None:
    """What a hook wrote, kept before its step ends; `said` is the message of one that succeeds."""
    facts = {"output": output} | ({"said": said} if said else {})
    if any(runs.get(run.id).facts.get(name) != value for name, value in facts.items()):
        with runs.store.transaction() as tx:
            runs.remember(tx, run.id, **facts)


def topic_of(region: str, deployment_id: str, event: str) -> str:
    """Woken when the hook of an event is over."""
    return run_topic(KIND, region, f"{deployment_id}/{event}")
