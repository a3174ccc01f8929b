"""What every colour carried while a deployment ran, span by span: for its receipt.

A deployment is sampled from `ensure_begun` until it is forgotten. The counters at the end of a sample are kept in the
transaction that keeps the sample, so that after a crash the next one begins where the last one ended: nothing is
counted twice or left out. All deployments that are due are sampled by one question to the balancer. While none runs,
nobody wakes up.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.errors import TurnoutError
from turnout.jsontext import read
from turnout.runs import Run, Runs
from turnout.store import Transaction
from turnout.traffic import Flow, Traffic, joined

log = logging.getLogger(__name__)

SCHEMA = [
    """
CREATE TABLE sampled (                        -- deployments that are being sampled
    run_id   INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    colours  TEXT NOT NULL,                   -- target group ARN → blue | green
    mark     TEXT NOT NULL,                   -- the counters at the end of the last sample
    taken_at REAL NOT NULL,                   -- the end of the last sample
    every_s  REAL NOT NULL                    -- doubled whenever there are too many
);
CREATE TABLE samples (
    id         INTEGER PRIMARY KEY,
    run_id     INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    started_at REAL NOT NULL,
    ended_at   REAL NOT NULL,
    body       TEXT NOT NULL                  -- flows and tasks by colour
);
CREATE INDEX samples_run ON samples (run_id, id);
"""
]

EVERY_S = 0.25
MOST = 160
"""Samples of a deployment; when there are so many, each two neighbours become one."""
REST, LONGEST_REST_S = 9, 5.0
"""How many times as long as a round of samples took is rested before the next, so that many cost no more than few."""
AFTER_ERROR_S = 1.0

UNROUTED = "unrouted"
"""Beside the colours: what reached no target group."""


@dataclass(frozen=True)
class Tasks:
    """Of one colour. `healthy` counts its targets, None if that is not known."""

    running: int
    desired: int
    healthy: int | None = None


@dataclass(frozen=True)
class Sample:
    """By colour: the flow of a span, and the tasks at its end."""

    started_at: float
    ended_at: float
    flows: Mapping[str, Flow]
    tasks: Mapping[str, Tasks] = field(default_factory=dict)


Count = Callable[[Run], Awaitable[Mapping[str, Tasks]]]


class Samples:
    def __init__(self, runs: Runs, aws: Aws, clock: Clock, traffic: Traffic) -> None:
        self._store = runs.store
        self._runs = runs
        self._aws = aws
        self._clock = clock
        self._traffic = traffic
        self._counts: dict[str, Count] = {}
        self._begun = asyncio.Event()
        self._taking = asyncio.Lock()

    def count_tasks(self, kind: str, count: Count) -> None:
        """How the tasks of a run of this kind are counted, by colour."""
        self._counts[kind] = count

    async def ensure_begun(self, run: Run, listener_arns: Sequence[str], colours: Mapping[str, str]) -> None:
        """From here on the traffic of these target groups is counted. Raises TurnoutError of a balancer that is silent.

        `colours`: target group ARN → blue or green. Without any, tasks are counted all the same.
        """
        if self._store.one("SELECT 1 FROM sampled WHERE run_id = ?", (run.id,)):
            return
        mark = await self._traffic.mark(run.region, listener_arns, tuple(colours))
        with self._store.transaction() as tx:
            tx.execute(
                "INSERT OR IGNORE INTO sampled VALUES (?, ?, ?, ?, ?)",
                (run.id, json.dumps(dict(colours)), json.dumps(mark), self._clock.now(), EVERY_S),
            )
            tx.after_commit(self._begun.set)

    async def take(self, run_id: int | None = None) -> None:
        """A sample of one run, or of all that are due. Raises TurnoutError of a balancer that is silent."""
        async with self._taking:
            rows = self._store.all(
                "SELECT * FROM sampled WHERE run_id = ?1 OR (?1 IS NULL AND taken_at + every_s <= ?2)",
                (run_id, self._clock.now()),
            )
            if not rows:
                return
            answers = await self._traffic.since([read(row["mark"]) for row in rows])
            tasks = [await self._tasks(self._runs.get(row["run_id"]), read(row["colours"])) for row in rows]
            now = self._clock.now()
            with self._store.transaction() as tx:
                for row, (flows, mark), counted in zip(rows, answers, tasks, strict=True):
                    flows = _by_colour(flows, read(row["colours"]))
                    self._put(tx, row, Sample(row["taken_at"], now, flows, counted), json.dumps(mark))

    async def run_forever(self) -> None:
        """Sample what is due until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                self._begun.clear()
                wait_s = self._due_in_s()
                if wait_s is None or wait_s > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            await self._begun.wait()  # somebody else's first sample may be due before
                    continue
                await self.take()
            except (TurnoutError, sqlite3.OperationalError) as error:
                log.warning("no sample of the traffic: %s", error)
                await asyncio.sleep(AFTER_ERROR_S)
            except Exception:
                log.exception("sampling stumbled; it goes on")
                await asyncio.sleep(AFTER_ERROR_S)
            await asyncio.sleep(min(REST * (loop.time() - begun), LONGEST_REST_S))

    def _due_in_s(self) -> float | None:
        """How long until a sample is due; None if no deployment runs."""
        due = self._store.one("SELECT min(taken_at + every_s) AS at FROM sampled")
        return due["at"] - self._clock.now() if due and due["at"] is not None else None

    def of(self, run_id: int) -> list[Sample]:
        """All there are, oldest first."""
        return [_sample(row) for row in self._rows(run_id)]

    def sampled(self) -> set[int]:
        """The runs that are being sampled."""
        return {row["run_id"] for row in self._store.all("SELECT run_id FROM sampled")}

    def forget(self, tx: Transaction, run_id: int) -> None:
        """The deployment has ended, and its receipt has been kept."""
        tx.execute("DELETE FROM sampled WHERE run_id = ?", (run_id,))
        tx.execute("DELETE FROM samples WHERE run_id = ?", (run_id,))

    async def _tasks(self, run: Run, colours: Mapping[str, str]) -> dict[str, Tasks]:
        """What cannot be counted (the service has just been deleted) is left out."""
        try:
            counted = await self._counts[run.kind](run)
            healthy: dict[str, list[int]] = {}
            for arn, colour in colours.items():
                answer = await self._aws.call("elbv2", "DescribeTargetHealth", run.region, TargetGroupArn=arn)
                states = [target["TargetHealth"]["State"] for target in answer["TargetHealthDescriptions"]]
                healthy.setdefault(colour, []).append(states.count("healthy"))
        except TurnoutError:
            return {}
        # A task is a target of every group of its colour.
        return {
            colour: Tasks(tasks.running, tasks.desired, min(healthy[colour]) if colour in healthy else None)
            for colour, tasks in counted.items()
        }

    def _put(self, tx: Transaction, row: sqlite3.Row, sample: Sample, mark: str) -> None:
        run_id, every_s = row["run_id"], row["every_s"]
        if self._store.one("SELECT 1 FROM sampled WHERE run_id = ?", (run_id,)) is None:
            return  # it has ended meanwhile
        rows = self._rows(run_id)
        if rows and sample.ended_at - sample.started_at < every_s / 2:  # as the last one may be
            sample = _merged(_sample(rows[-1]), sample)
            tx.execute("DELETE FROM samples WHERE id = ?", (rows.pop()["id"],))
        _insert(tx, run_id, sample)
        if len(rows) + 1 >= MOST:
            every_s *= 2
            samples = self.of(run_id)
            tx.execute("DELETE FROM samples WHERE run_id = ?", (run_id,))
            for merged in thinned(samples):
                _insert(tx, run_id, merged)
        tx.execute(
            "UPDATE sampled SET mark = ?, taken_at = ?, every_s = ? WHERE run_id = ?",
            (mark, sample.ended_at, every_s, run_id),
        )

    def _rows(self, run_id: int) -> list[sqlite3.Row]:
        return self._store.all("SELECT * FROM samples WHERE run_id = ? ORDER BY id", (run_id,))


def thinned(samples: Sequence[Sample]) -> list[Sample]:
    """Half as many: each two neighbours are one. Pure."""
    merged = [_merged(*samples[start : start + 2]) for start in range(0, len(samples) - 1, 2)]
    return [*merged, *samples[len(merged) * 2 :]]


def totals(samples: Sequence[Sample]) -> dict[str, Flow]:
    """By colour, over all spans. Pure."""
    colours = dict.fromkeys(colour for sample in samples for colour in sample.flows)
    return {colour: joined(s.flows[colour] for s in samples if colour in s.flows) for colour in colours}


def _merged(first: Sample, then: Sample) -> Sample:
    flows = {
        colour: Flow(**{**vars(joined([first.flows[colour], flow])), "in_flight": flow.in_flight})
        for colour, flow in then.flows.items()
    }
    return Sample(first.started_at, then.ended_at, flows, then.tasks)


def _by_colour(flows: Mapping[str, Flow], colours: Mapping[str, str]) -> dict[str, Flow]:
    found: dict[str, list[Flow]] = {}
    for arn, flow in flows.items():
        found.setdefault(colours.get(arn, UNROUTED), []).append(flow)
    return {colour: joined(some) for colour, some in found.items()}


def _insert(tx: Transaction, run_id: int, sample: Sample) -> None:
    body: dict[str, Any] = {
        "flows": {colour: asdict(flow) for colour, flow in sample.flows.items()},
        "tasks": {colour: asdict(tasks) for colour, tasks in sample.tasks.items()},
    }
    values = (run_id, sample.started_at, sample.ended_at, json.dumps(body))
    tx.execute("INSERT INTO samples (run_id, started_at, ended_at, body) VALUES (?, ?, ?, ?)", values)


def _sample(row: sqlite3.Row) -> Sample:
    body = read(row["body"])
    return Sample(
        row["started_at"],
        row["ended_at"],
        {colour: Flow(**flow) for colour, flow in body["flows"].items()},
        {colour: Tasks(**tasks) for colour, tasks in body["tasks"].items()},
    )
