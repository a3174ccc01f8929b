"""A web application in one file, with what zero downtime asks of an application: a health check, and a graceful end.

GET /                  which version answers, and its colour (HTML for a browser, else text)
GET /health            200 when it can serve; the load balancer asks this
GET /slow?seconds=5    answers after a while: in flight while a release happens
GET /events?seconds=5  server-sent events, one every second
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

LONGEST_S = 60.0
DRAIN_S = 20.0
"""How long requests in flight may take after SIGTERM. Keep it below `stopTimeout` in taskdef.json."""

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>hello {version}</title>
<style>
body {{ background: {colour}; color: #fff; font: 600 10vmin system-ui; text-align: center; padding: 30vh 0 }}
</style>
<p>hello {version}</p></html>
"""


class Release:
    """What this version is: `release.json`, next to this file."""

    def __init__(self, text: str) -> None:
        document = json.loads(text)
        self.version: str = document["version"]
        self.colour: str = document["colour"]
        self.is_healthy: bool = document.get("healthy", True)


class Application(ThreadingHTTPServer):
    """Serves until `stop`, then takes no more connections and finishes what it has begun."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], release: Release) -> None:
        super().__init__(address, Handler)
        self.release = release
        self.is_stopping = False
        self.in_flight = 0
        self.changed = threading.Condition()

    def stop(self) -> None:
        self.is_stopping = True
        self.shutdown()

    def finish(self) -> bool:
        """Close the door, then wait until nothing is in flight. False if some requests took too long."""
        self.server_close()
        with self.changed:
            return self.changed.wait_for(lambda: self.in_flight == 0, DRAIN_S)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Application

    def do_GET(self) -> None:
        with self.server.changed:
            self.server.in_flight += 1
            self.server.changed.notify_all()
        try:
            self.answer()
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client went away
        finally:
            with self.server.changed:
                self.server.in_flight -= 1
                self.server.changed.notify_all()

    def answer(self) -> None:
        url = urlsplit(self.path)
        release = self.server.release
        seconds = min(float(parse_qs(url.query).get("seconds", ["1"])[0]), LONGEST_S)
        if url.path == "/":
            if "text/html" in self.headers.get("Accept", ""):
                self.send(200, PAGE.format(version=release.version, colour=release.colour), "text/html")
            else:
                self.send(200, f"hello {release.version}\n")
        elif url.path == "/health":
            status, text = (200, "ok\n") if release.is_healthy else (500, "this release is broken on purpose\n")
            self.send(status, text)
        elif url.path == "/slow":
            time.sleep(seconds)
            self.send(200, f"hello {release.version}, {seconds:g} s later\n")
        elif url.path == "/events":
            self.send_events(seconds)
        else:
            self.send(404, "there is /, /health, /slow and /events\n")

    def send(self, status: int, text: str, kind: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Version", self.server.release.version)
        if self.server.is_stopping:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_events(self, seconds: float) -> None:
        """A body without a length: it ends when the connection does."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("X-Version", self.server.release.version)
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(1, int(seconds) + 1):
            self.wfile.write(f"id: {number}\ndata: {self.server.release.version}\n\n".encode())
            self.wfile.flush()
            time.sleep(1)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing for an ordinary request: the load balancer counts them."""


def main() -> None:
    release = Release(Path(__file__).with_name("release.json").read_text())
    port = int(os.environ.get("PORT", "8000"))
    application = Application(("", port), release)
    # `shutdown` waits for the loop that this thread runs, so it has to be called from another one.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=application.stop).start())
    print(f"hello {release.version} serves on port {port} of {socket.gethostname()}", flush=True)
    application.serve_forever(poll_interval=0.1)
    if not application.finish():
        sys.exit("some requests were still in flight")
    print(f"hello {release.version} has ended", flush=True)


if __name__ == "__main__":
    main()
