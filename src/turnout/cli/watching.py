"""Following a deployment to its end, on a terminal as a page that changes, elsewhere as lines; and what Ctrl-C means.

The deployment goes on without us: whatever ends here, `turnout watch` takes it up again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from enum import IntEnum
from typing import TYPE_CHECKING

from turnout.cli.clients import Clients, is_missing
from turnout.cli.place import Place
from turnout.cli.screen import console, date_time
from turnout.cli.seeing import Seer
from turnout.cli.serves import who_serves
from turnout.cli.sight import Sight, plain
from turnout.cli.sight_page import page
from turnout.errors import SetupError

if TYPE_CHECKING:
    from rich.live import Live

LOOK_EVERY_S = 0.5
LOOK_AT_AWS_EVERY_S = 3.0
"""Its CodeDeploy answers a few questions a second, to all who ask in an account."""
SILENT_FOR_S = 60.0
"""How long an engine that is started again, or a network that is gone, is waited for."""


class Exit(IntEnum):
    """The exit status of the verbs that follow a deployment."""

    SERVES = 0
    """What was wanted is what every request gets."""
    SERVES_NOT = 1
    UNDER_WAY = 3
    """It was left running."""


def follow(
    clients: Clients, place: Place, deployment_id: str, act: Callable[[Sight], None] = lambda sight: None
) -> Exit:
    """Until a deployment, and the one that rolls it back, have ended. SERVES only if what it brought is what serves.

    `act` is told each look.
    """
    wanted, sight = deployment_id, None
    while True:
        try:
            while sight is None or not sight.is_over:
                sight = _watch(clients, place, deployment_id, act)
            if sight.rollback is not None:
                print(f"{sight.deployment} {sight.status}: {sight.rollback} rolls it back.", flush=True)
                deployment_id, sight = sight.rollback, None
                continue
            return verdict(clients, place, wanted, sight)
        except KeyboardInterrupt:
            if not _interrupted(clients, deployment_id, can_stop=sight is None or sight.rolls_back is None):
                return Exit.UNDER_WAY


def verdict(clients: Clients, place: Place, deployment_id: str, sight: Sight) -> Exit:
    """Say who serves, now that a deployment has ended."""
    serving = who_serves(clients, place)
    if sight.error:
        print(f"{sight.deployment} {sight.status}: {sight.error}")
    what = f"{serving.task_definition.rpartition('/')[2]} ({serving.deployment or 'what the service was created with'})"
    if serving.astray:
        print(f"The traffic is divided: {what} is primary, but {'; '.join(serving.astray)}.")
        print("`turnout rollback` leads all of it back to the primary task set.")
        return Exit.SERVES_NOT
    is_wanted = serving.is_of(deployment_id)
    print(f"{what} serves{'.' if is_wanted else f', and not {deployment_id}.'}")
    return Exit.SERVES if is_wanted else Exit.SERVES_NOT


def _watch(clients: Clients, place: Place, deployment_id: str, act: Callable[[Sight], None]) -> Sight:
    from rich.live import Live

    screen = console()
    live = Live(console=screen, auto_refresh=False) if screen.is_terminal else None
    seer, told, heard_at = Seer(clients, place), "", time.monotonic()
    with live or nullcontext():
        while True:
            try:
                sight = seer.look(deployment_id)
            except Exception as error:
                if not _may_pass(error) or time.monotonic() > heard_at + SILENT_FOR_S:
                    raise
                sight = None
            if sight is not None:
                heard_at = time.monotonic()
                told = _show(sight, place, live, told)
                if sight.is_over:
                    return sight
                act(sight)
            time.sleep(LOOK_EVERY_S if clients.is_engine else LOOK_AT_AWS_EVERY_S)


def _show(sight: Sight, place: Place, live: Live | None, told: str) -> str:
    if live is not None:
        live.update(page(sight, place.name), refresh=True)
    elif (text := plain(sight)) != told:
        print(f"{date_time(time.time())} {text}", flush=True)
        return text
    return told


def _may_pass(error: Exception) -> bool:
    """Whether the same question may well be answered in a moment."""
    from botocore.exceptions import ConnectionError, HTTPClientError

    busy = ("ThrottlingException", "Throttling", "RequestLimitExceeded", "InternalFailure", "ServiceUnavailable")
    return isinstance(error, ConnectionError | HTTPClientError | SetupError) or is_missing(error, *busy)


def _interrupted(clients: Clients, deployment_id: str, *, can_stop: bool) -> bool:
    """Ask what Ctrl-C was to mean. Whether to go on following: only after a stop has been sent."""
    left = f"{deployment_id} goes on; `turnout watch {deployment_id}` takes it up again, `turnout stop` ends it."
    if not sys.stdin.isatty() or not can_stop:
        print(f"\n{left}")
        return False
    print(
        f"\n{deployment_id} goes on by itself. What shall become of it?\n"
        "  Enter  leave it running\n"
        "  r      stop it, and lead all traffic back to what served before\n"
        "  s      stop it, and leave traffic and tasks as they are now"
    )
    try:
        answer = input("> ").strip().lower()
    except (EOFError, KeyboardInterrupt):
        answer = ""
    if answer not in ("r", "s"):
        print(left)
        return False
    stop(clients, deployment_id, roll_back=answer == "r")
    return True


def stop(clients: Clients, deployment_id: str, *, roll_back: bool) -> bool:
    """Ask a deployment to stop, and say what was answered. False: it could not be stopped any more."""
    try:
        answer = clients("codedeploy").stop_deployment(deploymentId=deployment_id, autoRollbackEnabled=roll_back)
    except Exception as error:
        if not is_missing(error, "DeploymentAlreadyCompletedException"):
            raise
        print(f"turnout: {error.response['Error']['Message']}", file=sys.stderr)  # type: ignore[attr-defined]
        return False
    print(answer.get("statusMessage") or f"{deployment_id}: stop {answer['status']}", flush=True)
    return True
