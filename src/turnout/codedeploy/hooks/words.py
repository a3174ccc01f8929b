"""What is said of a hook: its outcome, AWS's sentences, and its parts of the answers and the receipt. Pure.

An outcome is kept in the facts of the deployment, by its lifecycle event:

    event, name, kind    where it stands, what it is called, lambda | script | container | http
    executionId          the lifecycleEventHookExecutionId
    status               InProgress | Succeeded | Failed | Stopped
    errorCode            CodeDeploy's LifecycleErrorCode, once it is over
    message              for people
    output               the end of what it wrote, at most OUTPUT_BYTES
    startedAt, endedAt   unix seconds
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OUTPUT_BYTES = 4096
"""As much of its log as CodeDeploy keeps of a script."""

SUCCESS, MISSING, NOT_EXECUTABLE = "Success", "ScriptMissing", "ScriptNotExecutable"
TIMED_OUT, FAILED, UNKNOWN = "ScriptTimedOut", "ScriptFailed", "UnknownError"

HOOK_EXECUTION_FAILURE = "HOOK_EXECUTION_FAILURE"
FUNCTIONS_FAILED = "The deployment failed because one or more of the lifecycle event validation functions failed."
NO_CALLBACK = (
    "The deployment timed out while waiting for a status callback. CodeDeploy expects a status callback within one"
    " hour after a deployment hook is invoked."
)

Document = dict[str, Any]


def outcome(event: str, hook: Mapping[str, Any], execution_id: str, started_at: float) -> Document:
    """Of a hook that begins."""
    return {
        "event": event,
        "name": hook["name"],
        "kind": hook["kind"],
        "executionId": execution_id,
        "status": "InProgress",
        "errorCode": None,
        "message": None,
        "output": "",
        "startedAt": started_at,
        "endedAt": None,
    }


def failure_of(ended: Mapping[str, Any]) -> str:
    """The message of the deployment: AWS's sentence, and what happened."""
    is_silent = ended["kind"] == "lambda" and ended["errorCode"] == TIMED_OUT
    sentence = NO_CALLBACK if is_silent else FUNCTIONS_FAILED
    return f"{sentence} {ended['event']}: {ended['message']}"


def diagnostics_of(ended: Mapping[str, Any]) -> Document:
    """AWS's Diagnostics of a lifecycle event whose hook is over."""
    return {
        "errorCode": ended["errorCode"] or UNKNOWN,
        "scriptName": ended["name"],
        "message": ended["message"] or "",
        "logTail": ended["output"],
    }


def tail_of(output: bytes | str) -> str:
    """The end of an output, from the beginning of a line where there is one."""
    body = output if isinstance(output, bytes) else output.encode()
    kept = body[-OUTPUT_BYTES:]
    if len(body) > OUTPUT_BYTES and (cut := kept.find(b"\n")) >= 0:
        kept = kept[cut + 1 :]
    return kept.decode("utf-8", "replace").strip("\n")
