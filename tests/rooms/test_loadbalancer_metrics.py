"""What the load balancer publishes of its traffic, as CloudWatch shows it."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import World
from tests.rooms.test_loadbalancer import Stack
from turnout.loadbalancer.picture import group_name
from turnout.loadbalancer.proxy import Failure, GroupCounters, GroupMeter, PortMeter
from turnout.names import resource_of

OK = (0, 0, 0, 0)


class Watched:
    """A stack whose proxy has carried what a test says, and the statistics of a metric."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.world = stack, stack.world
        self.balancer = resource_of(stack.balancer_arn).removeprefix("loadbalancer/")
        self.group = resource_of(stack.blue)
        self.name = group_name(stack.blue)
        self.began = self.world.clock.at

    def carry(
        self, answers: tuple[int, int, int, int], *, latency: dict[float, int] | None = None, cx: int = 0
    ) -> None:
        """What the proxy has counted for blue since it started."""
        done = sum(answers)
        self.world.proxy.metered[self.name] = GroupMeter(done, answers, cx, min(cx, 1))
        buckets = tuple((latency or {}).items())
        self.world.proxy.counted[self.name] = GroupCounters(done, done, 0, answers[3], buckets)

    def look(self, seconds: float = 0.0) -> None:
        self.world.tick(seconds)
        self.world.run(self.world.engine.loadbalancer.metrics.look())
        self.world.tick()

    def minute(self) -> None:
        """To the look behind the end of this minute."""
        self.look(60 - self.world.clock.at % 60)

    def said(
        self, metric: str, statistic: str = "Sum", *, by: str = "balancer", unit: str | None = None
    ) -> list[float]:
        """The statistic of each minute that has a datapoint, oldest first."""
        named = {"LoadBalancer": self.balancer, "TargetGroup": self.group}
        wanted = {"balancer": ["LoadBalancer"], "group": ["TargetGroup"], "both": ["TargetGroup", "LoadBalancer"]}[by]
        is_percentile = statistic.startswith("p")
        asked: dict[str, Any] = {"ExtendedStatistics" if is_percentile else "Statistics": [statistic]}
        points = self.world.boto("cloudwatch").get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": named[name]} for name in wanted],
            StartTime=datetime.fromtimestamp(self.began - 3600, UTC),
            EndTime=datetime.fromtimestamp(self.world.clock.at + 60, UTC),
            Period=60,
            **asked,
            **({"Unit": unit} if unit else {}),
        )["Datapoints"]
        points.sort(key=lambda point: point["Timestamp"])
        return [point["ExtendedStatistics"][statistic] if is_percentile else point[statistic] for point in points]

    def alarm(self, **more: Any) -> None:
        dimensions = [{"Name": "LoadBalancer", "Value": self.balancer}, {"Name": "TargetGroup", "Value": self.group}]
        given = {
            "AlarmName": "errors",
            "Namespace": "AWS/ApplicationELB",
            "MetricName": "HTTPCode_Target_5XX_Count",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
        }
        self.world.boto("cloudwatch").put_metric_alarm(**given | more, Dimensions=dimensions)
        self.world.tick()

    def state(self) -> str:
        (alarm,) = self.world.boto("cloudwatch").describe_alarms()["MetricAlarms"]
        return str(alarm["StateValue"])


@pytest.fixture
def watched(world: World) -> Watched:
    stack = Stack(world)
    stack.register(stack.blue, 4001, 4003)
    stack.weigh(blue=100, green=0)
    watched = Watched(stack)
    watched.carry(OK)
    world.tick(60 - world.clock.at % 60)
    watched.look()  # the first look of a home counts nothing
    return watched


def test_requests_are_published_each_minute_by_load_balancer_and_by_target_group(watched: Watched) -> None:
    watched.carry((90, 4, 5, 1))
    watched.look(30)
    assert watched.said("RequestCount") == [], "a minute that nobody watches is published at its end"
    watched.minute()
    for by in ("balancer", "both"):
        assert watched.said("RequestCount", by=by) == [100]
        codes = [watched.said(f"HTTPCode_Target_{code}XX_Count", by=by) for code in (2, 3, 4, 5)]
        assert codes == [[90], [4], [5], [1]]
        assert watched.said("HTTPCode_Target_2XX_Count", "Average", by=by) == [1], "as on AWS, each answer is a 1"
    assert watched.said("RequestCountPerTarget", by="group") == watched.said("RequestCountPerTarget", by="both") == [50]
    assert watched.said("HealthyHostCount", "Average", by="both")[-1] == 2
    assert watched.said("UnHealthyHostCount", "Average", by="both")[-1] == 0


def test_a_minute_without_requests_is_zero_requests_and_no_answers(watched: Watched) -> None:
    watched.minute()
    watched.minute()
    assert watched.said("RequestCount") == [0, 0]
    assert watched.said("RequestCountPerTarget", by="group") == [0, 0]
    assert watched.said("HTTPCode_Target_5XX_Count") == []
    assert watched.said("TargetResponseTime", "Average") == []


def test_response_times_have_percentiles_in_seconds(watched: Watched) -> None:
    watched.carry((98, 0, 0, 0), latency={5.5: 98})
    watched.minute()
    watched.carry((198, 0, 0, 0), latency={5.5: 188, 900.0: 10})
    watched.minute()
    assert watched.said("TargetResponseTime", "p99", by="both", unit="Seconds") == [0.0055, 0.9]
    assert watched.said("TargetResponseTime", "p50") == [0.0055, 0.0055]
    assert watched.said("TargetResponseTime", "SampleCount") == [98, 100]


def test_what_the_balancer_answered_by_itself_is_not_the_targets(watched: Watched) -> None:
    proxy, listener = watched.world.proxy, watched.stack.listener
    watched.carry((10, 0, 0, 6))
    proxy.failed += [
        Failure(listener, watched.name, 502, "UF", True),
        Failure(listener, watched.name, 504, "UT", True),
        Failure(listener, watched.name, 503, "UH", True),
        Failure(listener, "", 503, "-", True),
        Failure(listener, watched.name, 200, "UC", False),
    ]
    watched.minute()
    assert watched.said("HTTPCode_Target_5XX_Count", by="both") == [3]
    assert watched.said("HTTPCode_ELB_5XX_Count") == [4]
    assert [watched.said(f"HTTPCode_ELB_{code}_Count") for code in (502, 503, 504)] == [[1], [2], [1]]
    assert watched.said("TargetConnectionErrorCount", by="both") == [1]
    assert watched.said("RequestCount") == [15], "without a target nobody is asked"


def test_a_log_that_comes_late_is_made_good(watched: Watched) -> None:
    watched.alarm(Threshold=1000)
    watched.carry((0, 0, 0, 3))
    watched.look(1)
    watched.world.proxy.failed.append(Failure(watched.stack.listener, watched.name, 502, "UF", True))
    watched.look(1)
    watched.carry((0, 0, 0, 5))
    watched.look(1)
    assert watched.said("HTTPCode_Target_5XX_Count") == [4]


def test_an_alarm_is_told_within_a_second(watched: Watched) -> None:
    watched.alarm()
    watched.look(10)
    watched.carry((50, 0, 0, 1))
    watched.look(1)
    assert watched.state() == "ALARM"


def test_an_alarm_on_hosts_is_told_when_one_falls_ill(watched: Watched) -> None:
    watched.alarm(MetricName="UnHealthyHostCount", Statistic="Maximum")
    watched.world.proxy.health["127.0.0.1:4003"] = ("unhealthy", "Target.Timeout", "Request timed out")
    watched.world.proxy.check()
    watched.look(1)
    assert watched.state() == "ALARM"
    assert watched.said("HealthyHostCount", "Minimum", by="both")[-1] == 1


def test_connections_of_clients_and_to_targets(watched: Watched) -> None:
    watched.carry((9, 0, 0, 0), cx=3)
    watched.world.proxy.ports[80] = PortMeter(connections=7, open_connections=2)
    watched.minute()
    assert watched.said("NewConnectionCount") == [10]
    assert watched.said("ActiveConnectionCount") == [3]


def test_nothing_is_counted_twice_and_nothing_lost_when_the_engine_is_killed(watched: Watched) -> None:
    watched.carry((40, 0, 0, 2), latency={1.5: 42})
    watched.minute()
    watched.carry((70, 0, 0, 2), latency={1.5: 72})
    watched.world.reboot()
    watched.look(600)
    watched.look(1)
    assert watched.said("RequestCount") == [42, 30], "what was served meanwhile counts where the engine went down"
    assert watched.said("TargetResponseTime", "SampleCount") == [42, 30]
    assert watched.said("HTTPCode_Target_5XX_Count") == [2]


class Killed(BaseException):
    """SIGKILL at a point."""


def test_a_look_counts_once_wherever_the_engine_is_killed_in_it(watched: Watched) -> None:
    """Before and after each of its commits."""
    watched.alarm(Threshold=1000)
    done, fatal, was_killed = 0, 0, True
    while was_killed:
        fatal, was_killed, points = fatal + 1, False, 0

        def die(point: str, fatal: int = fatal) -> None:
            nonlocal points
            points += 1
            if points == fatal:
                raise Killed(point)

        done += 10
        watched.carry((done, 0, 0, 0), latency={1.5: done})
        watched.world.tick(1)
        watched.world.fuse = die
        try:
            watched.world.run(watched.world.engine.loadbalancer.metrics.look())
        except Killed:
            was_killed = True
        watched.world.fuse = lambda point: None
        watched.world.reboot()
        watched.look()
        assert sum(watched.said("RequestCount")) == done, f"killed at point {fatal}"
        assert sum(watched.said("TargetResponseTime", "SampleCount")) == done
    assert fatal > 4


def test_counters_begin_anew_with_another_envoy(watched: Watched) -> None:
    watched.carry((40, 0, 0, 2), latency={1.5: 42})
    watched.minute()
    watched.world.proxy.epoch = "2"
    watched.carry((10, 0, 0, 1), latency={1.5: 11})
    watched.minute()
    assert watched.said("RequestCount") == [42, 11]
    assert watched.said("HTTPCode_Target_5XX_Count") == [2, 1]
    assert watched.said("TargetResponseTime", "SampleCount") == [42, 11]


def test_what_could_not_be_written_down_is_published_by_the_next_look(watched: Watched) -> None:
    watched.carry((90, 4, 5, 1))

    def full(point: str) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    watched.world.tick(60 - watched.world.clock.at % 60)
    watched.world.fuse = full
    with pytest.raises(sqlite3.OperationalError):
        watched.world.run(watched.world.engine.loadbalancer.metrics.look())
    watched.world.fuse = lambda point: None
    watched.look()
    assert watched.said("RequestCount") == [100]
