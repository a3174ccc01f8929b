"""logs: what builds and tasks write, as CloudWatch Logs keeps it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Annotated, Any

import typer

from turnout.cli.clients import Clients, pages
from turnout.cli.options import Home, Region
from turnout.cli.running import require_running
from turnout.cli.screen import clock_time
from turnout.cli.serving import services
from turnout.errors import SetupError

LOOK_EVERY_S = 0.5
BUILDS = "/aws/codebuild/"
"""Log groups of build projects begin so."""


def logs(
    home: Home,
    what: Annotated[
        str | None,
        typer.Argument(help="A service, a build (project:id), a task's id or a log group.", show_default="all"),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of the newest lines.")] = 200,
    region: Region = None,
) -> None:
    """What builds and tasks have written, in the order of time."""
    clients = Clients(require_running(home), region)
    sources = all_sources(clients) if what is None else find_sources(clients, what)
    lines = sorted(newest(clients, sources, limit), key=attrgetter("order"))[-limit:]
    for line in lines:
        print(line)
    if not lines and not follow:
        print("Nothing has been written yet.")
    if follow:
        try:
            for line in following(clients, what, sources, lines):
                print(line, flush=True)
        except KeyboardInterrupt:
            return


@dataclass(frozen=True)
class Source:
    """A log group, or those of its streams whose names begin with `prefix`."""

    group: str
    prefix: str = ""


@dataclass(frozen=True)
class Line:
    """`at` is unix seconds; `id` is unique in its group."""

    at: float
    id: str
    group: str
    stream: str
    text: str

    @property
    def order(self) -> tuple[float, str]:
        """Lines of one instant come in the order in which they were written: CloudWatch counts its events."""
        return self.at, self.id

    def __str__(self) -> str:
        return f"{clock_time(self.at)}  {label(self.group, self.stream):<24}  {self.text.rstrip()}"


def label(group: str, stream: str) -> str:
    """Who speaks: "hello build 1a2b3c4d" or "hello 5e6f7a8b" (container and task). Pure."""
    if group.startswith(BUILDS):
        return f"{group.removeprefix(BUILDS)} build {stream[-36:][:8]}"
    *_, container, task = ["", *stream.split("/")]
    return f"{container} {task[:8]}".strip()


def all_sources(clients: Clients) -> list[Source]:
    return [Source(group["logGroupName"]) for group in pages(clients("logs"), "describe_log_groups", "logGroups")]


def find_sources(clients: Clients, what: str) -> list[Source]:
    """Where the lines of a log group, a build, a service or a task are. Raises SetupError if there is no such thing."""
    groups = [source.group for source in all_sources(clients)]
    if what in groups:
        return [Source(what)]
    if ":" in what:
        builds = clients("codebuild").batch_get_builds(ids=[what])["builds"]
        found = [Source(b["logs"]["groupName"], b["logs"]["streamName"]) for b in builds if "groupName" in b["logs"]]
    else:
        found = [Source(f"{BUILDS}{what}")] if f"{BUILDS}{what}" in groups else []
        found += [source for source in _of_services(clients, what) if source.group in groups]
        found = found or list(_of_task(clients, groups, what))
    if not found:
        raise SetupError(f"there is no service, build, task or log group {what!r} that has written anything.")
    return found


def _of_services(clients: Clients, name: str) -> Iterator[Source]:
    for service in services(clients):
        if service["serviceName"] == name:
            users = [service, *service.get("taskSets", [])]
            for definition in dict.fromkeys(user["taskDefinition"] for user in users if "taskDefinition" in user):
                yield from _of_definition(clients, definition)


def _of_definition(clients: Clients, arn: str) -> Iterator[Source]:
    described = clients("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]
    for container in described["containerDefinitions"]:
        options = container.get("logConfiguration", {}).get("options", {})
        if "awslogs-group" in options:
            prefix = options.get("awslogs-stream-prefix", "ecs")
            yield Source(options["awslogs-group"], f"{prefix}/{container['name']}/")


def _of_task(clients: Clients, groups: Sequence[str], task: str) -> Iterator[Source]:
    for group in groups:
        for stream in pages(clients("logs"), "describe_log_streams", "logStreams", logGroupName=group):
            if stream["logStreamName"].rpartition("/")[2].startswith(task):
                yield Source(group, stream["logStreamName"])


def newest(clients: Clients, sources: Sequence[Source], limit: int) -> Iterator[Line]:
    """The newest lines of each source."""
    for source in dict.fromkeys(sources):
        yield from islice(_read(clients, source, startFromHead=False), limit)


def following(clients: Clients, what: str | None, sources: Sequence[Source], seen: Sequence[Line]) -> Iterator[Line]:
    """Every line that is written from now on, for ever."""
    told = {(line.group, line.id) for line in seen}
    since = max((line.at for line in seen), default=time.time())
    while True:
        if what is None:
            sources = all_sources(clients)
        found = [line for s in dict.fromkeys(sources) for line in _read(clients, s, startTime=int(since * 1000))]
        for line in sorted(found, key=attrgetter("order")):
            if (line.group, line.id) not in told:
                told.add((line.group, line.id))
                since = max(since, line.at)
                yield line
        time.sleep(LOOK_EVERY_S)


def _read(clients: Clients, source: Source, **params: Any) -> Iterator[Line]:
    paginator = clients("logs").get_paginator("filter_log_events")
    if source.prefix:
        params["logStreamNamePrefix"] = source.prefix
    for page in paginator.paginate(logGroupName=source.group, **params):
        for event in page["events"]:
            at = event["timestamp"] / 1000
            yield Line(at, event["eventId"], source.group, event["logStreamName"], event["message"])
