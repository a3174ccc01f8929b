"""The verbs of the command line over a world, as `--profile` runs them: AWS's API alone, held against its models."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import World
from tests.fakes.modelled import ModelledClients
from turnout import cli
from turnout.cli import cleanup, history, status, watching, where
from turnout.cli.cleaning import patience
from turnout.cli.controllers import native

DIGEST = "@sha256:"
LOOK_EVERY_S = 20.0


class Verbs:
    """`run` a verb; while it waits, the clock of the world goes on, and `at(seconds, act)` happens."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch, capture: Any, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.clients = ModelledClients(world.boto)
        self.started_at = world.clock.now()
        self._patch, self._capture = patch, capture
        self._acts: list[tuple[float, Callable[[], None]]] = []
        time = SimpleNamespace(sleep=self._sleep, time=world.clock.now, monotonic=world.clock.now)
        for module in (watching, native, patience):
            patch.setattr(module, "time", time)
        for module in (where, status, history, cleanup):
            patch.setattr(module, "connect", lambda home, region, profile: self.clients)
        self.no_terminal()

    def no_terminal(self) -> None:
        self._patch.setattr(
            watching, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: False), stderr=sys.stderr)
        )

    def terminal(self, *answers: str) -> None:
        """Somebody sits there, and answers so. "^C": presses Ctrl-C instead."""
        said = iter(answers)

        def asked(prompt: str = "") -> str:
            if (answer := next(said)) == "^C":
                raise KeyboardInterrupt
            return answer

        self._patch.setattr(watching, "_typed", asked)
        self._patch.setattr(
            watching, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True), stderr=sys.stderr)
        )

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Once, so many seconds into the next verb."""
        self._acts.append((self.world.clock.now() + seconds, act))

    def interrupt(self, seconds: float) -> None:
        def press() -> None:
            raise KeyboardInterrupt

        self.at(seconds, press)

    def _sleep(self, seconds: float) -> None:
        """Longer than was asked for, or an hour would take a thousand looks."""
        until = self.world.clock.now() + max(seconds, LOOK_EVERY_S)
        for act in sorted((act for act in self._acts if act[0] <= until), key=lambda act: act[0]):
            self._acts.remove(act)
            self.world.tick(max(0.0, act[0] - self.world.clock.now()))
            act[1]()
        self.world.tick(until - self.world.clock.now())

    def __call__(self, *words: str) -> tuple[int, str]:
        """(exit status, what it said)."""
        self._capture.readouterr()
        self._patch.setattr(sys, "argv", ["turnout", *words, "--profile", "aws"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = self._capture.readouterr()
        code = ended.value.code
        return (0 if code is None else int(code)), said.out + said.err

    def write(self, version: str, *, hooks: str = "") -> str:
        """Files of a release: the folder."""
        image = f"app{DIGEST}{version * 64}"
        container = {"name": "app", "image": image, "memory": 64, "portMappings": [{"containerPort": 80}]}
        (self.folder / "taskdef.json").write_text(json.dumps({"family": "web", "containerDefinitions": [container]}))
        (self.folder / "appspec.yml").write_text(
            "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n"
            "        TaskDefinition: <TASK_DEFINITION>\n"
            f"        LoadBalancerInfo: {{ContainerName: app, ContainerPort: 80}}\n{hooks}"
        )
        return str(self.folder)

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of each call of an operation."""
        return [params for name, params in self.clients.calls if name == operation]
