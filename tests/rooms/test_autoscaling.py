"""Application Auto Scaling of a service: alarms that are real, counts that follow, activities that say why."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.rooms.scaling import METRIC, RESOURCE, TARGET, Scaling
from turnout.autoscaling.readings import Readings
from turnout.loadbalancer.picture import group_name
from turnout.loadbalancer.proxy import GroupMeter
from turnout.names import resource_of


@pytest.fixture
def scaling(world: World) -> Scaling:
    scaling = Scaling(world)
    scaling.register()
    return scaling


def test_a_target_tracking_policy_makes_the_alarms_that_aws_makes(scaling: Scaling) -> None:
    made = scaling.track(
        target=50.0, PredefinedMetricSpecification={"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    )
    alarms = scaling.alarms()
    assert {alarm["AlarmName"] for alarm in made["Alarms"]} == {alarm["AlarmName"] for alarm in alarms.values()}
    high, low = alarms["High"], alarms["Low"]
    dimensions = [{"Name": "ClusterName", "Value": "shop"}, {"Name": "ServiceName", "Value": "web"}]
    for alarm in (high, low):
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/ECS", "CPUUtilization", "Average")
        assert alarm["Dimensions"] == dimensions
        assert alarm["AlarmActions"] == [made["PolicyARN"]]
    assert (high["Threshold"], high["EvaluationPeriods"], high["ComparisonOperator"]) == (50, 3, "GreaterThanThreshold")
    assert (low["Threshold"], low["EvaluationPeriods"], low["ComparisonOperator"]) == (45, 15, "LessThanThreshold")


def test_three_minutes_above_the_target_bring_as_many_tasks_as_the_metric_asks_for(scaling: Scaling) -> None:
    scaling.track()
    scaling.load(25, 2)
    assert scaling.desired() == 2
    scaling.load(25)
    assert scaling.desired() == 5
    scaling.world.tick(5)
    (activity,) = scaling.activities()
    assert (activity["Description"], activity["StatusCode"]) == ("Setting desired count to 5.", "Successful")
    assert activity["StatusMessage"] == "Successfully set desired count to 5. Change successfully fulfilled by ecs."
    name = scaling.alarms()["High"]["AlarmName"]
    assert activity["Cause"] == f"monitor alarm {name} in state ALARM triggered policy jobs"
    history = scaling.world.boto("cloudwatch").describe_alarm_history(AlarmName=name, HistoryItemType="Action")
    assert history["AlarmHistoryItems"][0]["HistorySummary"].startswith("Successfully executed action")


def test_fifteen_minutes_below_bring_fewer_and_never_below_the_minimum(scaling: Scaling) -> None:
    scaling.register(MinCapacity=1)
    scaling.shop.ecs.update_service(cluster="shop", service="web", desiredCount=6)
    scaling.track()
    scaling.load(4, 14)
    assert scaling.desired() == 6
    scaling.load(4, 1)
    assert scaling.desired() == 3
    scaling.load(0, 10)
    assert scaling.desired() == 1
    scaling.load(0, 10)
    assert scaling.desired() == 1
    assert [activity["Description"] for activity in scaling.activities()] == [
        "Setting desired count to 1.",
        "Setting desired count to 3.",
    ]
    (idle, *_) = scaling.activities(IncludeNotScaledActivities=True)
    assert idle["NotScaledReasons"] == [{"Code": "AlreadyAtMinCapacity", "MinCapacity": 1, "CurrentCapacity": 1}]


def test_within_a_cooldown_only_a_larger_scale_out_happens(scaling: Scaling) -> None:
    scaling.track(ScaleOutCooldown=600)
    scaling.load(15, 3)
    assert scaling.desired() == 3
    scaling.load(10.5, 3)
    assert scaling.desired() == 4, "3 * 10.5 / 10 is more than 3: a larger scale out"
    scaling.load(10.0, 2)
    assert scaling.desired() == 4


def test_a_task_that_starts_slowly_is_not_answered_by_ever_more(scaling: Scaling) -> None:
    scaling.world.proxy.refusing = set(range(1, 65536))
    scaling.track(ScaleOutCooldown=0)
    scaling.load(25, 3)
    assert scaling.desired() == 5
    scaling.load(25, 1)
    assert scaling.desired() <= 8
    assert scaling.desired() in (5, 8)


def test_the_maximum_holds_and_is_told(scaling: Scaling) -> None:
    scaling.register(MaxCapacity=3)
    scaling.track(ScaleOutCooldown=0)
    scaling.load(100, 5)
    assert scaling.desired() == 3
    (idle, done) = scaling.activities(IncludeNotScaledActivities=True)
    assert done["Description"] == "Setting desired count to 3."
    assert idle["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 3, "CurrentCapacity": 3}]


def test_suspended_scaling_does_nothing_until_it_is_resumed(scaling: Scaling) -> None:
    scaling.track()
    scaling.register(SuspendedState={"DynamicScalingOutSuspended": True})
    scaling.load(25, 5)
    assert scaling.desired() == 2
    scaling.register(SuspendedState={"DynamicScalingOutSuspended": False})
    scaling.world.tick()
    assert scaling.desired() == 5


def test_of_two_policies_the_one_that_wants_more_has_its_way(scaling: Scaling) -> None:
    scaling.track()
    orders = {"Namespace": "shop", "MetricName": "Orders", "Statistic": "Average"}
    scaling.track("orders", CustomizedMetricSpecification=orders)
    for _ in range(16):
        scaling.world.boto("cloudwatch").put_metric_data(
            Namespace="shop", MetricData=[{"MetricName": "Orders", "Value": 10}, {"MetricName": "Jobs", "Value": 1}]
        )
        scaling.world.tick(60)
    assert scaling.desired() == 2, "one of them would scale in, the other is content"


def test_steps_follow_how_far_the_alarm_is_crossed(scaling: Scaling) -> None:
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 3},
    ]
    policy = scaling.client.put_scaling_policy(
        **TARGET,
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={"AdjustmentType": "ChangeInCapacity", "StepAdjustments": steps, "Cooldown": 60},
    )["PolicyARN"]
    scaling.world.boto("cloudwatch").put_metric_alarm(
        AlarmName="jobs",
        Namespace="shop",
        MetricName="Jobs",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=10,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[policy],
    )
    (told,) = scaling.client.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    assert [alarm["AlarmName"] for alarm in told["Alarms"]] == ["jobs"]
    scaling.load(12)
    assert scaling.desired() == 3
    scaling.world.tick(30)
    scaling.load(30)
    assert scaling.desired() == 6


def test_requests_per_target_scale_by_what_the_balancer_counts(world: World) -> None:
    scaling = Scaling(world)
    scaling.register()
    (balancer,) = scaling.shop.elb.describe_load_balancers()["LoadBalancers"]
    label = "/".join(
        (resource_of(balancer["LoadBalancerArn"]).removeprefix("loadbalancer/"), resource_of(scaling.shop.blue))
    )
    scaling.track(
        target=100.0,
        PredefinedMetricSpecification={"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label},
    )
    done = 0
    for _ in range(4):
        world.run(world.engine.loadbalancer.metrics.look())
        done += 500
        world.proxy.metered[group_name(scaling.shop.blue)] = GroupMeter(done, (done, 0, 0, 0))
        world.tick(60)
    world.run(world.engine.loadbalancer.metrics.look())
    world.tick(1)
    assert scaling.desired() == 5, "500 a minute on two tasks, to be 100 on each"


def test_requests_are_only_counted_where_the_load_balancer_leads_to_the_target_group(world: World) -> None:
    """AWS refuses the policy as well: its alarms would never see a datapoint."""
    scaling = Scaling(world)
    scaling.register()
    (balancer,) = scaling.shop.elb.describe_load_balancers()["LoadBalancers"]
    name = resource_of(balancer["LoadBalancerArn"]).removeprefix("loadbalancer/")
    asked = {"Name": "idle", "Protocol": "HTTP", "Port": 80, "VpcId": scaling.shop.vpc}
    idle = scaling.shop.elb.create_target_group(**asked)["TargetGroups"][0]
    labels = (
        f"{name}/{resource_of(idle['TargetGroupArn'])}",
        f"app/other/0123456789abcdef/{resource_of(scaling.shop.blue)}",
    )
    for label in labels:
        metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
        with pytest.raises(ClientError, match=r"ValidationException.*does not route traffic to the target group"):
            scaling.track(target=100.0, PredefinedMetricSpecification=metric)
    assert scaling.client.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []


def test_scaling_in_waits_for_the_end_of_a_deployment_and_scaling_out_does_not(world: World) -> None:
    scaling = Scaling(world, "BLUE_GREEN")
    scaling.register()
    scaling.shop.ecs.update_service(cluster="shop", service="web", desiredCount=4)
    world.tick(60)
    scaling.track(ScaleInCooldown=0)
    configuration = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 60}
    scaling.shop.deploy(deploymentConfiguration=configuration)
    world.tick(60 - world.clock.at % 60)
    scaling.load(1, 20)
    assert scaling.desired() == 4
    scaling.load(15, 3)
    assert scaling.desired() == 6
    scaling.load(1, 60)
    assert scaling.desired() < 6


def test_requests_are_followed_to_the_group_that_serves(world: World) -> None:
    scaling = Scaling(world, "BLUE_GREEN")
    scaling.register()
    (balancer,) = scaling.shop.elb.describe_load_balancers()["LoadBalancers"]
    balancer_name = resource_of(balancer["LoadBalancerArn"]).removeprefix("loadbalancer/")
    label = f"{balancer_name}/{resource_of(scaling.shop.blue)}"
    metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
    scaling.track(target=100.0, PredefinedMetricSpecification=metric)
    scaling.shop.deploy(deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0})
    world.tick(300)
    for alarm in scaling.alarms().values():
        groups = [d["Value"] for d in alarm["Dimensions"] if d["Name"] == "TargetGroup"]
        assert groups == [resource_of(scaling.shop.green)]


def test_what_is_deregistered_takes_its_policies_and_alarms_along(scaling: Scaling) -> None:
    scaling.track()
    scaling.world.reboot()
    assert len(scaling.alarms()) == 2
    scaling.client.deregister_scalable_target(**TARGET)
    assert scaling.alarms() == {}
    assert scaling.client.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []
    assert scaling.client.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
    scaling.world.tick(60)
    assert scaling.world.runs.of_kind("autoscaling.target") == []


def test_a_service_that_is_deleted_is_a_target_no_more(scaling: Scaling) -> None:
    scaling.track()
    scaling.shop.ecs.delete_service(cluster="shop", service="web", force=True)
    scaling.world.tick(61)
    assert scaling.client.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
    assert scaling.alarms() == {}


def test_a_policy_that_is_put_again_keeps_its_arn_and_alarms_that_were_deleted_come_back(scaling: Scaling) -> None:
    first = scaling.track()
    again = scaling.track(target=20.0)
    assert again == {**first, "ResponseMetadata": again["ResponseMetadata"]}
    assert {alarm["Threshold"] for alarm in scaling.alarms().values()} == {20, 18}
    scaling.world.boto("cloudwatch").delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in first["Alarms"]])
    scaling.world.tick(60)
    assert len(scaling.alarms()) == 2
    scaling.track(DisableScaleIn=True)
    assert set(scaling.alarms()) == {"High"}


def test_a_target_says_what_it_was_registered_with(scaling: Scaling) -> None:
    arn = scaling.register(MinCapacity=2)["ScalableTargetARN"]
    (target,) = scaling.client.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[RESOURCE])[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"], target["ScalableTargetARN"]) == (2, 8, arn)
    assert target["RoleARN"].endswith("/AWSServiceRoleForApplicationAutoScaling_ECSService")
    scaling.client.tag_resource(ResourceARN=arn, Tags={"team": "web"})
    assert scaling.client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"team": "web"}
    scaling.client.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert scaling.client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {}


def track(**more: Any) -> dict[str, Any]:
    tracking = {"TargetValue": 1.0, **more}
    return {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracking}


def predefined(kind: str, **more: Any) -> dict[str, Any]:
    return track(PredefinedMetricSpecification={"PredefinedMetricType": kind, **more})


def steps(*bounds: tuple[float | None, float | None], **more: Any) -> dict[str, Any]:
    """A step for each pair of a lower and an upper bound."""
    names = ("MetricIntervalLowerBound", "MetricIntervalUpperBound")
    adjustments = [
        {"ScalingAdjustment": 1, **{name: bound for name, bound in zip(names, pair, strict=True) if bound is not None}}
        for pair in bounds
    ]
    return {
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": adjustments,
            **more,
        },
    }


def test_policies_and_targets_that_make_no_sense_are_refused(scaling: Scaling) -> None:
    policies = [
        (track(), "Exactly one of"),
        (predefined("ALBRequestCountPerTarget"), "needs the ResourceLabel"),
        (predefined("ECSServiceAverageCPUUtilization", ResourceLabel="app/a/1/targetgroup/b/2"), "is for ALBRequest"),
        (
            predefined("ALBRequestCountPerTarget", ResourceLabel="app/a/1/targetgroup/b/2"),
            "no target group .*targetgroup/b/2",
        ),
        (predefined("RDSReaderAverageCPUUtilization"), "no metric of an ECS service"),
        (track(CustomizedMetricSpecification={"MetricName": "Jobs"}), "needs Namespace, Statistic"),
        (track(TargetValue=0.0, CustomizedMetricSpecification=METRIC), "greater than 0"),
        ({"PolicyType": "StepScaling"}, "needs StepScalingPolicyConfiguration"),
        (
            track(
                PredefinedMetricSpecification={"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
                CustomizedMetricSpecification={},
            ),
            "Exactly one of",
        ),
        (track(CustomizedMetricSpecification=METRIC, ScaleOutCooldown=-1), "ScaleOutCooldown is a number of seconds"),
        (steps((0, None), Cooldown=-1), "Cooldown is a number of seconds"),
        (steps(), "at least one"),
        (steps((0, 10), (5, None)), "neither overlap nor leave a gap"),
        (steps((0, 10), (20, None)), "neither overlap nor leave a gap"),
        (steps((10, 0)), "must be less than"),
        (steps((0, None), MinAdjustmentMagnitude=2), "PercentChangeInCapacity only"),
        ({"PolicyType": "PredictiveScaling"}, "does not forecast"),
        ({**track(), "ResourceId": "web"}, "service/CLUSTER/SERVICE"),
        ({**track(), "ResourceId": "service/shop/none"}, "No scalable target registered"),
    ]
    for given, why in policies:
        with pytest.raises(ClientError, match=why):
            scaling.client.put_scaling_policy(**{**TARGET, "PolicyName": "p", **given})
    assert scaling.client.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []
    targets = [
        ({"MinCapacity": 5, "MaxCapacity": 4}, "cannot be less than minimum"),
        ({"MaxCapacity": -1}, "0 or more"),
        ({"ResourceId": "service/shop/none"}, "ECS service doesn't exist"),
        ({"ResourceId": "service/none/web"}, "ECS service doesn't exist"),
    ]
    for given, why in targets:
        with pytest.raises(ClientError, match=why):
            scaling.register(**given)
    assert scaling.client.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"][0]["MaxCapacity"] == 8


def test_a_scheduled_action_that_nobody_would_do_is_refused(scaling: Scaling) -> None:
    with pytest.raises(ClientError) as error:
        scaling.client.put_scheduled_action(**TARGET, ScheduledActionName="night", Schedule="rate(1 hour)")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_what_is_not_an_ecs_service_is_kept_by_moto(world: World) -> None:
    client = world.boto("application-autoscaling")
    table = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": "table/orders",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }
    client.register_scalable_target(**table, MinCapacity=1, MaxCapacity=2)
    (target,) = client.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert target["MaxCapacity"] == 2


def test_a_look_that_stumbles_is_followed_by_another(scaling: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one bug at one time would leave a service as it is for good."""
    scaling.register()
    scaling.track()

    async def stumble(*_: object) -> None:
        raise KeyError("desiredCount")

    with monkeypatch.context() as broken:
        broken.setattr(Readings, "alarms", stumble)
        scaling.load(100.0, minutes=4)
    assert scaling.desired() == 2
    scaling.load(100.0)
    assert scaling.desired() == 8


def test_the_alarm_of_one_policy_among_very_many_finds_it(scaling: Scaling) -> None:
    """DescribeScalingPolicies answers 50 at a time."""
    scaling.register()
    step = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
    }
    arns = [
        scaling.client.put_scaling_policy(
            **TARGET, PolicyName=f"p{n:02}", PolicyType="StepScaling", StepScalingPolicyConfiguration=step
        )["PolicyARN"]
        for n in range(51)
    ]
    cloudwatch = scaling.world.boto("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="last",
        Namespace="shop",
        MetricName="Jobs",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=10,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[arns[-1]],
    )
    scaling.load(20.0, minutes=2)
    actions = cloudwatch.describe_alarm_history(AlarmName="last", HistoryItemType="Action")["AlarmHistoryItems"]
    assert actions
    assert all("Successfully" in action["HistorySummary"] for action in actions)
    assert scaling.desired() > 2
