"""CloudWatch as far as metrics and alarms are concerned. What is not here (dashboards …), moto answers.

Topics, for whoever has to know of an alarm without asking for it again and again:
  cloudwatch.alarm/{region}/{name}      woken in the transaction that changes an alarm's state, makes or deletes it.
                                        A step looks by DescribeAlarms, then answers `Wait(…, on=that topic)`.
  cloudwatch.evaluate/{region}/{name}   ours: a datapoint has arrived.
Rooms publish into AWS/… with PutMetricData as a service's principal ("elasticloadbalancing.amazonaws.com").
After a crash there is nothing to restore: each alarm's evaluation is a run.
"""

from __future__ import annotations

from turnout.aws import Aws, Others
from turnout.clock import Clock
from turnout.cloudwatch.alarms import Alarms
from turnout.cloudwatch.metrics import Metrics
from turnout.cloudwatch.plans import ActionPlan, EvaluationPlan
from turnout.cloudwatch.states import States
from turnout.cloudwatch.tables import MIGRATIONS as MIGRATIONS
from turnout.cloudwatch.tables import Tables
from turnout.runner import Plan
from turnout.runs import Runs
from turnout.store import Shelf, Store


class CloudWatch(Metrics, Alarms):
    """Shared with moto: an operation without a method here is moto's."""

    SERVICE = "cloudwatch"

    def __init__(self, store: Store, runs: Runs, aws: Aws, clock: Clock, others: Others) -> None:
        self._store = store
        self._runs = runs
        self._clock = clock
        self._others = others
        self._tables = Tables(store)
        self._shelf = Shelf(store, "cloudwatch.alarms")
        self._thinned_at = 0.0
        self._states = States(self._shelf, self._tables, runs, aws, clock)
        self.is_watched = self._tables.is_watched
        """Whether any alarm looks at a metric of a namespace: who publishes is then asked more often."""
        self.plans: list[Plan] = [
            EvaluationPlan(self._shelf, self._tables, self._states, runs, clock),
            ActionPlan(self._tables, runs, aws, clock),
        ]
