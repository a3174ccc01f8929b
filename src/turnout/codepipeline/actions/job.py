"""What an action is given, and what it says about itself: the words between the plan and the providers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from turnout.runner import Done, Wait

MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 86400.0


@dataclass(frozen=True)
class Provider:
    """An action type: AWS's name of it, the configuration that it knows, and how many artifacts it takes."""

    name: str
    categories: tuple[str, ...]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    json: tuple[str, ...] = ()
    """Configuration that is JSON text: variables are escaped in it."""
    inputs: tuple[int, int] = (0, 0)
    outputs: tuple[int, int] = (0, 0)
    timeout_s: float = HOUR_S
    timeout_minutes_key: str | None = None
    """Configuration that shortens the timeout."""


@dataclass(frozen=True)
class Artifact:
    """Where an artifact lies: a zip without extension in the artifact bucket."""

    name: str
    bucket: str
    key: str

    @property
    def wire(self) -> dict[str, Any]:
        return {"name": self.name, "s3location": {"bucket": self.bucket, "key": self.key}}


def artifact_of(wire: Mapping[str, Any]) -> Artifact:
    return Artifact(wire["name"], wire["s3location"]["bucket"], wire["s3location"]["key"])


class Job:
    """One execution of an action. `configuration` has its variables resolved."""

    def __init__(
        self,
        *,
        action_execution_id: str,
        step_id: int,
        region: str,
        pipeline: str,
        execution_id: str,
        stage: str,
        action: str,
        configuration: Mapping[str, str],
        inputs: Mapping[str, Artifact],
        outputs: Mapping[str, Artifact],
        revision: str | None,
        deadline_at: float | None,
        answer: Mapping[str, Any] | None,
        facts: Mapping[str, Any],
        keep: Callable[[dict[str, Any]], None],
    ) -> None:
        self.id = action_execution_id
        self.cause = f"step:{step_id}"
        """Names this step to the operations it calls: asked again after a crash, they answer the same."""
        self.region = region
        self.pipeline = pipeline
        self.execution_id = execution_id
        self.stage = stage
        self.action = action
        self.configuration = configuration
        self.inputs = inputs
        self.outputs = outputs
        self.revision = revision
        """The revision that StartPipelineExecution told a source to take."""
        self.deadline_at = deadline_at
        self.answer = answer
        """What PutApprovalResult said."""
        self.facts = dict(facts)
        self._keep = keep

    def learn(self, **facts: Any) -> None:
        """Keep what was learnt, durably: what is known once is not asked again after a crash.

        The state shows externalExecutionId, externalExecutionUrl, summary, token, logStreamARN, percentComplete;
        `revision` and `variables` are those that GetPipelineExecution and later actions read.
        """
        if any(self.facts.get(name) != value for name, value in facts.items()):
            self.facts |= facts
            self._keep(self.facts)


class Action(Protocol):
    """A provider: `ensure` makes the action true, or says what is missing."""

    provider: Provider

    def faults(self, configuration: Mapping[str, str], inputs: tuple[str, ...], outputs: int) -> Iterator[str]:
        """What is wrong with a declaration beyond missing and unknown configuration. Pure."""

    async def ensure(self, job: Job) -> Done | Wait:
        """Done, Wait, or StepFailed with a FailureType of CodePipeline's (JobFailed, ConfigurationError …)."""
