"""A service that scales, in a whole world, and the metric that it is scaled by."""

from __future__ import annotations

from typing import Any

from tests.conftest import World
from tests.rooms.shifting import Shop

RESOURCE = "service/shop/web"
TARGET = {"ServiceNamespace": "ecs", "ResourceId": RESOURCE, "ScalableDimension": "ecs:service:DesiredCount"}
METRIC = {"Namespace": "shop", "MetricName": "Jobs", "Statistic": "Average"}


class Scaling:
    """Two tasks, between 1 and 8; `load` puts the metric of a minute and lets it pass."""

    def __init__(self, world: World, strategy: str = "ROLLING") -> None:
        self.world = world
        self.shop = Shop(world)
        if strategy == "ROLLING":
            self.shop.ecs.create_service(
                cluster="shop",
                serviceName="web",
                taskDefinition=self.shop.register(),
                desiredCount=2,
                loadBalancers=[
                    {"targetGroupArn": self.shop.blue, "containerName": "app", "containerPort": 80},
                ],
            )
        else:
            self.shop.create(strategy)
        world.tick(60 - world.clock.at % 60)

    @property
    def client(self) -> Any:
        return self.world.boto("application-autoscaling")

    def register(self, **more: Any) -> dict[str, Any]:
        answer = self.client.register_scalable_target(**{**TARGET, "MinCapacity": 1, "MaxCapacity": 8, **more})
        return dict(answer)

    def track(self, name: str = "jobs", target: float = 10.0, **more: Any) -> dict[str, Any]:
        """A policy on the average of Jobs, unless `more` names another metric."""
        given = {"TargetValue": target, **more}
        if "PredefinedMetricSpecification" not in given:
            given.setdefault("CustomizedMetricSpecification", METRIC)
        answer = self.client.put_scaling_policy(
            **TARGET,
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=given,
        )
        self.world.tick()
        return dict(answer)

    def load(self, value: float, minutes: int = 1, name: str = "Jobs") -> None:
        cloudwatch = self.world.boto("cloudwatch")
        for _ in range(minutes):
            cloudwatch.put_metric_data(Namespace="shop", MetricData=[{"MetricName": name, "Value": value}])
            self.world.tick(60)

    def desired(self) -> int:
        return int(self.shop.service()["desiredCount"])

    def activities(self, **more: Any) -> list[dict[str, Any]]:
        found = self.client.describe_scaling_activities(ServiceNamespace="ecs", ResourceId=RESOURCE, **more)
        activities: list[dict[str, Any]] = found["ScalingActivities"]
        return activities

    def alarms(self) -> dict[str, dict[str, Any]]:
        """ "High" and "Low" → the alarm of a policy."""
        found = self.world.boto("cloudwatch").describe_alarms(AlarmNamePrefix=f"TargetTracking-{RESOURCE}-")
        return {"High" if "AlarmHigh" in a["AlarmName"] else "Low": a for a in found["MetricAlarms"]}
