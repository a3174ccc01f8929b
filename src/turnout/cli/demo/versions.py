"""The releases of the demo, what each is to come to, and whether it did. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnout.cli.load import Tally
from turnout.cli.releases import Release


@dataclass(frozen=True)
class Version:
    """A release of the example, and whether it is to go live."""

    name: str
    colour: str
    subject: str
    is_healthy: bool = True

    @property
    def document(self) -> dict[str, Any]:
        """What release.json of the example says."""
        return {"version": self.name, "colour": self.colour} | ({} if self.is_healthy else {"healthy": False})


BEFORE = Version("v0", "#57606a", "What was there before")
VERSIONS = (
    Version("v1", "#1f6feb", "Say hello"),
    Version("v2", "#1a7f37", "Say it in green"),
    Version("v3", "#cf222e", "Break the health check", is_healthy=False),
    Version("v4", "#8250df", "Say it in purple"),
)


@dataclass(frozen=True)
class Outcome:
    """What became of a version."""

    version: Version
    before: str
    """The version that served when it was pushed."""
    release: Release
    deployment: Mapping[str, Any]
    """deploymentInfo of its deployment; empty if there was none."""
    rollback: Mapping[str, Any]
    """deploymentInfo of the deployment that rolled it back; empty if there was none."""
    receipt: Mapping[str, Any] | None
    live_after_s: float | None
    """From the push to the first answer of this version that a client got; None if none did."""
    ended_after_s: float
    """From the push to the end of the execution, and of a rollback."""
    tally: Tally
    """What the clients counted from this push to the next."""
    serving: str | None
    """The version of the newest answer at the end."""

    @property
    def is_live(self) -> bool:
        return self.release.status == "Succeeded" and self.serving == self.version.name

    @property
    def result(self) -> str:
        """In words, for the table."""
        if self.is_live:
            return "live"
        if self.rollback.get("status") == "Succeeded":
            return f"rolled back, {self.serving} serves"
        return f"{self.release.status}, {self.serving} serves"

    @property
    def wrong(self) -> list[str]:
        """Everything that went otherwise than it should; empty if the release did what it was made for."""
        found = [f"{count} failed requests: {reason}" for reason, count in self.tally.failures.items()]
        found += [f"{count} answers were errors: {error}" for error, count in self.tally.errors.items()]
        return found + (self._wrong_if_healthy() if self.version.is_healthy else self._wrong_if_broken())

    def _wrong_if_healthy(self) -> list[str]:
        found = []
        if self.release.status != "Succeeded":
            found.append(f"the execution ended {self.release.status}: {self.release.failure or 'it does not say why'}")
        if self.serving != self.version.name:
            found.append(f"{self.serving} answers instead of {self.version.name}")
        if self.receipt is None:
            found.append("there is no receipt")
        return found

    def _wrong_if_broken(self) -> list[str]:
        found = []
        if self.release.status != "Failed":
            found.append(f"the execution ended {self.release.status} although this version is never healthy")
        if self.deployment.get("status") != "Failed":
            found.append(f"its deployment ended {self.deployment.get('status', 'before it began')}, not Failed")
        if self.rollback.get("status") != "Succeeded":
            found.append(f"its rollback ended {self.rollback.get('status', 'before it began')}, not Succeeded")
        if self.version.name in self.tally.answers:
            found.append(f"{self.tally.answers[self.version.name]} clients got an answer of {self.version.name}")
        if self.serving != self.before:
            found.append(f"{self.serving} answers instead of {self.before}")
        return found
