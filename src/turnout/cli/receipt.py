"""receipt: what a deployment moved, when and why, and what the traffic was meanwhile; in words, as JSON, as a page."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from turnout.cli.options import Home, Region
from turnout.cli.receipt_words import (
    Receipt,
    drained,
    interruption,
    long_connections,
    place,
    reasons,
    side,
    switch_s,
    took_s,
)
from turnout.cli.running import Running, ask, require_running
from turnout.cli.screen import clock_time, date_time, duration, short, show, styled
from turnout.errors import SetupError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MOST_LINES = 5
"""Of the output of a hook; `--json` has the rest."""
MOST_REASONS = 3
"""Of one step; all of them are in the document."""
BAR = 24
"""Characters of a full bar of weight."""


def receipt(
    home: Home,
    deployment_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="d-…, or the id or ARN of a service deployment of ECS.", show_default="the latest"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The document itself.")] = False,
    as_html: Annotated[bool, typer.Option("--html", help="A page with a picture over time, in one file.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Where the page goes; - is standard output.", show_default="receipt-ID.html"
        ),
    ] = None,
    region: Region = None,
) -> None:
    """The receipt of a deployment; of one that still runs, as far as it has come."""
    if as_json and as_html:
        raise SetupError("--json and --html are two forms of a receipt: ask for one.")
    if output is not None and not as_html:
        raise SetupError("--output says where a page goes: add --html.")
    found = find(require_running(home), deployment_id, region)
    if as_json:
        print(json.dumps(found, indent=1))
    elif as_html:
        write_page(found, output)
    else:
        for part in page(found, time.time()):
            show(part)


def find(running: Running, deployment_id: str | None, region: str | None = None) -> Receipt:
    """A receipt by its deployment's id, or the latest. Raises SetupError."""
    where = f"receipts/{region or running.region}"
    if deployment_id is None:
        listed = ask(running, where)
        if not listed:
            raise SetupError("nothing has been deployed yet: push a commit, and there will be a receipt.")
        deployment_id = listed[0]["deploymentId"]
    name = str(deployment_id).rpartition("/")[2]
    found: Receipt | None = ask(running, f"{where}/{quote(name, safe='')}") if name else None
    if found is None:
        raise SetupError(f"there is no deployment {deployment_id} in {region or running.region}.")
    return found


def write_page(document: Receipt, output: Path | None) -> None:
    """Write the page, and say where it is. A page is replaced by a newer one, no other file is. Raises SetupError."""
    from turnout.cli.receipt_page import GENERATOR, render

    text = render(document, time.time())
    if output == Path("-"):
        sys.stdout.write(text)
        return
    path = output or Path(f"receipt-{document['deploymentId']}.html")
    try:
        if path.exists() and GENERATOR not in path.read_text(encoding="utf-8", errors="replace")[:2000]:
            raise SetupError(f"{path} is there already, and is no page of a receipt: choose another --output.")
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write the page to {path}: {error.strerror}.") from error
    print(f"{path}\n{path.resolve().as_uri()}")


def page(document: Receipt, now: float) -> Iterator[RenderableType]:
    """A receipt for people."""
    from rich.markup import escape

    took = took_s(document, now)
    yield (
        f"[bold]{document['deploymentId']}[/]  {escape(place(document))}"
        f"  {styled(document['status'])}{'' if took is None else f' after {duration(took)}'}"
    )
    yield _facts(document)
    yield "\n[bold]Steps[/]"
    yield _steps(document, now)
    if document["weights"]:
        yield "\n[bold]Weights[/]"
        yield _weights(document)
    yield "\n[bold]Traffic[/]"
    yield _traffic(document) if document["traffic"] else f"  {escape(document['trafficNote'] or 'not measured yet')}"
    yield ""
    switch = document["switch"]
    if switch is not None:
        seconds = switch_s(document)
        text = "" if seconds is None else f"{duration(seconds)} from the commit of the weights to green's first answer"
        yield f"[bold]Switch[/]    {escape('; '.join(part for part in (text, switch['note']) if part))}"
    if (proof := drained(document)) is not None:
        yield f"[bold]Drained[/]   {escape(proof)}"
    if (streams := long_connections(document)) is not None:
        yield f"[bold]Streams[/]   {escape(streams)}"
    for hook in document.get("hooks", []):
        what = f"{hook['event']}: {hook['name']} ({hook['kind']})"
        yield f"[bold]Hook[/]      {escape(what)} {styled(hook['status'])}"
        yield from (f"            [dim]{escape(line)}[/]" for line in hook["output"].splitlines()[-MOST_LINES:])
    for alarm in document.get("alarms", []):
        since = f"since {clock_time(alarm['at'])}"
        yield f"[bold]Alarm[/]     {escape(alarm['name'])} {since}: {escape(alarm['reason'])}"
    for one in document.get("interruptions", []):
        yield f"[bold]Balancer[/]  {clock_time(one['endedAt'] or one['servesAgainAt'])} {escape(interruption(one))}"
    if (rollback := document["rollback"]) is not None:
        yield f"[bold]Rollback[/]  {escape(rollback['message'])}"
    if (error := document["error"]) is not None:
        yield f"[bold red]Error[/]     {escape(error['code'])}: {escape(error['message'])}"


def _facts(document: Receipt) -> Table:
    from rich.markup import escape
    from rich.table import Table

    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    speed = document["speed"]
    for name, value in (
        ("commit", document["commitId"] and short(document["commitId"], 12)),
        ("blue", side(document, "blue")),
        ("green", side(document, "green")),
        ("strategy", document["deploymentConfigName"]),
        ("created", f"{date_time(document['createdAt'])} by {document['creator']}"),
        ("speed", None if speed == 1 else f"configured waits passed {speed:g} times faster than on AWS"),
    ):
        if value:
            facts.add_row(f"  {name}", escape(str(value)))
    return facts


def _steps(document: Receipt, now: float) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for column in range(5):
        table.add_column(justify="right" if column == 2 else "left")
    for step in document["steps"]:
        at = "" if step["startedAt"] is None else clock_time(step["startedAt"])
        took = took_s(step, now)
        whys = [why for _, why in reasons(step)]
        said = " → ".join(whys if len(whys) <= MOST_REASONS else [*whys[: MOST_REASONS - 1], "…", whys[-1]])
        if step["error"]:
            said = f"{step['error']['code']}: {step['error']['message']}"
        name = step["name"] if step["isLifecycleEvent"] else f"[dim]{step['name']}[/]"
        table.add_row(f"  [dim]{at}[/]", name, duration(took), styled(step["status"]), escape(said))
    return table


def _weights(document: Receipt) -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for change in document["weights"]:
        total = (change["blue"] + change["green"]) or 1
        blue = round(BAR * change["blue"] / total)
        bar = f"[blue]{'█' * blue}[/][green]{'▒' * (BAR - blue)}[/]" if change["blue"] + change["green"] else "·" * BAR
        table.add_row(
            f"  [dim]{clock_time(change['at'])}[/]", bar, f"blue {change['blue']:>3}", f"green {change['green']:>3}"
        )
    return table


def _traffic(document: Receipt) -> Table:
    from rich.table import Table

    table = Table("", box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for heading in ("requests", "failed", "errors", "p50", "p99"):
        table.add_column(heading, justify="right")
    for colour, flow in document["traffic"].items():
        if colour == "unrouted" and not flow["requests"]:
            continue
        failed = f"[red]{flow['failed']:,}[/]" if flow["failed"] else "0"
        latencies = [duration(None if flow[key] is None else flow[key] / 1000) for key in ("p50Ms", "p99Ms")]
        table.add_row(f"  {colour}", f"{flow['requests']:,}", failed, f"{flow['errors']:,}", *latencies)
    return table
