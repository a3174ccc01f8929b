"""Writes the pages that the code itself knows best: docs/cli.md and docs/operations.md. Run by `make docs`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name

from turnout.acm.api import Acm
from turnout.autoscaling.api import AutoScaling
from turnout.awslambda.api import Lambda
from turnout.cloudwatch.api import CloudWatch
from turnout.codebuild.api import CodeBuild
from turnout.codecommit.api import CodeCommit
from turnout.codecommit.ssh_keys import SshKeys
from turnout.codedeploy.api import CodeDeploy
from turnout.codepipeline.api import CodePipeline
from turnout.ecr.api import Ecr
from turnout.ecs.api import Ecs
from turnout.loadbalancer.api import LoadBalancer
from turnout.logs.api import Logs

DOCS = Path(__file__).parent
OWNED = (CodeCommit, CodePipeline, CodeBuild, CodeDeploy, Ecs, LoadBalancer, Ecr, Acm)
NOTE = "<!-- Written by `make docs` from the code: change it there. -->\n"


def cli_page() -> str:
    """Every verb and every option, from Typer."""
    command = [sys.executable, "-m", "typer", "turnout.cli", "utils", "docs", "--name", "turnout"]
    environment = {name: value for name, value in os.environ.items() if name not in ("TURNOUT_HOME", "KEEP")}
    page = subprocess.run(
        [*command, "--title", "The command line"], env=environment, check=True, capture_output=True, text=True
    )
    return f"{NOTE}{page.stdout}"


def operations_page() -> str:
    """Every operation that a room has a method for."""
    return "\n".join(_operations()) + "\n"


def _operations() -> Iterator[str]:
    session = botocore.session.get_session()
    yield f"{NOTE}# Operations\n"
    yield "These services are turnout's own: what an answer says has happened. An operation that is not listed here"
    yield "answers 501 and names itself; it is never made up.\n"
    for room in OWNED:
        model = session.get_service_model(room.SERVICE)
        done = _done(session, room)
        yield f"## {model.metadata.get('serviceAbbreviation', model.metadata['serviceFullName'])}\n"
        yield f"`{room.SERVICE}`, {len(done)} operations: {', '.join(done)}.\n"
    lines, metrics = (", ".join(_done(session, room)) for room in (Logs, CloudWatch))
    functions, scaling = (", ".join(_done(session, room)) for room in (Lambda, AutoScaling))
    yield "## Everything else\n"
    yield f"Lambda functions really run ({functions} are ours; moto keeps their records, and is not asked"
    yield "to run anything)."
    yield f"Streams and events of CloudWatch Logs are ours, too ({lines}), and so are CloudWatch's metrics and alarms"
    yield f"({metrics}; PutCompositeAlarm answers 501)."
    keys = ", ".join(_done(session, SshKeys))
    yield f"SSH public keys of IAM users open git over SSH, and are looked at when they are uploaded ({keys})."
    yield "ECS services are really scaled by their Application Auto Scaling policies"
    yield f"({scaling}; PutScheduledAction answers 501 for them). Every other operation and service"
    yield "(IAM, STS, S3, SNS, EC2, SSM, Secrets Manager, Route 53, KMS …) is"
    yield "[moto](https://docs.getmoto.org/en/latest/docs/services/index.html), mounted in the same process: it keeps"
    yield "the records, and they survive a restart."


def _done(session: botocore.session.Session, room: Any) -> list[str]:
    """The operations that a room has a method for."""
    names = session.get_service_model(room.SERVICE).operation_names
    refused = {"PutCompositeAlarm", "PutScheduledAction", "StartImageScan"}
    return [name for name in sorted(names) if callable(getattr(room, xform_name(name), None)) and name not in refused]


def main() -> None:
    (DOCS / "cli.md").write_text(cli_page())
    (DOCS / "operations.md").write_text(operations_page())


if __name__ == "__main__":
    main()
