"""The room lambda, put together. Shared with moto: an operation without a method here is moto's.

Owns the code of functions and their invocations (runs of kind "lambda.invocation" where nobody waits for the answer).
After a crash the functions that were running go on: they are found again by their folder.
"""

from __future__ import annotations

import base64
import json
import uuid

from turnout.aws import Answer, Aws, Call, Others
from turnout.awslambda.code import Code
from turnout.awslambda.functions import Functions
from turnout.awslambda.plan import KIND, InvocationPlan
from turnout.awslambda.running import Running
from turnout.clock import Clock
from turnout.config import Config
from turnout.errors import AwsError
from turnout.runner import Plan
from turnout.runs import Runs, StepSpec

MOST_BYTES = {"RequestResponse": 6 * 1024 * 1024, "Event": 1024 * 1024, "DryRun": 6 * 1024 * 1024}
"""Of a payload, by the type of the invocation."""

_CAUSES = uuid.UUID("5d1f0a52-3d0e-4a4f-9f0b-0d8f4e6f1c11")


class Lambda(Functions):
    SERVICE = "lambda"

    def __init__(self, runs: Runs, aws: Aws, clock: Clock, config: Config, others: Others) -> None:
        self._runs = runs
        self._aws = aws
        self._others = others
        self._code = Code(config.functions / "code")
        self._running = Running(config, clock, aws, self._code)
        self.plans: list[Plan] = [InvocationPlan(runs, others, self._running, self._function)]

    async def start(self) -> None:
        self._running.forget_old()

    async def close(self) -> None:
        """Nothing to let go of: functions go on."""

    async def invoke(self, call: Call) -> Answer:
        """The same cause gets the same invocation: it is looked for before it is started."""
        function = self._function(call.region, call["FunctionName"], call.get("Qualifier"))
        kind = call.get("InvocationType", "RequestResponse")
        event = _event(call.get("Payload"), kind)
        request_id = call.request_id if call.cause is None else str(uuid.uuid5(_CAUSES, call.cause))
        if kind == "DryRun":
            return {"StatusCode": 204}
        if kind == "Event":
            self._accept(call, request_id, event)
            return {"StatusCode": 202}
        process = await self._running.ensure_started(request_id, function, request_id, event, call.get("ClientContext"))
        await process.wait()
        outcome = await self._running.outcome(process, function, request_id)
        if call.cause is None:
            self._running.forget(request_id)
        answer: Answer = {"StatusCode": 200, "Payload": outcome.answer, "ExecutedVersion": function.version}
        if outcome.is_error:
            answer["FunctionError"] = "Unhandled"
        if call.get("LogType") == "Tail":
            answer["LogResult"] = base64.b64encode(outcome.tail).decode()
        return answer

    def _accept(self, call: Call, request_id: str, event: bytes) -> None:
        if self._runs.find(KIND, call.region, request_id) is not None:
            return
        spec = {
            "function": call["FunctionName"],
            "qualifier": call.get("Qualifier"),
            "event": base64.b64encode(event).decode(),
            "client_context": call.get("ClientContext"),
        }
        with self._runs.store.transaction() as tx:
            self._runs.insert(tx, KIND, call.region, request_id, spec, [StepSpec("Invoke", 0)])


def _event(payload: bytes | str | None, kind: str) -> bytes:
    """The payload, which must be JSON; nothing is an empty object."""
    event = payload.encode() if isinstance(payload, str) else bytes(payload or b"") or b"{}"
    if len(event) > MOST_BYTES[kind]:
        message = f"Request must be smaller than {MOST_BYTES[kind]} bytes for the {kind} operation"
        raise AwsError("RequestTooLargeException", message, 413)
    try:
        json.loads(event)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise AwsError("InvalidRequestContentException", message) from error
    return event
