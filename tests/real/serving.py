"""An engine behind a real socket, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import uvloop

from tests.fakes.proxy import FakeProxy
from tests.fakes.runtime import FakeRuntime
from turnout.app import Engine
from turnout.clock import Clock, ManualClock
from turnout.config import Config


@contextmanager
def serving(home: Path, keys: dict[str, str] | None = None, *, ssh: bool = False) -> Iterator[Engine]:
    """An engine with real time, a fake runtime and a fake proxy; its runs advance by themselves."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as for_ssh:
        ssh_port = for_ssh.getsockname()[1] if ssh else None
        config = Config(home=home, port=listening.getsockname()[1], keys=keys or {}, ssh_port=ssh_port)
        started = threading.Event()
        held: list[Engine] = []
        loops: list[asyncio.AbstractEventLoop] = []
        asked = asyncio.Event()

        async def serve() -> None:
            engine = Engine(config, Clock(), FakeRuntime(ManualClock()), FakeProxy())
            server = uvicorn.Server(uvicorn.Config(engine.gateway, log_level="warning", lifespan="off"))
            server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
            await engine.start()
            if ssh:
                await engine.ssh.listen(for_ssh)
            advancing = asyncio.create_task(engine.runner.run_forever())
            answering = asyncio.create_task(server.serve(sockets=[listening]))
            held.append(engine)
            loops.append(asyncio.get_running_loop())
            started.set()
            await asked.wait()
            server.should_exit = True
            await answering
            advancing.cancel()
            await asyncio.gather(advancing, return_exceptions=True)
            await engine.close()

        thread = threading.Thread(target=lambda: uvloop.run(serve()), name="engine")
        thread.start()
        assert started.wait(30)
        try:
            yield held[0]
        finally:
            loops[0].call_soon_threadsafe(asked.set)
            thread.join(30)
            assert not thread.is_alive()
