"""Times of a page: seconds since the deployment began, and the time of day in one zone that is named. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any


class Times:
    """`began` is the page's zero; `ends` its last moment: the deployment's end, or now. Unix seconds."""

    def __init__(self, document: Mapping[str, Any], now: float, zone: tzinfo | None) -> None:
        self.now = now
        self.began: float = document["createdAt"] if document["startedAt"] is None else document["startedAt"]
        self.ends: float = now if document["endedAt"] is None else document["endedAt"]
        self._zone = zone

    @property
    def zone_name(self) -> str:
        return self._local(self.began).tzname() or ""

    @property
    def offset_s(self) -> float:
        """What is to be added to UTC."""
        offset = self._local(self.began).utcoffset()
        return offset.total_seconds() if offset else 0.0

    def since(self, at: float) -> float:
        """Seconds since the beginning, to the millisecond."""
        return round(at - self.began, 3)

    def of_day(self, at: float) -> str:
        """20:31:07.412"""
        return self._local(at).strftime("%H:%M:%S.%f")[:-3]

    def full(self, at: float) -> str:
        """2026-11-23 20:31:07 CET"""
        return self._local(at).strftime("%Y-%m-%d %H:%M:%S %Z")

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at).astimezone(self._zone)
