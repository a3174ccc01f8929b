"""The parts of a receipt's page that are text: what happened in a sentence, figures, tables. Pure.

Whatever comes out of the document passes `escape` on its way into the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from turnout.cli.receipt_page.times import Times
from turnout.cli.receipt_words import drained, place, reasons, side, switch_s, took_s, waits_for
from turnout.cli.screen import duration, short

GOOD = ("Succeeded", "SUCCESSFUL")
BAD = ("Failed", "Stopped", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")

Document = Mapping[str, Any]


class Page:
    """Each property is HTML."""

    def __init__(self, document: Document, times: Times) -> None:
        self._document = document
        self._times = times

    @property
    def title(self) -> str:
        return f"{self._name}, {escape(self._document['deploymentId'])}"

    @property
    def header(self) -> str:
        document, times = self._document, self._times
        status = document["status"]
        mood = "good" if status in GOOD else "bad" if status in BAD else "going"
        lines = [
            f'<p class="id"><span class="status {mood}">{escape(status)}</span> {escape(document["deploymentId"])}</p>',
            f"<h1>{self._name}</h1>",
            f'<p class="said">{escape(said(document))}</p>',
        ]
        if not document["isFinal"]:
            waits = waits_for(document)
            lines.append(
                f'<p class="note" id="running">This deployment is still running: the page shows it as of'
                f" {escape(times.full(times.now))}.{escape(f' It is at {waits}.') if waits else ''}"
                " Make the page again to see more.</p>"
            )
        if document["speed"] != 1:
            lines.append(f'<p class="note">Configured waits passed {document["speed"]:g} times faster than on AWS.</p>')
        if error := document["error"]:
            lines.append(f'<pre class="error">{escape(error["code"])}: {escape(error["message"])}</pre>')
        return "\n".join(lines)

    @property
    def figures(self) -> str:
        document = self._document
        flows = (document["traffic"] or {}).values()
        seconds = switch_s(document)
        took = took_s(document, self._times.now)
        counted = {
            name: sum(flow[name] for flow in flows) if flows else None for name in ("requests", "failed", "errors")
        }
        tiles = [
            ("requests", _count(counted["requests"]), ""),
            ("failed or lost", _count(counted["failed"]), "bad" if counted["failed"] else ""),
            ("errors of the application (5xx)", _count(counted["errors"]), "warn" if counted["errors"] else ""),
            ("switch, to green's first answer", duration(seconds), ""),
            ("took" if document["isFinal"] else "so far", duration(took), ""),
        ]
        return "\n".join(
            f'<div class="{mood}"><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>' for name, value, mood in tiles
        )

    @property
    def key(self) -> str:
        """Which colour is what."""
        parts = []
        for colour, role in (("blue", "what served"), ("green", "what the deployment brought")):
            what = side(self._document, colour)
            name = what.split("  ")[0] if what else "none"
            parts.append(f'<li class="{colour}"><b>{colour}</b> {escape(role)}: {escape(name)}</li>')
        return "\n".join(parts)

    @property
    def traffic(self) -> str:
        document = self._document
        rows = []
        for colour, flow in (document["traffic"] or {}).items():
            if colour == "unrouted" and not flow["requests"]:
                continue
            latencies = [duration(None if flow[key] is None else flow[key] / 1000) for key in ("p50Ms", "p99Ms")]
            counts = [_count(flow[name]) for name in ("requests", "failed", "errors")]
            cells = "".join(f"<td>{escape(text)}</td>" for text in (*counts, *latencies))
            note = "" if flow["isWhole"] else " (of what is known)"
            rows.append(f'<tr><th scope="row" class="{escape(colour)}">{escape(colour)}{note}</th>{cells}</tr>')
        lines = [f"<p>{escape(text)}</p>" for text in self._remarks()]
        if rows:
            heads = "".join(f'<th scope="col">{name}</th>' for name in ("requests", "failed", "errors", "p50", "p99"))
            lines.insert(0, f'<table class="numbers"><tr><td></td>{heads}</tr>{"".join(rows)}</table>')
        return "\n".join(lines)

    def _remarks(self) -> Iterator[str]:
        document = self._document
        if note := document["trafficNote"]:
            yield f"The last figures are missing: {note}"
        elif not document["traffic"]:
            yield "The traffic was not measured."
        if (switch := document["switch"]) and switch["note"]:
            yield f"No switch time: {switch['note']}."
        if proof := drained(document):
            yield f"{proof[0].upper()}{proof[1:]}."
        if long := document["longConnections"]:
            counts = ", ".join(f"{long[name]} {name}" for name in ("moved", "left", "cut") if long[name] is not None)
            if counts:
                yield f"Long connections ({long['policy']}): {counts}."
        for alarm in document.get("alarms", []):
            yield f"Alarm {alarm['name']} since {self._times.full(alarm['at'])}: {alarm['reason']}"
        if rollback := document["rollback"]:
            yield rollback["message"]

    @property
    def steps(self) -> str:
        rows = []
        for step in self._document["steps"]:
            at = "" if step["startedAt"] is None else self._times.of_day(step["startedAt"])
            took = duration(took_s(step, self._times.now))
            kind = "" if step["isLifecycleEvent"] else ' class="ours"'
            status = escape(step["status"])
            rows.append(
                f'<tr{kind}><td class="time">{escape(at)}</td><th scope="row">{escape(step["name"])}</th>'
                f'<td class="time">{escape(took)}</td><td class="{status}">{status}</td>'
                f"<td>{self._why(step)}</td></tr>"
            )
        heads = "".join(f'<th scope="col">{name}</th>' for name in ("began", "step", "took", "status", "it waited for"))
        return f"<table><tr>{heads}</tr>{''.join(rows)}</table>{self._hooks()}"

    def _hooks(self) -> str:
        """What each hook came to, and the end of what it wrote."""
        parts = []
        for hook in self._document.get("hooks", []):
            what = f"{hook['event']}: {hook['name']} ({hook['kind']}), {hook['status']}"
            why = f": {hook['message']}" if hook["message"] else ""
            output = f"<pre>{escape(hook['output'])}</pre>" if hook["output"] else ""
            parts.append(f"<p>Hook at {escape(what)}{escape(why)}</p>{output}")
        return "".join(parts)

    def _why(self, step: Document) -> str:
        lines = [f"<li><time>{self._times.of_day(at)}</time> {escape(why)}</li>" for at, why in reasons(step)]
        told = f"<ol>{''.join(lines)}</ol>" if lines else ""
        if len(lines) > 3:
            told = f"<details><summary>{len(lines)} reasons</summary>{told}</details>"
        if error := step["error"]:
            told += f'<pre class="error">{escape(error["code"])}: {escape(error["message"])}</pre>'
        return told

    @property
    def facts(self) -> str:
        document = self._document
        service = document["service"]
        facts = (
            ("service", f"{service['cluster']}/{service['name']} in {document['region']}"),
            ("strategy", document["deploymentConfigName"]),
            ("commit", document["commitId"] and short(document["commitId"], 12)),
            ("description", document["description"]),
            ("blue", side(document, "blue")),
            ("green", side(document, "green")),
            ("listener", document["listener"] and document["listener"]["arn"]),
            ("created", f"{self._times.full(document['createdAt'])} by {document['creator']}"),
            ("ended", document["endedAt"] and self._times.full(document["endedAt"])),
        )
        return "\n".join(f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in facts if value)

    @property
    def _name(self) -> str:
        return escape(place(self._document, " / "))


def said(document: Document) -> str:
    """What became of it, in a sentence."""
    status = document["status"]
    if document["creator"] == "codeDeployRollback":
        if status in GOOD:
            return "A rollback: blue, which served before, serves again."
        return "A rollback: it leads the traffic back to blue, which served before."
    if status in GOOD:
        return "Green serves: all traffic has moved to it, and blue is no longer needed."
    if status == "ROLLBACK_SUCCESSFUL" or (document["rollback"] and document["isFinal"]):
        return "Green does not serve: the deployment was given up, and its rollback leads the traffic to blue."
    if status in BAD:
        return "The deployment was given up. Who serves is in the weights below."
    green = document["weights"][-1]["green"] if document["weights"] else 0
    total = sum(document["weights"][-1][colour] for colour in ("blue", "green")) if document["weights"] else 0
    return f"Under way: {round(100 * green / total) if total else 0} % of the traffic goes to green."


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
