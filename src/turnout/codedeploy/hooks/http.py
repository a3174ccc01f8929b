"""A hook that is an HTTP call with the payload of Flagger's webhooks. The status of the answer decides.

https://docs.flagger.app/usage/webhooks
A crash between the call and the commit of its answer makes it once more: whoever is called sees the same
LIFECYCLE_EVENT_HOOK_EXECUTION_ID.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from turnout.aws import Aws
from turnout.codedeploy.hooks.plan import LONGEST_S, keep_output
from turnout.codedeploy.hooks.surroundings import Surroundings, hook_of
from turnout.codedeploy.hooks.words import FAILED, TIMED_OUT, tail_of
from turnout.errors import StepFailed
from turnout.hookfile import Hook, filled, variables_in
from turnout.runner import Done, Wait
from turnout.runs import Run, Runs, Step

MOST_ANSWER_BYTES = 64 * 1024
WITHOUT_BODY = ("GET", "HEAD", "DELETE")


@dataclass(frozen=True)
class Said:
    """What came of one call. `status` None: there was no answer, and `output` says why."""

    status: int | None
    output: str
    has_timed_out: bool = False


class HttpHook:
    def __init__(self, runs: Runs, aws: Aws, surroundings: Surroundings) -> None:
        self._runs = runs
        self._aws = aws
        self._surroundings = surroundings

    def ends_by_itself(self) -> bool:
        return False

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        hook, facts, now = hook_of(run), self._runs.get(run.id).facts, self._runs.clock.now()
        calls, again_at = facts.get("calls", 0), facts.get("again_at")
        assert step.started_at is not None
        if now - step.started_at >= LONGEST_S:
            raise StepFailed(
                TIMED_OUT, f"no answer that was expected within an hour; {facts.get('last') or 'none yet'}"
            )
        if again_at is not None and now < again_at:
            return Wait(again_at - now, step.note or "to be called again")
        variables = await self._surroundings.variables(run)
        said = await self._call(run, hook, variables)
        what = f"{hook.settings['method']} {_shown(filled(hook.settings['url'], variables))}: " + (
            said.output if said.status is None else f"status {said.status}"
        )
        keep_output(self._runs, run, tail_of(said.output), f"status {said.status}")
        if is_expected(said.status, hook.settings["expect"]):
            return Done()
        calls += 1
        if calls > hook.settings["retries"]:
            count = f", in the last of {calls} calls" if calls > 1 else ""
            raise StepFailed(TIMED_OUT if said.has_timed_out else FAILED, f"{what}{count}")
        left_s = step.started_at + LONGEST_S - now
        wait_s = min(left_s, self._runs.clock.scaled_s(hook.settings["interval_s"]))
        with self._runs.store.transaction() as tx:
            self._runs.remember(tx, run.id, calls=calls, again_at=now + wait_s, last=f"call {calls}: {what}")
        return Wait(wait_s, f"call {calls} of {hook.settings['retries'] + 1}: {what}")

    async def _call(self, run: Run, hook: Hook, variables: dict[str, str]) -> Said:
        deployed = json.dumps(run.spec["hook"], sort_keys=True)
        url = filled(hook.settings["url"], variables)
        headers = {name: filled(text, variables) for name, text in hook.settings["headers"].items()}
        if unknown := sorted({name for text in (url, *headers.values()) for name in variables_in(text)}):
            return Said(None, f"{', '.join(unknown)} is not known now: the listener or the task does not answer")
        metadata = {name: filled(text, variables) for name, text in hook.settings["metadata"].items()}
        payload = {
            "name": variables["SERVICE_NAME"],
            "namespace": variables["CLUSTER_NAME"],
            "phase": "Progressing",
            "checksum": hashlib.sha256(deployed.encode()).hexdigest()[:10],
            "metadata": {**variables, **metadata},
        }
        self._aws.fuse("before http")
        said = await call(hook.settings["method"], url, headers, payload, hook.timeout_s)
        self._aws.fuse("after http")
        return said


async def call(method: str, url: str, headers: dict[str, str], payload: dict[str, Any], timeout_s: float) -> Said:
    """One call. Names below .localhost are this machine, whatever its resolver knows (RFC 6761)."""
    import httpx  # a fifth of a second, which only engines with such hooks need to take

    parts = urlsplit(url)
    headers = {"User-Agent": "turnout", **headers}
    if (parts.hostname or "").endswith(".localhost"):
        headers.setdefault("Host", parts.netloc)
        parts = parts._replace(netloc=f"127.0.0.1:{parts.port}" if parts.port else "127.0.0.1")
    body = None if method in WITHOUT_BODY else payload
    # This machine's certificates, read once; without TLS none are.
    verify = _certificates() if parts.scheme == "https" else False
    try:
        async with asyncio.timeout(timeout_s), httpx.AsyncClient(timeout=timeout_s, verify=verify) as client:
            async with client.stream(method, urlunsplit(parts), headers=headers, json=body) as answer:
                read = bytearray()
                async for chunk in answer.aiter_bytes():
                    read += chunk
                    if len(read) >= MOST_ANSWER_BYTES:
                        break
                return Said(answer.status_code, bytes(read).decode("utf-8", "replace"))
    except (TimeoutError, httpx.TimeoutException):
        return Said(None, f"no answer within {timeout_s:g} s", has_timed_out=True)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Said(None, f"{type(error).__name__}: {error}")


@cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()


def is_expected(status: int | None, expect: list[int]) -> bool:
    """Without a list any 2xx."""
    if status is None:
        return False
    return status in expect if expect else 200 <= status < 300


def _shown(url: str) -> str:
    """Without its query, in which there may be a secret."""
    return url.partition("?")[0]
