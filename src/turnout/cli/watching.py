"""Following a deployment to its end, on a terminal as a page that changes, elsewhere as lines; and what Ctrl-C means.

The deployment goes on without us: whatever ends here, `turnout watch` takes it up again.
"""

from __future__ import annotations

import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from enum import IntEnum
from typing import TYPE_CHECKING

from turnout.cli.clients import is_missing
from turnout.cli.controllers import Controller, TooLate
from turnout.cli.screen import console, date_time
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


HEAR_WITHIN_S = 0.2
"""How soon a Ctrl-C is heard that came at the worst instant."""


class Exit(IntEnum):
    """The exit status of the verbs that follow a deployment."""

    SERVES = 0
    """What was wanted is what every request gets."""
    SERVES_NOT = 1
    UNDER_WAY = 3
    """It was left running."""


def follow(
    controller: Controller,
    deployment_id: str,
    act: Callable[[Sight], None] = lambda sight: None,
    *,
    is_stopping: bool = False,
) -> Exit:
    """Until a deployment, and the one that rolls it back, have ended. SERVES only if what it brought is what serves.

    `act` is told each look. `is_stopping`: it was asked to stop before.
    """
    _hear_ctrl_c()
    wanted = deployment_id
    while True:
        try:
            sight = _watch(controller, deployment_id, act)
            if sight.rollback is not None:
                print(f"{sight.deployment} {sight.status}: {sight.rollback} rolls it back.", flush=True)
                deployment_id, is_stopping = sight.rollback, True
                continue
            return verdict(controller, wanted, sight)
        except KeyboardInterrupt:
            try:
                if not _interrupted(controller, deployment_id, can_stop=not is_stopping):
                    return Exit.UNDER_WAY
                is_stopping = True
            except KeyboardInterrupt:
                print(f"\n{_left(deployment_id)}", flush=True)
                return Exit.UNDER_WAY


def _hear_ctrl_c() -> None:
    """At a terminal Ctrl-C means us, even if SIGINT is ignored.

    A script starts what it puts in the background so, and it is inherited by all that comes of it: the terminals of an
    `expect` or a recorder among them. Python leaves it at that. It harms nothing: the deployment goes on anyway.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and sys.stdin is not None and sys.stdin.isatty():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def verdict(controller: Controller, deployment_id: str, sight: Sight) -> Exit:
    """Say who serves, now that a deployment has ended."""
    serving = controller.serving()
    if sight.error:
        print(f"{sight.deployment} {sight.status}: {sight.error}")
    what = f"{serving.task_definition.rpartition('/')[2]} ({serving.deployment or 'what the service was created with'})"
    if serving.astray:
        print(f"The traffic is divided: {what} is primary, but {serving.rest}.")
        print("`turnout rollback` leads all of it back to the primary task set.")
        return Exit.SERVES_NOT
    is_wanted = serving.is_of(deployment_id)
    print(f"{what} serves{'.' if is_wanted else f', and not {deployment_id}.'}")
    if serving.left:
        print(f"Beside it {serving.rest}: `turnout rollback` ends that.")
    return Exit.SERVES if is_wanted else Exit.SERVES_NOT


def _watch(controller: Controller, deployment_id: str, act: Callable[[Sight], None]) -> Sight:
    from rich.live import Live

    screen = console()
    live = Live(console=screen, auto_refresh=False) if screen.is_terminal else None
    told, heard_at = "", time.monotonic()
    with live or nullcontext():
        while True:
            try:
                sight = controller.look(deployment_id)
            except Exception as error:
                if not _may_pass(error) or time.monotonic() > heard_at + SILENT_FOR_S:
                    raise
                sight = None
            if sight is not None:
                heard_at = time.monotonic()
                told = _show(sight, controller, live, told)
                if sight.is_over:
                    return sight
                act(sight)
            time.sleep(LOOK_EVERY_S if controller.clients.is_engine else LOOK_AT_AWS_EVERY_S)


def _show(sight: Sight, controller: Controller, live: Live | None, told: str) -> str:
    if live is not None:
        live.update(page(sight, controller.name), refresh=True)
    elif (text := plain(sight)) != told:
        print(f"{date_time(time.time())} {text}", flush=True)
        return text
    return told


def _may_pass(error: Exception) -> bool:
    """Whether the same question may well be answered in a moment."""
    from botocore.exceptions import ConnectionError, HTTPClientError

    busy = ("ThrottlingException", "Throttling", "RequestLimitExceeded", "InternalFailure", "ServiceUnavailable")
    return isinstance(error, ConnectionError | HTTPClientError | SetupError) or is_missing(error, *busy)


def _left(deployment_id: str) -> str:
    return f"{deployment_id} goes on; `turnout watch {deployment_id}` takes it up again, `turnout stop` ends it."


def _interrupted(controller: Controller, deployment_id: str, *, can_stop: bool) -> bool:
    """Ask what Ctrl-C was to mean. Whether to go on following: only after a stop has been sent."""
    if not sys.stdin.isatty() or not can_stop:
        print(f"\n{_left(deployment_id)}", flush=True)
        return False
    choices = {
        "Enter": "leave it running",
        "r": "stop it, and lead all traffic back to what served before",
        "s": "stop it, and leave traffic and tasks as they are now",
    }
    if not controller.has_spec:
        del choices["s"]  # ECS stops by rolling back
    print(f"\n{deployment_id} goes on by itself. What shall become of it?")
    for key, meaning in choices.items():
        print(f"  {key:<7}{meaning}")
    try:
        answer = _typed("> ").strip().lower()
    except (EOFError, KeyboardInterrupt):
        answer = ""
    if answer not in choices:
        print(_left(deployment_id), flush=True)
        return False
    stop(controller, deployment_id, roll_back=answer == "r")
    return True


def _typed(prompt: str) -> str:
    """The line that is typed next. Raises KeyboardInterrupt and EOFError.

    As input() does, but for a Ctrl-C at the instant when it begins to read: it notices that at the next key only.
    """
    print(prompt, end="", flush=True)
    while not select.select([sys.stdin], [], [], HEAR_WITHIN_S)[0]:
        pass
    return input()


def stop(controller: Controller, deployment_id: str, *, roll_back: bool) -> bool:
    """Ask a deployment to stop, and say what was answered. False: it could not be stopped any more."""
    try:
        answer = controller.stop(deployment_id, roll_back=roll_back)
    except TooLate as late:
        print(f"turnout: {late}", file=sys.stderr)
        return False
    print(f"{deployment_id}: {answer}", flush=True)
    return True
