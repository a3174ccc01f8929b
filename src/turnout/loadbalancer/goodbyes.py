"""Goodbyes: the connections of a listener are told, one share after the other, that clients should open new ones.

Envoy says goodbye on the connections of a filter chain that is replaced. So a listener whose policy for long
connections is `announce` has as many chains as there are shares, by the source port of a connection, and a mark in
each: a mark that rises replaces its chain. Marks are rows, and outlive the engine and Envoy.
"""

from __future__ import annotations

from typing import Any

from turnout.loadbalancer.picture import SHARES
from turnout.loadbalancer.room import Room


class Goodbyes:
    def __init__(self, room: Room) -> None:
        self._room = room

    def say(self, region: str, listener_arn: str, cause: str, share: float) -> None:
        """Tell this share (0 to 1) of the connections, unless the same cause has told as many."""
        room = self._room
        wanted = min(SHARES, round(SHARES * share))
        known: dict[str, Any] = room.records.goodbyes.find(region, listener_arn) or {}
        marks = list(known.get("marks", [0] * SHARES))
        told = known["told"] if known.get("cause") == cause else 0
        if wanted <= told or room.records.listeners.find(region, listener_arn) is None:
            return
        for number in range(told, wanted):
            marks[number] += 1
        with room.store.transaction() as tx:
            document = {"cause": cause, "told": wanted, "marks": marks}
            room.records.goodbyes.put(tx, region, listener_arn, document)
            room.tell(tx, listeners=(listener_arn,))
