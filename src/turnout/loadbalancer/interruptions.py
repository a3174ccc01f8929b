"""What is known of the moments without a proxy: kept for good, and told in receipts and by `turnout status`."""

from __future__ import annotations

from typing import Any

from turnout.clock import Clock
from turnout.loadbalancer.proxy import Interruption
from turnout.store import Store


class Interruptions:
    """The account of every end of the proxy that nobody asked for."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def keep(self, interruption: Interruption) -> None:
        now = self._clock.now()
        ended_at = None if interruption.lasted_s is None else now - interruption.lasted_s
        looked_at = None
        if ended_at is not None and interruption.looked_s is not None:
            looked_at = ended_at - interruption.looked_s
        with self._store.transaction() as tx:
            tx.execute(
                "INSERT INTO elbv2_interruptions"
                " (ended_at, serves_again_at, why, connections, in_flight, looked_at, is_queue_kept)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    ended_at,
                    now,
                    interruption.why,
                    interruption.connections,
                    interruption.in_flight,
                    looked_at,
                    int(interruption.is_queue_kept),
                ),
            )

    def since(self, at: float) -> list[dict[str, Any]]:
        """Those that were over after `at`, oldest first, as documents."""
        return [
            {
                "endedAt": row["ended_at"],
                "servesAgainAt": row["serves_again_at"],
                "why": row["why"],
                "connections": row["connections"],
                "inFlight": row["in_flight"],
                "lookedAt": row["looked_at"],
                "newConnections": "waited" if row["is_queue_kept"] else "refused",
            }
            for row in self._store.all(
                "SELECT * FROM elbv2_interruptions WHERE serves_again_at >= ? ORDER BY id", (at,)
            )
        ]
