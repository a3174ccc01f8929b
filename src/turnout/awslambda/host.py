"""The process that runs one invocation: AWS's Runtime API on loopback, and below it AWS's runtime interface client.

It knows nothing of turnout (only the standard library is imported, and it is run by its path), because it outlives the
engine: whatever becomes of that, the function runs once and its folder says what it answered.

    request   what to run (`running.request_for`)
    event     the payload
    log       lines of [unix milliseconds, text]: what the function wrote
    answer    the payload of the answer, or of the error
    result    {is_error, error_type, init_ms, duration_ms, memory_mib, ended_at}; there when it is over

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PREFIX = "/2018-06-01/runtime/"
INIT_S = 10.0
"""What a function may take to load, beside its timeout: AWS's limit of the init phase."""
LOOK_S = 0.1
LAST_LINES_S = 2.0


class Invocation:
    """What is known of the one invocation; the first end counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.request: dict[str, Any] = json.loads((folder / "request").read_text())
        self.created_at = time.monotonic()
        self.began_at: float | None = None
        self.over = threading.Event()
        self.is_error = False
        self.error_type: str | None = None
        self.answer = b""
        self.ended_at = 0.0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """The runtime has loaded the function and asks for the event: its timeout runs from here."""
        with self._lock:
            if self.began_at is None:
                self.began_at = time.monotonic()

    def end(self, answer: bytes, error_type: str | None = None, *, is_error: bool = False) -> None:
        with self._lock:
            if self.over.is_set():
                return
            self.answer, self.error_type, self.is_error = answer, error_type, is_error
            self.ended_at = time.monotonic()
            self.over.set()

    def fail(self, error_type: str, what: str) -> None:
        """An end that the function did not report."""
        message = f"RequestId: {self.request['request_id']} Error: {what}"
        self.end(json.dumps({"errorType": error_type, "errorMessage": message}).encode(), error_type, is_error=True)

    @property
    def ends_at(self) -> float:
        """When its time is over."""
        timeout_s = float(self.request["timeout_s"])
        return self.created_at + INIT_S + timeout_s if self.began_at is None else self.began_at + timeout_s


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    invocation: Invocation

    def do_GET(self) -> None:
        invocation = self.invocation
        if self.path != f"{PREFIX}invocation/next":
            return self._answer(404, b"{}")
        if invocation.began_at is not None:
            invocation.over.wait()
            threading.Event().wait()  # there is one event only: the process ends while it waits for another
        invocation.begin()
        request = invocation.request
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request["request_id"],
            "Lambda-Runtime-Deadline-Ms": str(int(1000 * (time.time() + float(request["timeout_s"])))),
            "Lambda-Runtime-Invoked-Function-Arn": request["function_arn"],
        }
        if request["client_context"]:
            headers["Lambda-Runtime-Client-Context"] = request["client_context"]
        return self._answer(200, (invocation.folder / "event").read_bytes(), headers)

    def do_POST(self) -> None:
        body = self._body()
        error_type = self.headers.get("Lambda-Runtime-Function-Error-Type")
        request_id = self.invocation.request["request_id"]
        self._answer(202, b'{"status":"OK"}')
        if self.path == f"{PREFIX}invocation/{request_id}/response":
            self.invocation.end(body)
        elif self.path in (f"{PREFIX}invocation/{request_id}/error", f"{PREFIX}init/error"):
            self.invocation.end(body, error_type, is_error=True)

    def log_message(self, format: str, *args: Any) -> None:
        return None

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):
            self.wfile.write(body)


def serve(folder: Path) -> None:
    """Run the invocation of a folder to its end."""
    invocation = Invocation(folder)
    handler = type("Api", (_Api,), {"invocation": invocation})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    request = invocation.request
    environment = {**request["environment"], "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}"}
    process = subprocess.Popen(
        request["argv"],
        cwd=request["directory"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    reading = threading.Thread(target=_keep_lines, args=(process.stdout, folder / "log"), daemon=True)
    reading.start()
    threading.Thread(target=_watch, args=(invocation, process), daemon=True).start()
    while not invocation.over.wait(max(0.0, min(LOOK_S, invocation.ends_at - time.monotonic()))):
        if time.monotonic() >= invocation.ends_at:
            invocation.fail("Sandbox.Timedout", f"Task timed out after {float(request['timeout_s']):.2f} seconds")
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # on AWS what the function left running is frozen with it
    process.wait()
    reading.join(LAST_LINES_S)
    _write_result(invocation)


def _watch(invocation: Invocation, process: subprocess.Popen[bytes]) -> None:
    """A runtime that ends by itself has crashed, whatever its status."""
    status = process.wait()
    killed = f"signal: {signal.strsignal(-status) or -status}".lower() if status < 0 else None
    what = killed or f"exit status {status}"
    invocation.over.wait(0.05)  # its last answer may still be on its way through the server's thread
    invocation.fail("Runtime.ExitError", f"Runtime exited with error: {what}" if status else "Runtime exited")


def _keep_lines(stream: Any, path: Path) -> None:
    with path.open("a") as log:
        for line in stream:
            text = line.decode("utf-8", "replace").rstrip("\r\n").replace("\r", "\n")  # the client folds lines
            log.write(json.dumps([int(time.time() * 1000), text]) + "\n")
            log.flush()


def _write_result(invocation: Invocation) -> None:
    began_at = invocation.began_at if invocation.began_at is not None else invocation.ended_at
    result = {
        "is_error": invocation.is_error,
        "error_type": invocation.error_type,
        "init_ms": 1000 * (began_at - invocation.created_at),
        "duration_ms": 1000 * (invocation.ended_at - began_at),
        "memory_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "ended_at": time.time(),
    }
    (invocation.folder / "answer").write_bytes(invocation.answer)
    draft = invocation.folder / "result.new"
    draft.write_text(json.dumps(result))
    draft.replace(invocation.folder / "result")


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
