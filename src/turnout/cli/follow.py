"""Follow one commit through its pipeline, as anyone can who may call GetPipelineState."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from turnout.cli.clients import Clients
from turnout.cli.receipt_words import waits_for
from turnout.cli.releases import Release, find_release
from turnout.cli.running import ask
from turnout.errors import SetupError

LOOK_EVERY_S = 0.25
STARTS_WITHIN_S = 30.0


def follow(
    clients: Clients,
    pipeline: str,
    commit: str,
    tell: Callable[[list[tuple[str, str]], str | None], None],
    within_s: float,
) -> Release:
    """Wait for the end of the execution of a commit. Raises SetupError if none starts, or it does not end in time.

    `tell` hears at each look: (stage, status) of each stage of this execution, and what the deployment waits for.
    """
    began = time.monotonic()
    execution: str | None = None
    while True:
        elapsed = time.monotonic() - began
        if execution is None:
            found = find_release(clients, pipeline, commit)
            execution = None if found is None else found.id
            if execution is None and elapsed > STARTS_WITHIN_S:
                raise SetupError(f"{pipeline} did not start for {commit[:12]} within {STARTS_WITHIN_S:g} s.")
        if execution is not None:
            state = clients("codepipeline").get_pipeline_state(name=pipeline)
            stages = stages_of(state, execution)
            deployment = deployment_of(state, execution)
            receipt = ask(clients.running, f"receipts/{clients.region}/{deployment}") if deployment else None
            tell(stages, waits_for(receipt))
            if all(status not in ("InProgress", "Stopping") for _, status in stages):
                release = find_release(clients, pipeline, commit)
                if release is not None and release.is_over:
                    return release
        if elapsed > within_s:
            raise SetupError(f"{pipeline} has not ended {commit[:12]} after {within_s:g} s.")
        time.sleep(LOOK_EVERY_S)


def stages_of(state: dict[str, Any], execution_id: str) -> list[tuple[str, str]]:
    """(stage, status) of the stages that an execution has reached, from GetPipelineState. Pure."""
    return [
        (stage["stageName"], stage["latestExecution"]["status"])
        for stage in state["stageStates"]
        if stage.get("latestExecution", {}).get("pipelineExecutionId") == execution_id
    ]


def deployment_of(state: dict[str, Any], execution_id: str) -> str | None:
    """The deployment that an execution has in progress, from GetPipelineState. Pure."""
    for stage in state["stageStates"]:
        if stage.get("latestExecution", {}).get("pipelineExecutionId") == execution_id:
            for action in stage["actionStates"]:
                latest = action.get("latestExecution", {})
                external: str = latest.get("externalExecutionId") or ""
                if latest.get("status") == "InProgress" and external.startswith("d-"):
                    return external
    return None
