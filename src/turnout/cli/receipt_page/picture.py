"""What the page's script draws, as plain lists: times are seconds since the deployment began. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.cli.receipt_page.times import Times
from turnout.cli.receipt_words import reasons

COLOURS = ("blue", "green")

Document = Mapping[str, Any]


def picture(document: Document, times: Times) -> dict[str, Any]:
    """
    began, offset, zone   unix seconds of the zero; seconds from UTC; its name
    end                   seconds from the zero to the end of the axis
    steps                 [{name, isOurs, status, from, to, whys: [[at, why]]}] of those that were begun
    weights               [[at, blue, green]]: percentages from then on
    spans                 [[from, to]] of the samples, and per span:
    blue, green           {rate, failed, errors, p50, p99, inFlight, running, healthy}: rate in requests per second;
                          null where it is not known
    unrouted              {failed}
    """
    samples: Sequence[Document] = document.get("samples") or ()
    return {
        "began": times.began,
        "offset": times.offset_s,
        "zone": times.zone_name,
        "end": max(0.001, times.since(times.ends)),
        "steps": [_step(step, times) for step in document["steps"] if step["startedAt"] is not None],
        "weights": [_percentages(change, times) for change in document["weights"]],
        "spans": [[times.since(sample["startedAt"]), times.since(sample["endedAt"])] for sample in samples],
        **{colour: _series(samples, colour) for colour in COLOURS},
        "unrouted": {"failed": [sample.get("unrouted", {}).get("failed", 0) for sample in samples]},
    }


def _step(step: Document, times: Times) -> dict[str, Any]:
    return {
        "name": step["name"],
        "isOurs": not step["isLifecycleEvent"],
        "status": step["status"],
        "from": times.since(step["startedAt"]),
        "to": times.since(times.ends if step["endedAt"] is None else step["endedAt"]),
        "whys": [[times.since(at), why] for at, why in reasons(step)],
    }


def _percentages(change: Document, times: Times) -> list[float]:
    total = change["blue"] + change["green"]
    shares = [round(100 * change[colour] / total, 2) if total else 0 for colour in COLOURS]
    return [max(0.0, times.since(change["at"])), *shares]


def _series(samples: Sequence[Document], colour: str) -> dict[str, list[Any]]:
    """A colour that there is not (the first deployment has no blue) has no values."""
    found = [sample.get(colour) or {} for sample in samples]
    spans = [sample["endedAt"] - sample["startedAt"] for sample in samples]
    rates = [
        None if span <= 0 or "requests" not in one else round(one["requests"] / span, 2)
        for one, span in zip(found, spans, strict=True)
    ]
    members = {"p50": "p50Ms", "p99": "p99Ms"} | {
        name: name for name in ("failed", "errors", "inFlight", "running", "healthy")
    }
    return {"rate": rates, **{name: [one.get(member) for one in found] for name, member in members.items()}}
