"""A receipt as one page that needs nothing else: a picture over time, and the same in tables. Pure.

Everything that a user may have written (names, reasons, messages) is escaped where it enters the page, and the page's
own policy lets no script run but the two that are ours: the charting library's (Apache ECharts, in `echarts/` with its
licence) and `page.js`. Nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import tzinfo
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from turnout.cli.receipt_page.parts import Page
from turnout.cli.receipt_page.picture import picture
from turnout.cli.receipt_page.times import Times

HERE = Path(__file__).parent
GENERATOR = '<meta name="generator" content="turnout receipt">'
"""By which a page of ours is known again."""


def render(document: Mapping[str, Any], now: float, zone: tzinfo | None = None) -> str:
    """The HTML page of a receipt at a time (which matters while the deployment runs), in this machine's time zone."""
    times = Times(document, now, zone)
    page = Page(document, times)
    library, script = _text("echarts/echarts.common.min.js"), _text("page.js")
    return Template(_text("page.html")).substitute(
        generator=GENERATOR,
        policy="; ".join(
            (
                "default-src 'none'",
                "style-src 'unsafe-inline'",
                f"script-src '{_hash(library)}' '{_hash(script)}'",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
        style=_text("page.css"),
        title=page.title,
        header=page.header,
        figures=page.figures,
        key=page.key,
        traffic=page.traffic,
        steps=page.steps,
        facts=page.facts,
        data=_embedded(picture(document, times)),
        library=library,
        script=script,
    )


def _embedded(value: Any) -> str:
    """JSON that neither ends the element that it stands in, nor begins another."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@cache
def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@cache
def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
