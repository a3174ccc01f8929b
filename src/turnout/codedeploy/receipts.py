"""The receipts that are kept for good, and those of deployments that still run.

A receipt is written in the transaction that ends its deployment, and never again.
"""

from __future__ import annotations

import json
from typing import Any

from turnout.codedeploy.receipt import build
from turnout.codedeploy.starting import KIND
from turnout.runs import Run, Runs
from turnout.store import Transaction
from turnout.traffic import Traffic

RECEIPTS = """
CREATE TABLE codedeploy_receipts (
    region           TEXT NOT NULL,
    deployment_id    TEXT NOT NULL,
    application      TEXT NOT NULL,
    deployment_group TEXT NOT NULL,
    created_at       REAL NOT NULL,
    body             TEXT NOT NULL,             -- the document of receipt.py
    PRIMARY KEY (region, deployment_id)
);
CREATE INDEX codedeploy_receipts_at ON codedeploy_receipts (region, created_at);
"""

Document = dict[str, Any]


class Receipts:
    def __init__(self, runs: Runs, traffic: Traffic) -> None:
        self._runs = runs
        self._traffic = traffic

    def find(self, region: str, deployment_id: str) -> Document | None:
        """The receipt of a deployment; a partial one (`isFinal` false) while it runs. None: there is no such."""
        row = self._runs.store.one(
            "SELECT body FROM codedeploy_receipts WHERE region = ? AND deployment_id = ?", (region, deployment_id)
        )
        if row is not None:
            kept: Document = json.loads(row["body"])
            return kept
        run = self._runs.find(KIND, region, deployment_id)
        return None if run is None else self._build(run)

    def list(
        self, region: str, application: str | None = None, deployment_group: str | None = None, limit: int = 50
    ) -> list[Document]:
        """The newest receipts first, those of running deployments before all others."""
        rows = self._runs.store.all(
            "SELECT body FROM codedeploy_receipts WHERE region = :region"
            " AND (:application IS NULL OR application = :application)"
            " AND (:deployment_group IS NULL OR deployment_group = :deployment_group)"
            " ORDER BY created_at DESC, rowid DESC LIMIT :limit",
            {"region": region, "application": application, "deployment_group": deployment_group, "limit": limit},
        )
        running = [
            self._build(run)
            for run in self._runs.of_kind(KIND, region, is_open=True)
            if application in (None, run.spec["application"])
            and deployment_group in (None, run.spec["deployment_group"])
        ]
        return [*running, *(json.loads(row["body"]) for row in rows)][:limit]

    def keep(self, tx: Transaction, run: Run) -> None:
        tx.execute(
            "INSERT OR REPLACE INTO codedeploy_receipts VALUES (?, ?, ?, ?, ?, ?)",
            (
                run.region,
                run.name,
                run.spec["application"],
                run.spec["deployment_group"],
                run.created_at,
                json.dumps(self._build(run)),
            ),
        )

    def _build(self, run: Run) -> Document:
        changes = self._traffic.weights_since(run.region, run.spec["listener_arn"], run.created_at)
        events = [dict(event) for event in self._runs.events(run.id)]
        return build(run, self._runs.steps(run.id), events, changes)
