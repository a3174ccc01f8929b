"""Ask one address without pause over one connection, and say when another version answers.

Usage: python -m bench.prober PORT
A process of its own, so that nobody else's work delays what it sees. A line each: unix seconds, version.
"""

from __future__ import annotations

import socket
import sys
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def main(port: int) -> None:
    seen = ""
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answers:
        while True:
            connection.sendall(REQUEST)
            length, version = 0, ""
            while line := answers.readline().strip():
                name, _, value = line.decode("latin-1").partition(":")
                if name.lower() == "content-length":
                    length = int(value)
                elif name.lower() == "x-version":
                    version = value.strip()
            answers.read(length)
            if version != seen:
                print(time.time(), version, flush=True)
                seen = version
            time.sleep(0.0002)


if __name__ == "__main__":
    main(int(sys.argv[1]))
