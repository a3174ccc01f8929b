"""What steers the releases of a service: its deployment controller, CodeDeploy or ECS itself, through AWS's API.

The verbs know this interface alone, so that each of them means the same whoever shifts the traffic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from turnout.cli.clients import Clients
from turnout.cli.serves import Serving
from turnout.cli.sight import Sight
from turnout.cli.versions import Document, short_name, with_images
from turnout.errors import SetupError


@dataclass(frozen=True)
class Former:
    """A version that has served. `deployment` brought it; None for what a service was created with."""

    task_definition: Document
    deployment: str | None
    spec: Mapping[str, Any] | None = None
    """The AppSpec that it came with, where there was one."""
    ran: Mapping[str, str] = field(default_factory=dict)
    """Container → the image by digest that its tasks ran, as far as that is known."""

    @property
    def name(self) -> str:
        return short_name(self.task_definition["taskDefinitionArn"])

    @property
    def as_it_ran(self) -> Document:
        return with_images(self.task_definition, self.ran)


class TooLate(SetupError):
    """A deployment cannot be stopped any more."""


class Controller(Protocol):
    """The releases of one service. Deployments are named by their ids: d-…, or those of service deployments."""

    clients: Clients
    cluster: str
    service: str
    name: str
    """For people."""
    strategy: str
    has_spec: bool
    """Whether a release comes with an AppSpec."""

    def look(self, deployment: str) -> Sight: ...

    def newest(self, *, is_under_way: bool = False) -> str | None:
        """The newest deployment; None if there is none."""

    def serving(self) -> Serving:
        """Raises SetupError if nothing serves."""

    def plan(self, spec: Document | None, config: str | None) -> list[str]:
        """What a release is going to do to the traffic, step by step, in words. Raises SetupError if it cannot."""

    def begin(
        self, task_definition: str, spec: Document | None, config: str | None = None, description: str | None = None
    ) -> str:
        """The id of the deployment that was begun. Raises SetupError if it cannot be."""

    def stop(self, deployment: str, *, roll_back: bool) -> str:
        """What the controller says. Raises TooLate, and SetupError for what the controller does not have."""

    def go_on(self, sight: Sight) -> bool:
        """End the wait that `sight.asks` names. False: it had ended by itself."""

    def lead_back(self, serving: Serving) -> Iterator[str]:
        """Finish what a stop has left: all traffic to what is PRIMARY, the rest ended. Says each thing it does."""

    def ran(self, deployment: str | None, task_definition: Document) -> dict[str, str]:
        """Container → image by digest that a task definition ran with, as far as that is known."""

    def history(self, serving: Serving) -> Iterator[Former]:
        """Versions that have served before the one that does, newest first."""

    def version_of(self, deployment: str) -> Former:
        """What a deployment brought. Raises SetupError."""

    def spec_for(self, former: Former, task_definition: str) -> Document | None:
        """The AppSpec that brings a former version again, where the controller wants one."""
