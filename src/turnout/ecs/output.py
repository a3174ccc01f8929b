"""The output of containers on its way to CloudWatch Logs.

How far a container has been read is a row, written after the events are stored: a crash between the two repeats one
batch, and never loses a line. Containers are looked at often while they talk, and every 0.9 s while they are silent.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnout.aws import Aws
from turnout.errors import AwsError, StepFailed
from turnout.runtimes import Runtime
from turnout.store import Store

log = logging.getLogger(__name__)

TALKING_S = 0.15
SILENT_S = 0.9
MOST_EVENTS = 5_000
"""Of one PutLogEvents; AWS takes 10,000 or 1 MiB."""
MOST_BYTES = 1_000_000
EVENT_OVERHEAD_BYTES = 26


@dataclass(frozen=True)
class LogStream:
    region: str
    group: str
    stream: str
    creates_group: bool


def stream_for(spec: Mapping[str, Any], container: Mapping[str, Any], task_id: str) -> LogStream:
    """Where the output of a container goes: its awslogs options, or a group of its cluster and family. Pure."""
    options = container.get("logConfiguration", {}).get("options", {})
    name = container["name"]
    prefix = options.get("awslogs-stream-prefix", "ecs")
    return LogStream(
        region=options.get("awslogs-region", spec["region"]),
        group=options.get("awslogs-group", f"/turnout/ecs/{spec['cluster']}/{spec['family']}"),
        stream=f"{prefix}/{name}/{task_id}",
        creates_group="awslogs-group" not in options or options.get("awslogs-create-group") == "true",
    )


class Output:
    """Follows every container that runs."""

    def __init__(self, store: Store, aws: Aws, runtime: Runtime) -> None:
        self._store = store
        self._aws = aws
        self._runtime = runtime
        self._loop: asyncio.Task[None] | None = None
        self._talked = False
        self._reading: dict[str, asyncio.Lock] = {}

    async def ensure_stream(self, workload: str, where: LogStream) -> None:
        """The log stream exists, and the container is followed. Raises StepFailed as ECS does."""
        try:
            await self._create_stream(where)
        except AwsError as error:
            raise StepFailed(
                "ResourceInitializationError",
                "failed to validate logger args: create stream has been retried 1 times:"
                f" failed to create Cloudwatch log stream: {error.code}: {error.message}",
            ) from error
        with self._store.transaction() as tx:
            tx.execute(
                "INSERT OR IGNORE INTO ecs_output VALUES (?, ?, ?, ?, NULL)",
                (workload, where.region, where.group, where.stream),
            )
        self.start()

    async def _create_stream(self, where: LogStream) -> None:
        names = {"logGroupName": where.group, "logStreamName": where.stream}
        try:
            await self._aws.call("logs", "CreateLogStream", where.region, **names)
        except AwsError as error:
            if error.code == "ResourceAlreadyExistsException":
                return
            if error.code != "ResourceNotFoundException" or not where.creates_group:
                raise
        else:
            return
        for operation, members in (("CreateLogGroup", {"logGroupName": where.group}), ("CreateLogStream", names)):
            try:
                await self._aws.call("logs", operation, where.region, **members)
            except AwsError as error:
                if error.code != "ResourceAlreadyExistsException":
                    raise

    def start(self) -> None:
        """Follow from now on, if anything is to be followed."""
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._follow(), name="ecs output")

    async def close(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def _follow(self) -> None:
        """Until nothing is left to follow. Ends quietly when the database is closed under it."""
        while True:
            try:
                if not await self.collect():
                    return
            except sqlite3.ProgrammingError:
                return
            except Exception:
                log.exception("reading the output of containers")
            await asyncio.sleep(TALKING_S if self._talked else SILENT_S)

    async def collect(self) -> int:
        """Bring in what every container has said since. Returns how many are followed."""
        names = [row["workload"] for row in self._store.all("SELECT workload FROM ecs_output")]
        said = [await self.read(name) for name in names]
        self._talked = any(said)
        return len(names)

    async def read(self, workload: str) -> int:
        """Bring in what one container has said since. Returns the number of lines."""
        async with self._reading.setdefault(workload, asyncio.Lock()):
            row = self._store.one("SELECT * FROM ecs_output WHERE workload = ?", (workload,))
            if row is None:
                self._reading.pop(workload, None)  # it was finished while we waited for our turn
                return 0
            lines, position = await self._runtime.read_output(workload, row["position"])
            if position == row["position"]:
                return 0
            for batch in batches(lines):
                await self._put(row, batch)
            with self._store.transaction() as tx:
                tx.execute("UPDATE ecs_output SET position = ? WHERE workload = ?", (position, workload))
            return len(lines)

    async def finish(self, workload: str) -> None:
        """Read to the end what an ended container has said, and follow it no more."""
        while await self.read(workload):
            continue
        self._reading.pop(workload, None)
        with self._store.transaction() as tx:
            tx.execute("DELETE FROM ecs_output WHERE workload = ?", (workload,))

    async def _put(self, row: sqlite3.Row, batch: list[dict[str, Any]]) -> None:
        where = LogStream(row["region"], row["log_group"], row["log_stream"], creates_group=True)
        for _ in range(2):
            try:
                await self._aws.call(
                    "logs",
                    "PutLogEvents",
                    where.region,
                    logGroupName=where.group,
                    logStreamName=where.stream,
                    logEvents=batch,
                )
                return
            except AwsError as error:
                if error.code != "ResourceNotFoundException":
                    log.warning("the output of %s is lost: %s", row["workload"], error)
                    return
                await self._create_stream(where)


def batches(lines: list[tuple[float, str]]) -> list[list[dict[str, Any]]]:
    """Lines as the log events of one PutLogEvents each: in order of time, empty lines left out. Pure."""
    made: list[list[dict[str, Any]]] = []
    size = 0
    for at, text in sorted(lines, key=lambda line: line[0]):
        if not text:
            continue
        size += len(text.encode()) + EVENT_OVERHEAD_BYTES
        if not made or len(made[-1]) >= MOST_EVENTS or size > MOST_BYTES:
            made.append([])
            size = len(text.encode()) + EVENT_OVERHEAD_BYTES
        made[-1].append({"timestamp": int(at * 1000), "message": text})
    return made
