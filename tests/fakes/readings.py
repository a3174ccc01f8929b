"""What a client reads of a pipeline, in short."""

from __future__ import annotations

from typing import Any


def stages_of(client: Any, name: str = "web") -> dict[str, str]:
    """stage → the status of the execution that entered it last."""
    states = client.get_pipeline_state(name=name)["stageStates"]
    return {state["stageName"]: state.get("latestExecution", {}).get("status", "-") for state in states}


def actions_of(client: Any, name: str = "web") -> dict[str, Any]:
    """action → its latest execution."""
    states = client.get_pipeline_state(name=name)["stageStates"]
    return {a["actionName"]: a.get("latestExecution") for state in states for a in state["actionStates"]}


def executions_of(client: Any, name: str = "web") -> list[str]:
    """The statuses of the executions, newest first."""
    summaries = client.list_pipeline_executions(pipelineName=name)["pipelineExecutionSummaries"]
    return [summary["status"] for summary in summaries]
