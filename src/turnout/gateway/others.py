"""Every service that is not ours: moto's records, in this process, and their survival.

moto keeps its state in the process, so there is one `Others` at a time; a new one forgets what the last one held.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turnout.clock import Clock
from turnout.errors import AwsError, Hindered, NotOwned
from turnout.gateway.hindered import CODE, hindered
from turnout.gateway.moto import s3
from turnout.gateway.moto.operations import is_invocation
from turnout.gateway.moto.refusal import refuse
from turnout.gateway.moto.request import Headers, Reply, Request
from turnout.gateway.moto.tuning import tune
from turnout.hindrances import hindrance

if TYPE_CHECKING:
    from turnout.gateway.moto.clients import Clients
    from turnout.gateway.moto.survival import Survival

log = logging.getLogger(__name__)

QUIET_S = 0.25
"""So long nobody must have changed anything before a snapshot is taken."""


ROUTE_53 = "/2013-04-01/"
"""All paths of Route 53's API begin with its version."""


class Others:
    """moto is imported when it is first needed: an engine that uses none of it is the lighter for it."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._changed_at = 0.0
        self._heard: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Bring back what the folder holds, if anything. Raises SetupError."""
        if (self._folder / "origin.json").exists():
            _ = self._survival

    def is_there(self) -> bool:
        """Whether anything of moto's is, or was: asking it wakes it, which takes a second."""
        return "_survival" in vars(self) or (self._folder / "origin.json").exists()

    def on_records(self, heard: Callable[[], None]) -> None:
        """Have `heard` called whenever Route 53 has changed something."""
        self._heard = heard

    def close(self) -> None:
        """Leave a snapshot behind."""
        if self._timer is not None:
            self._timer.cancel()
        if "_survival" in vars(self):
            self._survival.close()

    def handle(
        self, method: str, path_and_query: str, headers: Headers, body: bytes, service: str | None, region: str | None
    ) -> Reply:
        """Answer a raw AWS request. Synchronous, and durable when it returns.

        `service` and `region` are those of the signature's scope; without them they are inferred as far as can be.
        """
        request = Request(method, path_and_query, headers, body, service, region)
        try:
            if is_invocation(request):
                raise NotOwned("lambda", "Invoke")
            if s3.is_for_s3(request):
                request = s3.plain(request)
            reply = self._survival.ask(request)
            self._care_for_journal()
            if path_and_query.startswith(ROUTE_53) and method != "GET":
                self._heard()
            return reply
        except AwsError as error:
            return refuse(request, error)
        except Exception as error:
            if (why := hindrance(error)) is not None:
                log.warning("%s: %s", request.title, why)
                return refuse(request, hindered(why))
            log.exception("moto failed at %s", request.title)
            return refuse(request, AwsError("InternalFailure", f"moto failed at {request.title}; see the log", 500))

    def call(self, service: str, operation: str, region: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation in-process. Synchronous, and durable when it returns. Raises AwsError, Hindered."""
        try:
            return self._clients.call(service, operation, region, params)
        except AwsError as error:
            if error.code == CODE:
                raise Hindered(error.message) from error
            raise

    def snapshot(self) -> None:
        """Write everything down now, instead of at the next quiet moment."""
        self._survival.snapshot()

    @cached_property
    def _survival(self) -> Survival:
        tune()
        from turnout.gateway.moto.router import Router
        from turnout.gateway.moto.survival import Survival

        router = Router()

        def answer(request: Request) -> Reply:
            try:
                return router.answer(request)
            except NotImplementedError as error:
                log.info("moto: %s", error)
                raise NotOwned(request.service or "?", request.title) from error

        survival = Survival(self._folder, self._clock, answer)
        survival.start()
        return survival

    @cached_property
    def _clients(self) -> Clients:
        from turnout.gateway.moto.clients import Clients

        return Clients(lambda r: self.handle(r.method, r.path_and_query, r.headers, r.body, r.service, r.region))

    def _care_for_journal(self) -> None:
        if self._survival.needs_snapshot:
            self._snapshot()
        elif self._survival.wants_snapshot:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            self._changed_at = loop.time()
            if self._timer is None:
                self._timer = loop.call_later(QUIET_S, self._snapshot_if_quiet, loop)

    def _snapshot_if_quiet(self, loop: asyncio.AbstractEventLoop) -> None:
        quiet_at = self._changed_at + QUIET_S
        if loop.time() < quiet_at:
            self._timer = loop.call_at(quiet_at, self._snapshot_if_quiet, loop)
        else:
            self._timer = None
            self._snapshot()

    def _snapshot(self) -> None:
        """What was asked is in the journal: a snapshot that fails costs the next start some time, and nothing else."""
        try:
            self._survival.snapshot()
        except OSError as error:
            log.warning("moto's state is not written down, its journal goes on: %s", hindrance(error) or error)
