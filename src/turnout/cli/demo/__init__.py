"""demo: four releases of the example under load, each a real commit and a real push, and a truthful table."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", envvar="KEEP", help="Leave it running at the end, and say where.")
    ] = False,
) -> None:
    """Watch four releases of a small application under load: no request is lost, and a broken one is rolled back."""
    # Only here: `turnout --help` has no use for an event loop.
    from turnout.cli.demo.story import tell

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    raise SystemExit(tell(keep=keep))
