"""What the tasks of a service use, as CloudWatch shows it; and a service that is scaled by it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import World
from tests.rooms.scaling import Scaling
from turnout.ecs.instances import machine_resources
from turnout.runtimes import Usage

MIB = 1 << 20


class Used:
    """Two tasks with 256 CPU units and 64 MiB reserved each."""

    def __init__(self, world: World) -> None:
        self.scaling, self.world = Scaling(world), world
        container = {
            "name": "app",
            "image": "shop:1",
            "cpu": 256,
            "memory": 64,
            "portMappings": [{"containerPort": 80, "hostPort": 0}],
        }
        ecs = self.scaling.shop.ecs
        made = ecs.register_task_definition(family="small", containerDefinitions=[container])["taskDefinition"]
        ecs.update_service(cluster="shop", service="web", taskDefinition=made["taskDefinitionArn"])
        world.tick(60)
        world.tick(60 - world.clock.at % 60)
        self.look()

    def look(self) -> None:
        self.world.run(self.world.engine.ecs.metrics.look())
        self.world.tick()

    def minute(self, *cores: float, mib: float = 32) -> None:
        """A minute in which each task uses so many cores; more tasks as much as the last."""
        names = [name for name, one in self.world.runtime.containers.items() if one.state.is_running]
        for number, name in enumerate(sorted(names)):
            former = self.world.runtime.used.get(name, Usage(0.0, 0))
            used = 60 * cores[min(number, len(cores) - 1)]
            self.world.runtime.used[name] = Usage(former.cpu_s + used, int(mib * MIB))
        self.world.tick(60)
        self.look()

    def said(self, metric: str, *statistics: str, service: str | None = "web") -> list[tuple[float, ...]]:
        dimensions = {"ClusterName": "shop"} | ({"ServiceName": service} if service else {})
        points = self.world.boto("cloudwatch").get_metric_statistics(
            Namespace="AWS/ECS",
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=datetime.fromtimestamp(self.world.clock.at - 3600, UTC),
            EndTime=datetime.fromtimestamp(self.world.clock.at + 60, UTC),
            Period=60,
            Statistics=list(statistics),
            Unit="Percent",
        )["Datapoints"]
        points.sort(key=lambda point: point["Timestamp"])
        return [tuple(point[name] for name in statistics) for point in points]


@pytest.fixture
def used(world: World) -> Used:
    return Used(world)


def test_a_service_uses_a_share_of_what_its_tasks_reserve(used: Used) -> None:
    used.minute(0.125, 0.25, mib=16)
    assert used.said("CPUUtilization", "Average", "Minimum", "Maximum", "SampleCount") == [(75, 50, 100, 2)]
    assert used.said("MemoryUtilization", "Average", "SampleCount") == [(25, 2)]


def test_a_cluster_uses_a_share_of_the_machine(used: Used) -> None:
    used.minute(0.25, 0.25, mib=100)
    machine = machine_resources()
    ((cpu,),) = used.said("CPUUtilization", "Average", service=None)
    assert cpu == pytest.approx(100 * 512 / machine["CPU"])
    ((memory,),) = used.said("MemoryUtilization", "Average", service=None)
    assert memory == pytest.approx(100 * 200 / machine["MEMORY"])


def test_what_a_task_used_before_an_engine_looked_is_not_this_minutes(used: Used) -> None:
    used.minute(0.25)
    used.world.reboot()
    used.look()
    used.minute(0.25)
    assert used.said("CPUUtilization", "Maximum") == [(100,), (100,)]


def test_a_service_is_scaled_by_the_cpu_that_it_uses(used: Used) -> None:
    scaling = used.scaling
    scaling.register()
    metric: dict[str, Any] = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    scaling.track(target=50.0, PredefinedMetricSpecification=metric, ScaleInCooldown=0)
    for _ in range(4):
        used.minute(0.25)
    assert scaling.desired() == 4
    for _ in range(17):
        used.minute(0.05)
    described = [activity["Description"] for activity in scaling.activities()]
    assert described == [f"Setting desired count to {count}." for count in (1, 2, 4)]
