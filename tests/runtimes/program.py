"""The application that runtimes are tested with: it listens on its ports, then does what its rig tells it to.

It reports to 127.0.0.1:$RIG with its name, so that a test knows when it is up without asking again and again. Each
line it is told is a JSON list, a verb and its words; each answer is a line of JSON.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

held: list[bytes] = []


def main() -> None:
    if os.environ.get("STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif os.environ.get("GRACEFUL"):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ports = {int(value) for name, value in os.environ.items() if name.startswith("PORT")}
    listening = [socket.create_server(("", port)) for port in ports]
    with socket.create_connection(("127.0.0.1", int(os.environ["RIG"]))) as rig, rig.makefile("rw") as channel:
        answer: object = os.environ["NAME"]
        while True:
            channel.write(json.dumps(answer) + "\n")
            channel.flush()
            if not (line := channel.readline()):
                break
            verb, *words = json.loads(line)
            answer = globals()[verb](*words)
        for server in listening:
            server.close()


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def end(code: int) -> None:
    sys.exit(code)


def work(cpu_s: float, mib: int) -> None:
    """Use so many seconds of CPU, half of them in a child, and hold so much memory from then on."""
    held.append(b"x" * (mib << 20))
    if (child := os.fork()) == 0:
        spend(cpu_s / 2)
        os._exit(0)
    os.waitpid(child, 0)
    spend(cpu_s / 2)


def spend(cpu_s: float) -> None:
    until = time.process_time() + cpu_s
    while time.process_time() < until:
        pass


def environment() -> dict[str, str]:
    return dict(os.environ)


def descriptors() -> dict[str, str]:
    found = {}
    for fd in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):
            found[fd.name] = str(fd.readlink())
    return found


def write(path: str) -> str:
    try:
        Path(path).write_text("x")
    except OSError as error:
        return type(error).__name__
    return "written"


def see(path: str) -> list[str] | str:
    try:
        return sorted(entry.name for entry in Path(path).iterdir())
    except OSError as error:
        return type(error).__name__


def leave_behind() -> int:
    """A child that outlives its parent, deaf to SIGTERM."""
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()
    return child


def identity() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "cwd": str(Path.cwd()),
        "session": os.getsid(0),
        "namespace": str(Path("/proc/self/ns/pid").readlink()),
        "capabilities": next(line for line in Path("/proc/self/status").read_text().splitlines() if "CapEff" in line),
    }


main()
