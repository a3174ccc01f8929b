"""The stack of one application: everything from its repository to its pipeline, as AWS has it.

Each part is looked for by its name and created only if it is missing, so that repeating is safe and a half-made stack
is completed. What exists is never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from turnout.cli.clients import Clients, is_missing
from turnout.cli.names import StackNames

Found = dict[str, Any]
Report = Callable[[str, str, bool], None]
"""(kind, name, whether it was created now)"""


@dataclass(frozen=True)
class Wishes:
    """What may differ from one stack to the next."""

    port: int = 80
    test_port: int = 8080
    health_path: str = "/"
    desired_count: int = 1
    branch: str = "main"
    check_every_s: int = 5
    """Of the health checks: 5 is the shortest that AWS allows."""
    drain_s: int = 5


class Parts:
    """Looks for the parts of a stack, creates those that are missing, and reports each."""

    def __init__(self, clients: Clients, names: StackNames, wishes: Wishes, report: Report) -> None:
        self.clients = clients
        self.names = names
        self.wishes = wishes
        self._report = report

    def ensure(
        self, kind: str, name: str, find: Callable[[], Found | None], create: Callable[[], Found], *missing: str
    ) -> Found:
        """What `find` finds, or what `create` makes. `missing`: error codes by which `find` says that there is none."""
        try:
            found = find()
        except Exception as error:
            if not is_missing(error, *missing):
                raise
            found = None
        made = create() if found is None else found
        self._report(kind, name, found is None)
        return made
