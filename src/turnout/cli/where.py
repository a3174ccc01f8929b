"""The options by which every day-2 verb is told where it acts: they stand here once, and a verb takes a `Where`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from turnout.cli.clients import Clients, connect
from turnout.cli.controllers import Controller
from turnout.cli.controllers.finding import find_controller
from turnout.cli.options import Application, Cluster, Group, Home, Profile, Region, Service
from turnout.cli.place import Wanted

OPTIONS: dict[str, Any] = {
    "application": Application,
    "group": Group,
    "cluster": Cluster,
    "service": Service,
    "region": Region,
    "profile": Profile,
}


@dataclass(frozen=True)
class Where:
    """What the options have said."""

    clients: Clients
    wanted: Wanted

    def find(self, deployment: str | None = None, folder: Path = Path()) -> Controller:
        """Who steers the releases there. Raises SetupError."""
        return find_controller(self.clients, replace(self.wanted, folder=folder), deployment)


def at_a_place(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb whose first parameter is a Where, as the command that takes its options instead."""
    own = list(inspect.signature(verb, eval_str=True).parameters.values())[1:]
    named = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("home", named, annotation=Home)]
    parameters += [parameter.replace(kind=named) for parameter in own]
    parameters += [inspect.Parameter(n, named, default=None, annotation=kind) for n, kind in OPTIONS.items()]

    @functools.wraps(verb)
    def command(**given: Any) -> None:
        said = {name: given.pop(name) for name in OPTIONS}
        clients = connect(given.pop("home"), said.pop("region"), said.pop("profile"))
        verb(Where(clients, Wanted(**said)), **given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
