"""The command line. Its verbs speak AWS's API like any client; only `up` knows the engine.

boto3 and rich are imported by the verbs that need them, when they run: `turnout --help` stays quick.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from turnout import __version__
from turnout.cli import (
    bootstrap,
    cleanup,
    demo,
    deploy,
    history,
    infra,
    init,
    logs,
    migrate,
    pack,
    receipt,
    rollback,
    status,
    steer,
    trust,
    up,
)
from turnout.errors import SetupError

app = typer.Typer(
    name="turnout",
    help="A commit to production with zero downtime, blue/green, proved: AWS's deployment pipeline, run for real here.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # half of the time that `turnout --help` would take
    context_settings={"help_option_names": ["-h", "--help"]},
)

# One line each, short enough for `turnout --help` to show it whole.
VERBS = (
    (up.up, "Start the engine."),
    (up.down, "Stop the engine, its tasks and Envoy."),
    (up.env, "Print the variables that lead AWS's tools here."),
    (bootstrap.bootstrap, "Create the stack for an application."),
    (infra.infra, "Plan and apply the infrastructure."),
    (init.init, "Write hooks as Lambda functions for AWS."),
    (pack.pack, "Make an image of a folder, without Docker."),
    (deploy.deploy, "Release an appspec and a taskdef."),
    (steer.watch, "Follow a deployment to its end."),
    (steer.promote, "Lead the traffic to the green that waits."),
    (steer.stop, "Stop a deployment."),
    (rollback.rollback, "Go back to what served before."),
    (migrate.migrate, "Go from CodeDeploy to ECS's own blue/green."),
    (status.status, "Show what serves and what is under way."),
    (history.history, "List releases, newest first."),
    (receipt.receipt, "Show what a deployment moved, when and why."),
    (logs.logs, "Show what builds and tasks have written."),
    (cleanup.cleanup, "Delete what nothing uses any longer."),
    (trust.trust, "Trust the certificates issued here."),
    (demo.demo, "Watch four releases under load."),
)
for verb, line in VERBS:
    app.command(verb.__name__, short_help=line)(verb)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"turnout {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Only what belongs to no verb."""


def main() -> None:
    """Run a verb. What a human can put right is one message and exit status 2, never a traceback."""
    if sys.stdout is None:
        # Closed by whoever called (`>&-`): as if it were /dev/null.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for as long as we run
    try:
        app()
        sys.stdout.flush()
    except SetupError as error:
        _say(f"turnout: {error}")
        sys.exit(2)
    except BrokenPipeError:
        # Whoever read our output has gone (`turnout history | head`): nothing to report, at exit neither.
        _drop_output()
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _drop_output()
        _say("turnout: no space is left for what is to be written: free some room.")
        sys.exit(2)
    except Exception as error:
        if (message := _of_aws(error)) is None:
            raise
        _say(f"turnout: {message}")
        sys.exit(1)


def _of_aws(error: Exception) -> str | None:
    """What AWS's API, or the way to it, has to say; None for a bug of ours."""
    if "botocore" not in sys.modules:
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        described = error.response.get("Error", {})
        message = f"{error.operation_name}: {described.get('Code')}: {described.get('Message')}"
        if described.get("Code") == "UnrecognizedClientException":
            message += " Export the TURNOUT_KEYS that the engine was started with."
        return message
    return str(error) if isinstance(error, BotoCoreError) else None


def _drop_output() -> None:
    """What is still to be flushed at exit goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> None:
    print(message, file=sys.stderr)
