"""Metrics: PutMetricData, ListMetrics, GetMetricStatistics, GetMetricData.

Without a clock that is faster (`--speed`) a datapoint's span is its StorageResolution, as on AWS; with one, spans are
as much shorter as waits are, so that an alarm on a minute is rehearsed in a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.aws import Answer, Call
from turnout.clock import Clock
from turnout.cloudwatch.points import STATISTICS, Point, merge, percent_of, point_of, statistic
from turnout.cloudwatch.tables import LISTED_S, Tables, dimensions_key
from turnout.errors import AwsError
from turnout.jsontext import read
from turnout.runs import Runs
from turnout.store import Store

MOST_DATAPOINTS = 1440
MOST_LISTED = 500
MAX_AGE_S = 14 * 86_400.0
MAX_AHEAD_S = 2 * 3600.0
THIN_EVERY_S = 3600.0
SERVICE_PRINCIPAL = ".amazonaws.com"
"""How the principal of a room that publishes into AWS/… ends: elasticloadbalancing.amazonaws.com."""


class Metrics:
    _store: Store
    _runs: Runs
    _clock: Clock
    _tables: Tables
    _thinned_at: float

    def put_metric_data(self, call: Call) -> Answer:
        """Durable when it returns, once for the same cause; the alarms of these metrics are evaluated at once."""
        namespace = call["Namespace"]
        if namespace.startswith("AWS/") and not call.principal.endswith(SERVICE_PRINCIPAL):
            raise AwsError("InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid.")
        if call.get("EntityMetricData"):
            raise AwsError("InvalidParameterValue", "turnout keeps no entities: put MetricData instead.")
        now = self._clock.now()
        read = [
            (datum, _point(datum, i), _time(datum, i, now)) for i, datum in enumerate(call.get("MetricData") or (), 1)
        ]
        if not read:
            raise AwsError("MissingParameter", "The parameter MetricData is required.")
        with self._store.transaction() as tx:
            if call.cause is not None and not self._tables.is_new(tx, call.cause, now):
                return {}
            for datum, point, at in read:
                step = self._clock.scaled_s(1.0 if datum.get("StorageResolution") == 1 else 60.0)
                key = (call.region, namespace, datum["MetricName"], dimensions_key(datum.get("Dimensions")))
                self._tables.add(tx, key, at // step * step, step, datum.get("Unit", "None"), point)
                for alarm in self._tables.watchers(key):
                    self._runs.wake(tx, evaluate_topic(call.region, alarm))
            if now >= self._thinned_at + THIN_EVERY_S:
                self._tables.thin(tx, now)
                tx.after_commit(lambda: setattr(self, "_thinned_at", now))
        return {}

    def list_metrics(self, call: Call) -> Answer:
        wanted = [(d["Name"], d.get("Value")) for d in call.get("Dimensions") or ()]
        since = 3 * 3600.0 if call.get("RecentlyActive") else LISTED_S
        found = []
        for row in self._tables.series(
            call.region, call.get("Namespace"), call.get("MetricName"), self._clock.now() - since
        ):
            dimensions = dict(read(row["dimensions"]))
            if all(name in dimensions and value in (None, dimensions[name]) for name, value in wanted):
                described = [{"Name": name, "Value": value} for name, value in dimensions.items()]
                found.append({"Namespace": row["namespace"], "MetricName": row["name"], "Dimensions": described})
        page, token = paged(found, call.get("NextToken"), MOST_LISTED)
        return {"Metrics": page, "NextToken": token}

    def get_metric_statistics(self, call: Call) -> Answer:
        names, extended = call.get("Statistics") or [], call.get("ExtendedStatistics") or []
        if bool(names) == bool(extended):
            raise AwsError("InvalidParameterCombination", "Exactly one of Statistics and ExtendedStatistics is needed.")
        for name in extended:
            percent_of(name)
        start, end, period = call["StartTime"], call["EndTime"], call["Period"]
        check_span(start, end, period)
        if (end - start) / period > MOST_DATAPOINTS:
            raise AwsError(
                "InvalidParameterCombination",
                f"You have requested up to {int((end - start) / period):,} datapoints, which exceeds the limit of"
                f" {MOST_DATAPOINTS:,}. You may reduce the datapoints requested by increasing Period, or decreasing the"
                " time range.",
            )
        key = (call.region, call["Namespace"], call["MetricName"], dimensions_key(call.get("Dimensions")))
        datapoints = []
        for (at, unit), point in self._by_period(key, start, end, period, call.get("Unit")).items():
            datapoint: dict[str, Any] = {"Timestamp": at, "Unit": unit}
            datapoint |= {name: statistic(point, name) for name in names}
            percentiles = {name: value for name in extended if (value := statistic(point, name)) is not None}
            if extended:
                if not percentiles:
                    continue
                datapoint["ExtendedStatistics"] = percentiles
            datapoints.append(datapoint)
        return {"Label": call["MetricName"], "Datapoints": datapoints}

    def get_metric_data(self, call: Call) -> Answer:
        """MetricStat queries; metric math and Metrics Insights are refused."""
        queries, start, end = call["MetricDataQueries"], call["StartTime"], call["EndTime"]
        if len({query["Id"] for query in queries}) < len(queries):
            raise AwsError("ValidationError", "The values for parameter id in MetricDataQueries are not unique.")
        results = []
        for query in queries:
            stat = query.get("MetricStat")
            if query.get("Expression") or stat is None:
                raise AwsError(
                    "ValidationError",
                    f"MetricDataQueries {query['Id']}: turnout reads MetricStat queries only, no Expression. Ask for"
                    " the metrics and compute the expression yourself.",
                )
            if query.get("ReturnData") is False:
                continue
            metric, period, name = stat["Metric"], stat["Period"], stat["Stat"]
            if name not in STATISTICS:
                percent_of(name)
            check_span(start, end, period)
            key = (
                call.region,
                metric.get("Namespace", ""),
                metric.get("MetricName", ""),
                dimensions_key(metric.get("Dimensions")),
            )
            points = self._by_period(key, start, end, period, stat.get("Unit"))
            found = [(at, v) for (at, _), point in points.items() if (v := statistic(point, name)) is not None]
            if call.get("ScanBy") != "TimestampAscending":
                found.reverse()
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or metric.get("MetricName", ""),
                    "Timestamps": [at for at, _ in found],
                    "Values": [value for _, value in found],
                    "StatusCode": "Complete",
                }
            )
        return {"MetricDataResults": results, "Messages": []}

    def _by_period(
        self, key: tuple[str, str, str, str], start: float, end: float, period: int, unit: str | None
    ) -> Mapping[tuple[float, str], Point]:
        """(start of the period, unit) → datapoint. Periods begin at whole multiples of themselves."""
        groups: dict[tuple[float, str], list[Point]] = {}
        for at, found, point in self._tables.points(key, start // period * period, end, unit):
            groups.setdefault((at // period * period, found), []).append(point)
        return {place: whole for place, points in groups.items() if (whole := merge(points)) is not None}


def evaluate_topic(region: str, alarm: str) -> str:
    """Woken when an alarm has reason to be evaluated."""
    return f"cloudwatch.evaluate/{region}/{alarm}"


def check_span(start: float, end: float, period: int) -> None:
    if start >= end:
        raise AwsError("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
    check_period(period)


def check_period(period: int) -> None:
    if period not in (1, 5, 10, 20, 30) and (period < 60 or period % 60):
        raise AwsError("InvalidParameterValue", f"Period must be 1, 5, 10, 20, 30 or a multiple of 60, not {period}.")


def paged(items: Sequence[Any], token: str | None, size: int) -> tuple[list[Any], str | None]:
    """One page, and the token of the next. Raises AwsError InvalidNextToken."""
    if token is not None and not token.isdecimal():
        raise AwsError("InvalidNextToken", f"The next token is not valid: {token}")
    start = int(token or 0)
    return list(items[start : start + size]), str(start + size) if start + size < len(items) else None


def _point(datum: Mapping[str, Any], number: int) -> Point:
    where = f"MetricData.member.{number}"
    given = [name for name in ("Value", "StatisticValues", "Values") if datum.get(name) is not None]
    if len(given) != 1:
        raise AwsError(
            "InvalidParameterCombination",
            f"{where}: exactly one of Value, StatisticValues and Values must be given, not {given or 'none'}.",
        )
    if datum.get("StorageResolution") not in (None, 1, 60):
        raise AwsError("InvalidParameterValue", f"{where}.StorageResolution must be 1 or 60.")
    dimensions = [d["Name"] for d in datum.get("Dimensions") or ()]
    if len(set(dimensions)) < len(dimensions):
        raise AwsError("InvalidParameterValue", f"{where}.Dimensions name one dimension twice.")
    if given == ["Value"]:
        return point_of({_finite(datum["Value"], where): 1.0})
    if given == ["Values"]:
        values, counts = datum["Values"], datum.get("Counts") or [1.0] * len(datum["Values"])
        if len(values) != len(counts) or not values or min(counts) <= 0:
            raise AwsError("InvalidParameterValue", f"{where}: there must be one positive count for each value.")
        together: dict[float, float] = {}
        for value, count in zip(values, counts, strict=True):
            together[_finite(value, where)] = together.get(value, 0.0) + count
        return point_of(together)
    sums = datum["StatisticValues"]
    count, total, least, most = (_finite(sums[name], where) for name in ("SampleCount", "Sum", "Minimum", "Maximum"))
    if count <= 0 or least > most:
        raise AwsError("InvalidParameterValue", f"{where}.StatisticValues contradict themselves.")
    # Only then is every value known.
    return Point(count, total, least, most, {least: count} if least == most else None)


def _finite(value: float, where: str) -> float:
    if not -(2.0**360) <= value <= 2.0**360:  # not NaN, neither
        raise AwsError("InvalidParameterValue", f"{where}: the value {value} is not from -2^360 to 2^360.")
    return float(value)


def _time(datum: Mapping[str, Any], number: int, now: float) -> float:
    at = float(datum.get("Timestamp", now))
    if not now - MAX_AGE_S <= at <= now + MAX_AHEAD_S:
        raise AwsError(
            "InvalidParameterValue",
            f"MetricData.member.{number}.Timestamp must be from two weeks ago to two hours ahead.",
        )
    return at
