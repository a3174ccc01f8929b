"""aws, where a login to ECR is asked of a CLI that is not there, or too old or too new for the command.

`aws ecr get-login` was taken out of version 2, `get-login-password` came with 1.17.10. The host's CLI is asked first;
what it does not know is answered from the token that the build was given. Nothing else is stood in for.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from turnout.codebuild.fronts.place import ACCOUNT

STANDS_IN_FOR = ("get-login", "get-login-password")
MISSING = (
    "aws: command not found\n"
    "turnout: no AWS CLI is installed where this build runs; turnout stands in for `aws ecr get-login` and"
    " `aws ecr get-login-password` only. Install one, for example with `pip install awscli` in the install phase."
)


def login_asked(arguments: Sequence[str]) -> tuple[str, str | None, bool] | None:
    """(command, region, whether docker is to be told an e-mail address) of a login to ECR; None for all else.

    A login with a profile or an endpoint of its own is somebody else's business.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--region")
    parser.add_argument("--output")
    parser.add_argument("--registry-ids", nargs="+")
    parser.add_argument("--no-include-email", action="store_true")
    parser.add_argument("--include-email", action="store_true")
    try:
        given, rest = parser.parse_known_args(list(arguments))
    except (argparse.ArgumentError, SystemExit):
        return None
    if len(rest) != 2 or rest[0] != "ecr" or rest[1] not in STANDS_IN_FOR:
        return None
    if set(given.registry_ids or ()) - {ACCOUNT}:
        return None
    return rest[1], given.region, not given.no_include_email


def answer_of(command: str, region: str, token: str, *, has_email: bool) -> str:
    """What the AWS CLI prints."""
    if command == "get-login-password":
        return token
    email = "-e none " if has_email else ""
    return f"docker login -u AWS -p {token} {email}https://{ACCOUNT}.dkr.ecr.{region}.amazonaws.com"


def run(real: str | None, arguments: Sequence[str], token: Path, region: str) -> int:
    """The exit code of a login, or of a command without any CLI."""
    asked = login_asked(arguments)
    if asked is None:
        print(MISSING, file=sys.stderr)
        return 127
    if real is not None:
        done = subprocess.run([real, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode == 0 or "invalid choice" not in done.stderr.lower():
            sys.stdout.write(done.stdout)
            sys.stderr.write(done.stderr)
            return done.returncode
    command, named, has_email = asked
    print(answer_of(command, named or region, token.read_text(), has_email=has_email))
    return 0
