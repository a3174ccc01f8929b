"""A lifecycle event with a hook, as a step of its deployment: it begins the hook's run, and waits for what it says."""

from __future__ import annotations

from turnout.codedeploy.hooks.plan import KIND, insert_hook, topic_of
from turnout.codedeploy.hooks.words import HOOK_EXECUTION_FAILURE, failure_of
from turnout.errors import StepFailed
from turnout.runner import Done, Wait
from turnout.runs import Run, Runs, Step

LOOK_AGAIN_S = 15.0
"""For the reason of its waiting: its end wakes the event."""


class HookEvent:
    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        hook = run.spec.get("hooks", {}).get(step.name)
        if hook is None:  # an event without a hook succeeds at once
            return Done()
        with self._runs.store.transaction() as tx:
            known = (self._runs.get(run.id).facts.get("hooks") or {}).get(step.name)
            if known is None:
                insert_hook(tx, self._runs, run, step)
        if known is not None and known["status"] == "Succeeded":
            return Done()
        if known is not None and known["status"] != "InProgress":
            raise StepFailed(HOOK_EXECUTION_FAILURE, failure_of(known))
        note = self._note(run, step.name)
        why = f"the hook {hook['name']} ({hook['kind']}) is under way" + (f": {note}" if note else "")
        return Wait(LOOK_AGAIN_S, why, on=topic_of(run.region, run.name, step.name))

    def _note(self, run: Run, event: str) -> str | None:
        hook = self._runs.find(KIND, run.region, f"{run.name}/{event}")
        notes = [step.note for step in self._runs.steps(hook.id) if step.note] if hook else []
        return notes[-1] if notes else None
