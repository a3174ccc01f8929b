"""Releases: executions of a pipeline, read as somebody reads them who asks "is my commit live, and if not, why?"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnout.cli.clients import Clients, pages

FRAME = re.compile(r"^Deployment \S+ failed\. Error code: (\S+); Error message: ")
OVER = frozenset({"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled"})


@dataclass(frozen=True)
class Action:
    """One action of one execution. `external_id` is the build's or the deployment's id."""

    stage: str
    name: str
    status: str
    external_id: str | None
    text: str | None
    """Its error, else its summary."""

    @property
    def is_deployment(self) -> bool:
        return (self.external_id or "").startswith(("d-", "ecs-svc/"))

    @property
    def reason(self) -> str:
        """Why it is as it is, on one line: without what it quotes, and without the words that frame it."""
        first = (self.text or self.status).partition("\n")[0].removesuffix(" Its last output:")
        return FRAME.sub(r"\1: ", first)


@dataclass(frozen=True)
class Release:
    """One execution. Times are unix seconds; `ended_at` is None while it runs."""

    pipeline: str
    id: str
    status: str
    commit: str | None
    subject: str | None
    trigger: str | None
    started_at: float
    ended_at: float | None
    actions: tuple[Action, ...] = ()

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def is_of_nothing(self) -> bool:
        """Whether it only came with its pipeline: CreatePipeline starts an execution at once, and that fails on a
        repository without a commit."""
        return self.trigger == "CreatePipeline" and self.status == "Failed" and self.commit is None

    @property
    def deployment(self) -> str | None:
        return next((action.external_id for action in reversed(self.actions) if action.is_deployment), None)

    @property
    def failure(self) -> str | None:
        """Why it failed; None if it did not."""
        failed = next((action for action in self.actions if action.status == "Failed"), None)
        return None if failed is None else f"{failed.stage}: {failed.reason}"


def releases(clients: Clients, pipeline: str, limit: int = 20) -> list[Release]:
    """The executions of a pipeline, newest first, without their actions."""
    answer = clients("codepipeline").list_pipeline_executions(pipelineName=pipeline, maxResults=min(limit, 100))
    return [release_of(pipeline, summary) for summary in answer["pipelineExecutionSummaries"]]


def with_actions(clients: Clients, release: Release) -> Release:
    """The same release with its actions, in the order in which they began."""
    details = pages(
        clients("codepipeline"),
        "list_action_executions",
        "actionExecutionDetails",
        pipelineName=release.pipeline,
        filter={"pipelineExecutionId": release.id},
    )
    fields = release.__dict__ | {"actions": actions_of(details)}
    return Release(**fields)


def find_release(clients: Clients, pipeline: str, commit: str) -> Release | None:
    """The newest execution of a commit (its id, or the beginning of it); None if the push started none (yet)."""
    for release in releases(clients, pipeline, 100):
        if release.commit and release.commit.startswith(commit):
            return with_actions(clients, release)
    return None


def release_of(pipeline: str, summary: Mapping[str, Any]) -> Release:
    """From an entry of ListPipelineExecutions."""
    revisions = summary.get("sourceRevisions") or [{}]
    status = summary["status"]
    return Release(
        pipeline=pipeline,
        id=summary["pipelineExecutionId"],
        status=status,
        commit=revisions[0].get("revisionId"),
        subject=(revisions[0].get("revisionSummary") or "").partition("\n")[0] or None,
        trigger=summary.get("trigger", {}).get("triggerType"),
        started_at=summary["startTime"].timestamp(),
        ended_at=summary["lastUpdateTime"].timestamp() if status in OVER else None,
    )


def actions_of(details: Sequence[Mapping[str, Any]]) -> tuple[Action, ...]:
    """From entries of ListActionExecutions, which come newest first."""
    actions = []
    for detail in sorted(details, key=lambda detail: detail["startTime"]):
        result = detail.get("output", {}).get("executionResult", {})
        error = result.get("errorDetails", {}).get("message")
        actions.append(
            Action(
                stage=detail["stageName"],
                name=detail["actionName"],
                status=detail["status"],
                external_id=result.get("externalExecutionId"),
                text=error or result.get("externalExecutionSummary"),
            )
        )
    return tuple(actions)
