"""The log of a build: one file that we and the commands append to, sent to CloudWatch Logs while it grows.

How far it was sent is noted beside it after each batch; a crash between the two repeats that batch, and loses nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codebuild.spec import Build
from turnout.errors import AwsError
from turnout.hindrances import hindrance

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
READ_BYTES = 512 * 1024
"""What is sent between two notes of how far it was."""
MOST_EVENT_BYTES = 200_000
"""A longer line is cut; CloudWatch Logs takes 256 KiB."""
MOST_BATCH_BYTES = 900_000
MOST_BATCH_EVENTS = 1_000
"""AWS takes 10,000; the engine has other things to do in between."""
_OVERHEAD_BYTES = 26
MASK = "***"


def container_line(at: float, text: str) -> str:
    """[Container] 2026/08/08 12:00:00.123456 Phase is DOWNLOAD_SOURCE"""
    return f"[Container] {datetime.fromtimestamp(at, UTC):%Y/%m/%d %H:%M:%S.%f} {text}\n"


@dataclass(frozen=True)
class Mask:
    """Hides secrets; of one with several lines, each line."""

    words: tuple[bytes, ...]

    @classmethod
    def of(cls, secrets: Sequence[str]) -> Mask:
        lines = {line.strip().encode() for secret in secrets for line in secret.splitlines()}
        return cls(tuple(sorted(filter(None, lines), key=len, reverse=True)))

    def apply(self, text: bytes) -> bytes:
        for word in self.words:
            text = text.replace(word, MASK.encode())
        return text


def size_to_send(read: bytes, mask: Mask, *, is_end: bool) -> int:
    """How many of the bytes are whole lines, or all if nothing will follow. An endless line is cut, not in a secret."""
    end = read.rfind(b"\n") + 1
    if is_end or end or len(read) < READ_BYTES:
        return len(read) if is_end else end
    cut = len(read) - max(map(len, mask.words), default=0)
    for word in mask.words:
        begin = read.find(word, cut - len(word) + 1, cut + len(word) - 1)
        cut = begin if 0 < begin < cut else cut
    return cut


def messages_in(text: bytes) -> Iterator[str]:
    """The lines, none longer than CloudWatch Logs takes. An empty line is a space: AWS has no empty event."""
    for line in text.split(b"\n"):
        line = line.rstrip(b"\r")
        for start in range(0, max(len(line), 1), MOST_EVENT_BYTES):
            yield line[start : start + MOST_EVENT_BYTES].decode("utf-8", "replace") or " "


def batches_of(messages: Iterator[str]) -> Iterator[list[str]]:
    """As many messages as one PutLogEvents takes."""
    batch: list[str] = []
    size = 0
    for message in messages:
        bytes_of_it = len(message.encode()) + _OVERHEAD_BYTES
        if batch and (len(batch) >= MOST_BATCH_EVENTS or size + bytes_of_it > MOST_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += bytes_of_it
    if batch:
        yield batch


@dataclass
class _Following:
    """A log that is being sent; it is never broken off in the middle of a batch."""

    task: asyncio.Task[None]
    is_over: asyncio.Event


class Output:
    """Writes and sends the logs of all builds that run."""

    def __init__(self, aws: Aws, clock: Clock) -> None:
        self._aws = aws
        self._clock = clock
        self._followed: dict[str, _Following] = {}

    def say(self, build: Build, *lines: str) -> None:
        """Append lines of our own, as CodeBuild's agent words them."""
        with build.log.open("a") as file:
            file.writelines(container_line(self._clock.now(), line) for line in lines)

    async def open(self, build: Build) -> None:
        """Make the log stream."""
        if build.log_group is None:
            return
        names = {"logGroupName": build.log_group, "logStreamName": build.log_stream}
        for operation, members in (("CreateLogGroup", ("logGroupName",)), ("CreateLogStream", tuple(names))):
            try:
                await self._aws.call("logs", operation, build.region, **{name: names[name] for name in members})
            except AwsError as error:
                if error.code != "ResourceAlreadyExistsException":
                    raise

    def follow(self, build: Build) -> None:
        """Send what is written from now on until `finish`; nothing if that is done already."""
        if build.log_group is not None and build.id not in self._followed:
            is_over = asyncio.Event()
            task = asyncio.create_task(self._follow(build, is_over), name=f"log of {build.id}")
            self._followed[build.id] = _Following(task, is_over)

    async def finish(self, build: Build) -> None:
        """Send what is left; nothing will be written any more."""
        if (following := self._followed.pop(build.id, None)) is not None:
            following.is_over.set()
            await following.task
        if build.log.exists():
            if build.log_group is not None:
                await self._send(build, is_end=True)
            await self._keep_in_s3(build)

    async def close(self) -> None:
        """Stop sending; the files say how to go on."""
        for following in self._followed.values():
            following.is_over.set()
        await asyncio.gather(*(following.task for following in self._followed.values()))
        self._followed.clear()

    async def _follow(self, build: Build, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            try:
                await self._send(build, is_end=False)
            except Exception as error:  # sent again at the next look, from the same position
                log.warning("the log of %s could not be sent: %s", build.id, hindrance(error) or error)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await is_over.wait()

    async def _send(self, build: Build, *, is_end: bool) -> None:
        """Send what was written since the last time."""
        position_file = build.folder / "log.position"
        position = int(position_file.read_text()) if position_file.exists() else 0
        if build.log.stat().st_size == position:
            return
        mask = mask_of(build)
        with build.log.open("rb") as file:
            while True:
                file.seek(position)
                read = file.read(READ_BYTES)
                size = size_to_send(read, mask, is_end=is_end and len(read) < READ_BYTES)
                if not size:
                    return
                for batch in batches_of(messages_in(mask.apply(read[:size]).removesuffix(b"\n"))):
                    await self._put(build, batch)
                    await asyncio.sleep(0)
                position += size
                draft = position_file.with_suffix(".new")
                draft.write_text(str(position))
                draft.replace(position_file)

    async def _put(self, build: Build, messages: list[str]) -> None:
        at_ms = int(self._clock.now() * 1000)
        await self._aws.call(
            "logs",
            "PutLogEvents",
            build.region,
            logGroupName=build.log_group,
            logStreamName=build.log_stream,
            logEvents=[{"timestamp": at_ms, "message": message} for message in messages],
        )

    async def _keep_in_s3(self, build: Build) -> None:
        config = build.spec["logsConfig"]["s3Logs"]
        if config["status"] != "ENABLED":
            return
        bucket, _, prefix = config["location"].removeprefix("arn:aws:s3:::").partition("/")
        body = gzip.compress(mask_of(build).apply(build.log.read_bytes()))
        key = f"{prefix.strip('/')}/{build.uuid}.gz".lstrip("/")
        await self._aws.call("s3", "PutObject", build.region, Bucket=bucket, Key=key, Body=body)


def mask_of(build: Build) -> Mask:
    """Hides the secrets of a build; known once its variables were resolved."""
    return Mask.of(json.loads(build.secrets.read_text()) if build.secrets.exists() else [])
