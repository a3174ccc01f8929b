"""Lifecycle hooks of a deployment: a Lambda function that is asked, or a pause that a person ends.

A function *returns* {"hookStatus": "SUCCEEDED" | "FAILED" | "IN_PROGRESS", "callBackDelay": seconds}; IN_PROGRESS is
asked again, anything else than these rolls back. After a crash a function may be asked once more, as on AWS.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-lifecycle-hooks.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from turnout.ecs.deployment_steps import DEFAULT_HOOK_MINUTES
from turnout.ecs.revisions import revision_arn
from turnout.ecs.room import Room
from turnout.errors import AwsError, StepFailed
from turnout.runner import Done, Wait
from turnout.runs import Run, Status, Step

FAILED = "HOOK_EXECUTION_FAILURE"
OUTPUTS = "hook_outputs"
"""The fact of a run: hookId → output."""
CALL_BACK_S = 30.0
"""How long until a function that answered IN_PROGRESS is asked again, unless it says."""


class DeploymentHooks:
    def __init__(self, room: Room) -> None:
        self._room = room

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        left_s = expires_at(self._room, step) - self._room.clock.now()
        if kind_of(step) == "PAUSE":
            if step.answer is not None:
                if step.answer["action"] == "ROLLBACK":
                    raise StepFailed(FAILED, f"A rollback was requested at the pause in {step.spec['stage']}.")
                return Done()
            if left_s > 0:
                return Wait(left_s, f"paused in {step.spec['stage']} until ContinueServiceDeployment")
            return self._timed_out(step)
        if left_s <= 0:
            return self._timed_out(step)
        delay_s = await self._ask(run, step)
        if delay_s is None:
            return Done()
        name = step.spec["hook"]["hookTargetArn"]
        return Wait(min(left_s, self._room.clock.scaled_s(delay_s)), f"{name} answered IN_PROGRESS")

    def _timed_out(self, step: Step) -> Done:
        if timeout_of(step)[1] == "CONTINUE":
            return Done({"status": "TIMED_OUT"})
        raise StepFailed("TIMEOUT", f"The lifecycle hook of {step.spec['stage']} timed out.")

    async def _ask(self, run: Run, step: Step) -> float | None:
        """Invoke the function: None once it has succeeded, else the seconds until it wants to be asked again."""
        name = step.spec["hook"]["hookTargetArn"]
        try:
            answer = await self._room.aws.call(
                "lambda",
                "Invoke",
                run.region,
                cause=f"step:{step.id}",
                FunctionName=name,
                InvocationType="RequestResponse",
                LogType="Tail",
                Payload=json.dumps(self._payload(run, step)).encode(),
            )
        except AwsError as error:
            raise StepFailed(FAILED, f"The lifecycle hook {name} could not be invoked: {error.message}") from error
        self._keep_output(run, step, answer)
        payload = answer.get("Payload") or b""
        text = payload.read() if hasattr(payload, "read") else payload
        said = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        if answer.get("FunctionError"):
            raise StepFailed(FAILED, f"The lifecycle hook {name} failed: {said[:500]}")
        try:
            document = json.loads(said)
            status = document["hookStatus"]
        except (ValueError, KeyError, TypeError):
            raise StepFailed(
                FAILED,
                f"The lifecycle hook {name} must return an object with hookStatus SUCCEEDED, FAILED or IN_PROGRESS, and"
                f" returned {said[:200] or 'nothing'}.",
            ) from None
        if status == "SUCCEEDED":
            return None
        if status != "IN_PROGRESS":
            raise StepFailed(FAILED, f"The lifecycle hook {name} of {step.spec['stage']} returned {status}.")
        delay = document.get("callBackDelay", CALL_BACK_S)
        return float(delay) if isinstance(delay, int | float) and delay > 0 else CALL_BACK_S

    def _keep_output(self, run: Run, step: Step, answer: Mapping[str, Any]) -> None:
        """The end of what a function wrote when it was last asked (4 KB, as Lambda gives it): for the receipt."""
        output = base64.b64decode(answer.get("LogResult") or "").decode("utf-8", "replace").strip("\n")
        if output:
            with self._room.store.transaction() as tx:
                kept = self._room.runs.get(run.id).facts.get(OUTPUTS, {})
                self._room.runs.remember(tx, run.id, **{OUTPUTS: {**kept, step.spec["hookId"]: output}})

    def _payload(self, run: Run, step: Step) -> dict[str, Any]:
        """What a function is told: where the deployment stands, and the details that the service configures."""
        spec, facts = run.spec, self._room.runs.get(run.id).facts
        target, source = (
            set_id and revision_arn(run.region, spec["cluster"], spec["service"], set_id)
            for set_id in (spec["target"], spec["source"])
        )

        def weights(percent: float) -> dict[str, float]:
            return {target: percent} | ({source: 100.0 - percent} if source else {})

        told: dict[str, Any] = {
            "executionDetails": {
                "testTrafficWeights": weights(facts.get("test_percent", 0.0)),
                "productionTrafficWeights": weights(facts.get("percent", 0.0)),
                "serviceArn": spec["service_arn"],
                "targetServiceRevisionArn": target,
            },
            "executionId": step.spec["hookId"],
            "lifecycleStage": step.spec["stage"],
            "resourceArn": spec["arn"],
        }
        details = step.spec["hook"].get("hookDetails")
        return told if details is None else {**told, "hookDetails": details}


def kind_of(step: Step) -> str:
    return str(step.spec["hook"].get("targetType") or "AWS_LAMBDA")


def timeout_of(step: Step) -> tuple[int, str]:
    """(minutes, the action that follows) of a hook."""
    asked = step.spec["hook"].get("timeoutConfiguration") or {}
    return asked.get("timeoutInMinutes", DEFAULT_HOOK_MINUTES), asked.get("action", "ROLLBACK")


def expires_at(room: Room, step: Step) -> float:
    assert step.started_at is not None
    return step.started_at + room.clock.scaled_s(60.0 * timeout_of(step)[0])


def describe_hook(room: Room, step: Step) -> dict[str, Any]:
    """A hook that was begun, in AWS's shape."""
    running = "AWAITING_ACTION" if kind_of(step) == "PAUSE" else "IN_PROGRESS"
    has_timed_out = step.code == "TIMEOUT" or step.result.get("status") == "TIMED_OUT"
    status = {Status.IN_PROGRESS: running, Status.SUCCEEDED: "SUCCEEDED"}.get(step.status, "FAILED")
    hook = step.spec["hook"]
    return {
        "hookId": step.spec["hookId"],
        "targetType": kind_of(step),
        "targetArn": hook.get("hookTargetArn"),
        "status": "TIMED_OUT" if has_timed_out else status,
        "expiresAt": expires_at(room, step),
        "timeoutAction": timeout_of(step)[1],
    }


def tell_hook(room: Room, run: Run, step: Step) -> dict[str, Any]:
    """A hook that was begun, as a receipt tells it (turnout/receipt.py)."""
    described = describe_hook(room, step)
    is_pause = kind_of(step) == "PAUSE"
    answered = f"{step.answer['action']} was asked for" if step.answer else None
    return {
        "event": step.spec["stage"],
        "name": "PAUSE" if is_pause else described["targetArn"].rpartition(":function:")[2],
        "kind": "pause" if is_pause else "lambda",
        "executionId": described["hookId"],
        "status": described["status"],
        "errorCode": step.code,
        "message": step.message or answered,
        "output": run.facts.get(OUTPUTS, {}).get(described["hookId"], ""),
        "startedAt": step.started_at,
        "endedAt": step.ended_at,
    }
