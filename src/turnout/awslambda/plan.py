"""Invocations that nobody waits for (InvocationType Event): durable runs, tried again as Lambda does.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from turnout.aws import Others
from turnout.awslambda.running import Running
from turnout.awslambda.words import Function
from turnout.errors import AwsError, StepFailed
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Runs, Step

KIND = "lambda.invocation"
RETRIES = 2
RETRY_S = 60.0
LOOK_S = 30.0

FindFunction = Callable[[str, str, str | None], Function]


class InvocationPlan(StraightPlan):
    kind = KIND

    def __init__(self, runs: Runs, others: Others, running: Running, find: FindFunction) -> None:
        self._runs = runs
        self._others = others
        self._running = running
        self._find = find
        self._watched: set[str] = set()

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        """The function's own error is what Lambda tries again; what cannot be started at all is given up."""
        facts = self._runs.get(run.id).facts
        attempt = int(facts.get("attempt", 0))
        again_at = facts.get("again_at")
        now = self._runs.clock.now()
        if again_at is not None and again_at > now:
            return Wait(again_at - now, f"tried again after an error: {attempt} of {RETRIES} retries")
        key = f"{run.name}.{attempt}"
        try:
            function = self._find(run.region, run.spec["function"], run.spec["qualifier"])
            process = await self._running.ensure_started(
                key, function, run.name, base64.b64decode(run.spec["event"]), run.spec["client_context"]
            )
        except AwsError as error:
            raise StepFailed(error.code, error.message) from error
        if process.is_alive():
            return Wait(LOOK_S, f"{function.name} runs", on=self._watch(key, process.on_exit))
        outcome = await self._running.outcome(process, function, run.name)
        if not outcome.is_error:
            return Done()
        if attempt >= self._retries(run):
            raise StepFailed("Unhandled", outcome.answer.decode("utf-8", "replace")[:2000])
        wait_s = self._runs.clock.scaled_s(RETRY_S * (attempt + 1))
        with self._runs.store.transaction() as tx:
            self._runs.remember(tx, run.id, attempt=attempt + 1, again_at=now + wait_s)
        return Wait(wait_s, f"tried again after an error: {attempt + 1} of {RETRIES} retries")

    def _watch(self, key: str, on_exit: Callable[[Callable[[], None]], None]) -> str:
        topic = f"{KIND}/process/{key}"

        def ended() -> None:
            self._watched.discard(key)
            self._runs.store.eventually(lambda tx: self._runs.wake(tx, topic))

        if key not in self._watched:
            self._watched.add(key)
            on_exit(ended)
        return topic

    def _retries(self, run: Run) -> int:
        try:
            found = self._others.call(
                "lambda", "GetFunctionEventInvokeConfig", run.region, {"FunctionName": run.spec["function"]}
            )
        except AwsError:  # most functions have no such configuration
            return RETRIES
        return int(found.get("MaximumRetryAttempts", RETRIES))
