"""A hook that is a Lambda function: it is invoked with the ids, and reports by PutLifecycleEventHookExecutionStatus.

What it returns means nothing; an invocation that fails fails the hook. It may report long after it has returned.
https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
"""

from __future__ import annotations

import base64
import json
from typing import Any

from turnout.aws import Aws
from turnout.codedeploy.hooks.plan import INVOKE, LONGEST_S, keep_output
from turnout.codedeploy.hooks.words import FAILED, MISSING, TIMED_OUT, tail_of
from turnout.errors import AwsError, StepFailed
from turnout.runner import Done, Wait
from turnout.runs import Run, Runs, Step

LAST_WORDS_S = 2.0
"""How long the end of a function is waited for once it has reported: what it wrote is known then."""
SAID_CHARACTERS = 500


class FunctionHook:
    def __init__(self, runs: Runs, aws: Aws) -> None:
        self._runs = runs
        self._aws = aws

    def ends_by_itself(self) -> bool:
        return False

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        return await self._invoke(run, step) if step.name == INVOKE else self._hear(run, step)

    async def _invoke(self, run: Run, step: Step) -> Done:
        function = run.spec["hook"]["function"]
        event = {"DeploymentId": run.spec["deployment"], "LifecycleEventHookExecutionId": run.spec["execution_id"]}
        try:
            answer = await self._aws.call(
                "lambda",
                "Invoke",
                run.region,
                cause=f"step:{step.id}",
                FunctionName=function,
                InvocationType="RequestResponse",
                LogType="Tail",
                Payload=json.dumps(event).encode(),
            )
        except AwsError as error:
            code = MISSING if error.code == "ResourceNotFoundException" else FAILED
            hint = f" {run.spec['hook']['name']} is in no turnout.yml either." if code == MISSING else ""
            message = f"the function {function} could not be invoked: {error.message}{hint} ({error.code})"
            raise StepFailed(code, message) from error
        keep_output(self._runs, run, tail_of(base64.b64decode(answer.get("LogResult") or "")))
        if answer.get("FunctionError"):
            raise StepFailed(FAILED, f"the function {function} failed: {_said(answer.get('Payload'))}")
        return Done()

    def _hear(self, run: Run, step: Step) -> Done | Wait:
        """The verdict, of the function or, where it could not be run, of its invocation."""
        assert step.started_at is not None
        now, function = self._runs.clock.now(), run.spec["hook"]["function"]
        if step.answer is None:
            left_s = step.started_at + LONGEST_S - now
            if left_s <= 0:
                raise StepFailed(TIMED_OUT, f"the function {function} has reported no status within an hour")
            return Wait(left_s, f"waiting for {function} to call PutLifecycleEventHookExecutionStatus")
        invoke = self._runs.find_step(run.id, INVOKE)
        left_s = step.answer["at"] + LAST_WORDS_S - now
        if invoke is not None and not invoke.status.is_over and left_s > 0:
            return Wait(left_s, f"{function} has reported {step.answer['status']}; it is about to end")
        if step.answer["status"] == "Succeeded":
            return Done()
        message = step.answer.get("message") or f"the function {function} has reported Failed"
        raise StepFailed(step.answer.get("code") or FAILED, message)


def _said(payload: Any) -> str:
    """What a function that failed answered: "ValueError: not today"."""
    body = payload.read() if hasattr(payload, "read") else payload or b""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    try:
        document = json.loads(text)
        return f"{document['errorType']}: {document['errorMessage']}"[:SAID_CHARACTERS]
    except (ValueError, KeyError, TypeError):
        return text[:SAID_CHARACTERS]
