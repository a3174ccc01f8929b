"""Invocations as processes: started once under their id, found again by it, their answer read and their log delivered.

After a crash the process goes on, and its folder says what it answered (see `host`).
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.aws import Aws
from turnout.awslambda import host
from turnout.awslambda.code import Code
from turnout.awslambda.node import Node
from turnout.awslambda.words import Function, environment_for, lines_of, log_group_of, log_stream_of
from turnout.clock import Clock
from turnout.config import Config
from turnout.errors import AwsError
from turnout.runtimes.detached import Detached, find, spawn

KEPT_S = 24 * 3600.0
"""So long an ended invocation can be asked for again by whoever caused it."""
TAIL_BYTES = 4096
MOST_LINES = 5000


@dataclass(frozen=True)
class Outcome:
    is_error: bool
    answer: bytes
    log: list[str]

    @property
    def tail(self) -> bytes:
        """What LogResult holds: the last 4 KB."""
        return "".join(f"{line}\n" for line in self.log).encode()[-TAIL_BYTES:]


class Running:
    def __init__(self, config: Config, clock: Clock, aws: Aws, code: Code) -> None:
        self._config = config
        self._clock = clock
        self._aws = aws
        self._code = code
        self._folder = config.functions / "invocations"
        self._node = Node(config.functions / "node")

    def find(self, key: str) -> Detached | None:
        """The process of an invocation, running or ended; None if it was not started."""
        return find(self._folder / key)

    async def ensure_started(
        self, key: str, function: Function, request_id: str, event: bytes, client_context: str | None
    ) -> Detached:
        """`key` names the attempt, `request_id` the invocation."""
        if (already := self.find(key)) is not None:
            return already
        folder = self._folder / key
        scratch = folder / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        (folder / "event").write_bytes(event)
        (folder / "request").write_text(json.dumps(await self._request(function, request_id, client_context, scratch)))
        argv = [sys.executable, "-I", host.__file__, str(folder)]
        return await spawn(folder, argv, {"PATH": "/usr/bin:/bin"}, folder)

    async def outcome(self, process: Detached, function: Function, request_id: str) -> Outcome:
        """Of a process that has ended. Its log is in CloudWatch Logs when this returns."""
        folder = process.folder
        try:
            result: dict[str, Any] = json.loads((folder / "result").read_text())
            answer = (folder / "answer").read_bytes()
        except FileNotFoundError:  # somebody killed the host, or the machine died
            said = f"RequestId: {request_id} Error: Runtime exited with error: nobody saw it end"
            answer = json.dumps({"errorType": "Runtime.ExitError", "errorMessage": said}).encode()
            ended_at = process.ended_at or process.started_at
            result = {"is_error": True, "error_type": "Runtime.ExitError", "ended_at": ended_at}
            result |= {"init_ms": 0.0, "duration_ms": 1000 * (ended_at - process.started_at), "memory_mib": 0.0}
        written = _written(folder / "log")
        lines = lines_of(function, request_id, result, written, int(1000 * process.started_at))
        await self._deliver(function, folder.name, lines)
        return Outcome(bool(result["is_error"]), answer, [text for _, text in lines])

    def forget(self, key: str) -> None:
        shutil.rmtree(self._folder / key, ignore_errors=True)

    def forget_old(self) -> None:
        """Folders of invocations that ended long ago."""
        for folder in self._folder.iterdir() if self._folder.exists() else ():
            process = find(folder)
            last_at = folder.stat().st_mtime
            if time.time() - last_at > KEPT_S and (process is None or not process.is_alive()):
                shutil.rmtree(folder, ignore_errors=True)

    async def _request(
        self, function: Function, request_id: str, client_context: str | None, scratch: Path
    ) -> dict[str, Any]:
        """What `host` is told."""
        task_root = str(self._code.folder(function.name, function.code_sha256))
        keys = next(iter(self._config.keys.items()), ("test", "test"))
        environment = environment_for(
            function,
            task_root=task_root,
            log_stream=log_stream_of(function, scratch.parent.name, self._clock.now()),
            endpoint=self._config.endpoint,
            credentials=keys,
            scratch=str(scratch),
        )
        if function.runtime.startswith("python"):
            argv = [sys.executable, "-m", "awslambdaric", function.handler]
        else:
            argv = [*await self._node.argv(), function.handler]
        return {
            "argv": argv,
            "directory": task_root,
            "environment": environment,
            "timeout_s": function.timeout_s,
            "request_id": request_id,
            "function_arn": function.arn,
            "client_context": client_context,
        }

    async def _deliver(self, function: Function, key: str, lines: list[tuple[int, str]]) -> None:
        """Each invocation has a stream of its own: if it has lines, they are these."""
        group = log_group_of(function)
        stream = log_stream_of(function, key, self._clock.now())
        where = {"logGroupName": group, "logStreamName": stream}
        for operation, params in (("CreateLogGroup", {"logGroupName": group}), ("CreateLogStream", where)):
            try:
                await self._aws.call("logs", operation, function.region, **params)
            except AwsError as error:
                if error.code != "ResourceAlreadyExistsException":
                    raise
        if (await self._aws.call("logs", "GetLogEvents", function.region, **where, limit=1)).get("events"):
            return
        shift_ms = int(1000 * self._clock.now()) - lines[-1][0]
        ordered = sorted(((at + shift_ms, text) for at, text in lines[-MOST_LINES:]), key=lambda line: line[0])
        events = [{"timestamp": at, "message": text} for at, text in ordered]
        await self._aws.call("logs", "PutLogEvents", function.region, **where, logEvents=events)


def _written(path: Path) -> list[tuple[int, str]]:
    try:
        return [(int(at), str(text)) for at, text in map(json.loads, path.read_text().splitlines())]
    except FileNotFoundError:
        return []
