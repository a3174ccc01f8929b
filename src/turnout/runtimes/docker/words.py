"""What an engine says, in the words that ECS has for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_WRAPPERS = re.compile(r"^.*(?:unable to start container process|starting container process caused)(?: \"[^\"]*\")?: ")
_ENDPOINT = re.compile(r"^.*(?:failed programming external connectivity on endpoint \S+(?: \([0-9a-f]+\))?): ")
_TRAILER = re.compile(
    r": (?:unknown\.?|OCI runtime error|OCI runtime attempted to invoke a command that was not found)$"
)
_GONE = re.compile(r"manifest unknown|not found|does not exist|name unknown", re.IGNORECASE)
_OTHER_PLATFORM = re.compile(r"no matching manifest for (\S+)|does not match the specified platform", re.IGNORECASE)

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


def innermost(message: str) -> str:
    """The part of an engine's message that says something: 'exec: "nosuch": executable file not found in $PATH'."""
    text = " ".join(message.split())
    for wrapper in (_WRAPPERS, _ENDPOINT):
        text = wrapper.sub("", text)
    return _TRAILER.sub("", text)


def cannot_pull(image: str, message: str, platform: str) -> str:
    """Why an image cannot be had, as ECS's agent says it."""
    if _OTHER_PLATFORM.search(message):
        return wrong_platform(image, None, platform)
    why = f"{image}: not found" if _GONE.search(message) and "no such host" not in message else innermost(message)
    return f"pull image manifest has been retried 1 time(s): failed to resolve ref {image}: {why}"


def wrong_platform(image: str, found: str | None, platform: str) -> str:
    """An image for another machine. Without this the task would end with "exec format error" and nothing else."""
    has = f" ({image} is made for {found}: build it with --platform {platform})" if found else f" ({image})"
    return f"image Manifest does not contain descriptor matching platform '{platform}'{has}"


def why_it_ended(state: Mapping[str, Any]) -> str | None:
    """The reason that ECS tells beside an exit code, from the State of an ended container."""
    if state.get("OOMKilled") and state["ExitCode"] != 0:
        return OUT_OF_MEMORY
    return innermost(state["Error"]) if state.get("Error") else None


def has_failed_to_start(state: Mapping[str, Any]) -> bool:
    return bool(state["Status"] == "created" and state.get("Error"))


def unix_time(text: str) -> float:
    """An engine's time stamp, which has nanoseconds; 0.0 of one that was never set."""
    found = datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00" if "." in text else text)
    return found.timestamp() if found.year > 1 else 0.0
