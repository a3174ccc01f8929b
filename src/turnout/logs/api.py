"""CloudWatch Logs as far as lines are concerned: streams and events. What is not here, moto answers."""

from __future__ import annotations

from turnout.logs.events import Events
from turnout.logs.tables import MIGRATIONS as MIGRATIONS


class Logs(Events):
    """Shared with moto: an operation without a method here is moto's."""

    SERVICE = "logs"
