"""Times as CloudWatch writes them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def short_time(at: float) -> str:
    """18/01/26 20:20:00, as in a state's reason."""
    return datetime.fromtimestamp(at, UTC).strftime("%d/%m/%y %H:%M:%S")


def long_time(at: float) -> str:
    """2026-01-18T20:20:00.000+0000, as in reason data, history and messages."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")
