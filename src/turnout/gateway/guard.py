"""Who may speak to the gateway: no web page of another origin, and nobody who was led here by a foreign name.

A page that a developer happens to visit must not be able to start a build on their machine, neither by a form
(cross-origin requests) nor by pointing its own name at 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

LOCAL_SUFFIXES = (".localhost", ".localhost.localstack.cloud")
AWS_SUFFIXES = (".amazonaws.com", ".amazonaws.com.cn")
"""Names that clients call turnout by. Not pages that may call it: anybody can put a page into a bucket of AWS's."""

ALLOWED_NAMES = frozenset({"localhost", "localhost.localstack.cloud", "host.docker.internal"})


def refusal(headers: Mapping[str, str], allowed_hosts: tuple[str, ...], query: str = "") -> str | None:
    """Why a request is refused, with how to allow it; None if it may pass. Header names are lower case."""
    host = _name(f"//{headers.get('host', '')}")
    if not _is_ours(host, allowed_hosts):
        return (
            f"the Host header '{host}' is not one of turnout's. If you meant to reach turnout by that name,"
            f" start it with --allow-host {host or 'NAME'}."
        )
    origin = headers.get("origin")
    if origin is not None and not _may_call(_name(origin), allowed_hosts):
        return (
            f"a page of the origin '{origin}' tried to call turnout. If that page is yours,"
            f" start turnout with --allow-host {_name(origin) or 'NAME'}."
        )
    site = headers.get("sec-fetch-site")
    if origin is None and site == "cross-site":
        return "a page of another origin tried to call turnout. Open turnout's address directly."
    if site is None and origin is None and "Action=" in query and headers.get("user-agent", "").startswith("Mozilla/"):
        # Of an image or a link, browsers say nothing to names that they do not know to be this machine.
        return "a browser asked for an operation without saying from which page. Use localhost as turnout's name."
    return None


def _name(url: str) -> str:
    """The host of a URL; nothing if it is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


@lru_cache(1000)
def _is_ours(name: str, allowed_hosts: tuple[str, ...]) -> bool:
    """Whether a name may lead to turnout."""
    return name.lower().endswith(AWS_SUFFIXES) or _may_call(name, allowed_hosts)


def _may_call(name: str, allowed_hosts: tuple[str, ...]) -> bool:
    """Whether a page of that name may call turnout."""
    name = name.lower()
    if name in ALLOWED_NAMES or name in allowed_hosts or name.endswith(LOCAL_SUFFIXES):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
