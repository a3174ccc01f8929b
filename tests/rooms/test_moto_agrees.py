"""What moto's public tests expect of these services, where AWS does the same: told again, as promises of ours."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World

ROLE = "arn:aws:iam::000000000000:role/deploy"
NO_ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000"
S3 = {"revisionType": "S3", "s3Location": {"bucket": "b", "key": "k", "bundleType": "YAML"}}
OF_APP = {"applicationName": "app"}
NO_GROUP = {**OF_APP, "deploymentGroupName": "none"}
NO_APP = {"applicationName": "none", "deploymentGroupName": "none"}


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("codedeploy", "create_application", {**OF_APP, "computePlatform": "ECS"}, "ApplicationAlreadyExistsException"),
    ("codedeploy", "create_deployment", OF_APP, "DeploymentGroupNameRequiredException"),
    ("codedeploy", "create_deployment", {"applicationName": "none"}, "ApplicationDoesNotExistException"),
    ("codedeploy", "create_deployment", {**NO_GROUP, "revision": S3}, "DeploymentGroupDoesNotExistException"),
    ("codedeploy", "create_deployment_group", {**NO_APP, "serviceRoleArn": ROLE}, "ApplicationDoesNotExistException"),
    ("codedeploy", "get_deployment", {"deploymentId": "d-ABCDEFGHI"}, "DeploymentDoesNotExistException"),
    ("codedeploy", "get_deployment_group", NO_APP, "ApplicationDoesNotExistException"),
    ("codedeploy", "get_deployment_group", NO_GROUP, "DeploymentGroupDoesNotExistException"),
    ("codedeploy", "batch_get_applications", {"applicationNames": ["none"]}, "ApplicationDoesNotExistException"),
    ("ecs", "describe_services", {"cluster": "none", "services": ["s"]}, "ClusterNotFoundException"),
    ("ecs", "delete_cluster", {"cluster": "none"}, "ClusterNotFoundException"),
    ("ecs", "run_task", {"cluster": "none", "taskDefinition": "web"}, "ClusterNotFoundException"),
    ("ecs", "describe_tasks", {"cluster": "none", "tasks": ["t"]}, "ClusterNotFoundException"),
    ("ecs", "update_service", {"cluster": "c", "service": "none", "desiredCount": 1}, "ServiceNotFoundException"),
    ("ecs", "delete_service", {"cluster": "c", "service": "none"}, "ServiceNotFoundException"),
    ("ecs", "describe_task_definition", {"taskDefinition": "none:1"}, "ClientException"),
    ("elbv2", "describe_load_balancers", {"Names": ["none"]}, "LoadBalancerNotFound"),
    ("elbv2", "describe_target_groups", {"Names": ["none"]}, "TargetGroupNotFound"),
    ("elbv2", "describe_listeners", {"ListenerArns": [f"{NO_ARN}:listener/app/lb/1/2"]}, "ListenerNotFound"),
    ("elbv2", "describe_rules", {"RuleArns": [f"{NO_ARN}:listener-rule/app/lb/1/2/3"]}, "RuleNotFound"),
    ("elbv2", "describe_target_health", {"TargetGroupArn": f"{NO_ARN}:targetgroup/x/1"}, "TargetGroupNotFound"),
]  # fmt: skip


@pytest.fixture
def stocked(world: World) -> World:
    """An application without groups, a cluster without services, a definition, a load balancer with a listener."""
    world.boto("codedeploy").create_application(applicationName="app", computePlatform="ECS")
    ecs, elb, ec2 = world.boto("ecs"), world.boto("elbv2"), world.boto("ec2")
    ecs.create_cluster(clusterName="c")
    container = {"name": "app", "image": "app:1", "memory": 64}
    for _ in range(2):
        ecs.register_task_definition(family="web", containerDefinitions=[container])
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"][:2]]
    balancer = elb.create_load_balancer(Name="lb", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = elb.create_target_group(Name="g", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
    return world


def test_what_is_not_there_or_there_already_has_awss_code(stocked: World) -> None:
    for service, operation, asked, code in REFUSED:
        with pytest.raises(ClientError) as refused:
            getattr(stocked.boto(service), operation)(**asked)
        assert refused.value.response["Error"]["Code"] == code, operation


def test_what_is_missing_among_many_is_a_failure_of_its_own(stocked: World) -> None:
    ecs = stocked.boto("ecs")
    services = ecs.describe_services(cluster="c", services=["none"])
    assert (services["services"], [one["reason"] for one in services["failures"]]) == ([], ["MISSING"])
    clusters = ecs.describe_clusters(clusters=["c", "none"])
    assert [one["clusterName"] for one in clusters["clusters"]] == ["c"]
    assert [one["reason"] for one in clusters["failures"]] == ["MISSING"]


def test_revisions_are_counted_listed_and_deregistered_but_can_still_be_described(stocked: World) -> None:
    ecs = stocked.boto("ecs")
    assert [arn.rpartition("/")[2] for arn in ecs.list_task_definitions()["taskDefinitionArns"]] == ["web:1", "web:2"]
    assert ecs.describe_task_definition(taskDefinition="web")["taskDefinition"]["revision"] == 2
    gone = ecs.deregister_task_definition(taskDefinition="web:1")["taskDefinition"]
    assert gone["status"] == "INACTIVE"
    assert [arn.rpartition("/")[2] for arn in ecs.list_task_definitions()["taskDefinitionArns"]] == ["web:2"]
    assert ecs.describe_task_definition(taskDefinition="web:1")["taskDefinition"]["status"] == "INACTIVE"


def test_a_service_that_wants_tasks_is_deleted_by_force_only(stocked: World) -> None:
    ecs = stocked.boto("ecs")
    ecs.create_service(cluster="c", serviceName="s", taskDefinition="web", desiredCount=1)
    with pytest.raises(ClientError) as refused:
        ecs.delete_service(cluster="c", service="s")
    assert refused.value.response["Error"]["Code"] == "InvalidParameterException"
    assert ecs.delete_service(cluster="c", service="s", force=True)["service"]["status"] in ("DRAINING", "INACTIVE")


def test_a_priority_and_a_group_in_use_are_refused(stocked: World) -> None:
    elb = stocked.boto("elbv2")
    listener = elb.describe_listeners(
        LoadBalancerArn=elb.describe_load_balancers(Names=["lb"])["LoadBalancers"][0]["LoadBalancerArn"]
    )["Listeners"][0]
    (group,) = elb.describe_target_groups(Names=["g"])["TargetGroups"]
    rule: dict[str, Any] = {
        "ListenerArn": listener["ListenerArn"],
        "Priority": 1,
        "Conditions": [{"Field": "path-pattern", "Values": ["/a"]}],
        "Actions": [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    }
    elb.create_rule(**rule)
    with pytest.raises(ClientError) as refused:
        elb.create_rule(**rule)
    assert refused.value.response["Error"]["Code"] == "PriorityInUse"
    with pytest.raises(ClientError) as refused:
        elb.delete_target_group(TargetGroupArn=group["TargetGroupArn"])
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
