"""The receipts that are kept for good, and those of deployments that still run.

A receipt is written in the transaction that ends its deployment, and never again.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from turnout.jsontext import read
from turnout.receipt import Document, figures_of
from turnout.runs import Run, Runs
from turnout.samples import Samples
from turnout.store import Transaction

SCHEMA = [
    """
CREATE TABLE receipts (
    region        TEXT NOT NULL,
    deployment_id TEXT NOT NULL,
    created_at    REAL NOT NULL,
    body          TEXT NOT NULL,                -- the document of receipt.py
    PRIMARY KEY (region, deployment_id)
);
CREATE INDEX receipts_at ON receipts (region, created_at);
"""
]

MOST_LISTED = 50

Build = Callable[[Run], Document]


class Receipts:
    def __init__(self, runs: Runs, samples: Samples) -> None:
        self.samples = samples
        self._runs = runs
        self._builders: dict[str, Build] = {}

    def build_by(self, kind: str, build: Build) -> None:
        """How the receipt of a run of this kind is written; what its traffic was is added to it."""
        self._builders[kind] = build

    def find(self, region: str, deployment_id: str) -> Document | None:
        """The receipt of a deployment; a partial one (`isFinal` false) while it runs. None: there is no such."""
        row = self._runs.store.one(
            "SELECT body FROM receipts WHERE region = ? AND deployment_id = ?", (region, deployment_id)
        )
        if row is not None:
            kept: Document = read(row["body"])
            return kept
        for kind in self._builders:
            if (run := self._runs.find(kind, region, deployment_id)) is not None:
                return self._build(run)
        return None

    def list(self, region: str, limit: int = MOST_LISTED) -> list[Document]:
        """The newest receipts first, those of running deployments before all others. Without their samples."""
        rows = self._runs.store.all(
            "SELECT json_remove(body, '$.samples') AS body FROM receipts WHERE region = ?"
            " ORDER BY created_at DESC, rowid DESC LIMIT ?",
            (region, limit),
        )
        going = {run.id: run for kind in self._builders for run in self._runs.of_kind(kind, region, is_open=True)}
        # ECS counts a rollback as a part of the deployment that has failed: that is sampled until both have ended.
        for run in (self._runs.get(run_id) for run_id in self.samples.sampled() - going.keys()):
            going |= {run.id: run} if run.region == region else {}
        running = [self._build(going[run_id]) for run_id in sorted(going, reverse=True)]
        for document in running:
            del document["samples"]
        return [*running, *(read(row["body"]) for row in rows)][:limit]

    def keep(self, tx: Transaction, run: Run) -> None:
        tx.execute(
            "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?)",
            (run.region, run.name, run.created_at, json.dumps(self._build(run))),
        )
        self.samples.forget(tx, run.id)

    def _build(self, run: Run) -> Document:
        return {**self._builders[run.kind](run), **figures_of(self.samples.of(run.id), run.facts.get("traffic_note"))}
