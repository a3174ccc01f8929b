"""CodeDeploy with the real rooms of ECS and the load balancer: only the containers and Envoy are fakes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.rooms.deploying import ROLE, content
from turnout.loadbalancer.picture import group_name
from turnout.runtimes import Ran

APPSPEC = """\
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "{}"
        LoadBalancerInfo: {{ContainerName: app, ContainerPort: 80}}
"""


class Stack:
    """A service of two tasks behind one balancer, and its deployment group."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ecs, self.elb = world.boto("ecs"), world.boto("elbv2")
        self.codedeploy = world.boto("codedeploy")
        ec2 = world.boto("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
                "SubnetId"
            ]
            for n, zone in ((1, "a"), (2, "b"))
        ]
        balancer = self.elb.create_load_balancer(Name="shop", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        self.groups = {name: self._group(name, vpc) for name in ("a", "b")}
        self.listener = self._listener(balancer, 8001, "a")
        self.test_listener = self._listener(balancer, 8002, "a")
        self.ecs.create_cluster(clusterName="prod")
        self.ecs.create_service(
            cluster="prod",
            serviceName="web",
            taskDefinition=self.define("1"),
            desiredCount=2,
            launchType="EC2",
            deploymentController={"type": "CODE_DEPLOY"},
            loadBalancers=[{"targetGroupArn": self.groups["a"], "containerName": "app", "containerPort": 80}],
        )
        world.tick(60)
        self._deployment_group()

    def _group(self, name: str, vpc: str) -> str:
        created = self.elb.create_target_group(
            Name=name,
            Protocol="HTTP",
            Port=80,
            VpcId=vpc,
            HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=2,
            UnhealthyThresholdCount=2,
        )
        arn: str = created["TargetGroups"][0]["TargetGroupArn"]
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "10"}
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
        return arn

    def _listener(self, balancer: str, port: int, name: str) -> str:
        actions = [{"Type": "forward", "TargetGroupArn": self.groups[name]}]
        created = self.elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=actions)
        arn: str = created["Listeners"][0]["ListenerArn"]
        return arn

    def define(self, version: str, **more: Any) -> str:
        container = {
            "name": "app",
            "image": f"app:{version}",
            "memory": 64,
            "portMappings": [{"containerPort": 80}],
            **more,
        }
        registered = self.ecs.register_task_definition(family="web", containerDefinitions=[container])
        arn: str = registered["taskDefinition"]["taskDefinitionArn"]
        return arn

    def _deployment_group(self) -> None:
        self.codedeploy.create_application(applicationName="shop", computePlatform="ECS")
        pair = {
            "targetGroups": [{"name": "a"}, {"name": "b"}],
            "prodTrafficRoute": {"listenerArns": [self.listener]},
            "testTrafficRoute": {"listenerArns": [self.test_listener]},
        }
        self.codedeploy.create_deployment_group(
            applicationName="shop",
            deploymentGroupName="live",
            serviceRoleArn=ROLE,
            deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            blueGreenDeploymentConfiguration={},
            loadBalancerInfo={"targetGroupPairInfoList": [pair]},
            ecsServices=[{"serviceName": "web", "clusterName": "prod"}],
            autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE"]},
        )

    def deploy(self, version: str, config: str = "CodeDeployDefault.ECSAllAtOnce", **more: Any) -> str:
        revision = content(APPSPEC.format(self.define(version, **more)))
        created = self.codedeploy.create_deployment(
            applicationName="shop", deploymentGroupName="live", revision=revision, deploymentConfigName=config
        )
        deployment_id: str = created["deploymentId"]
        return deployment_id

    def info(self, deployment_id: str) -> dict[str, Any]:
        info: dict[str, Any] = self.codedeploy.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
        return info

    def weights(self) -> dict[str, int]:
        names = {arn: name for name, arn in self.groups.items()}
        (listener,) = self.elb.describe_listeners(ListenerArns=[self.listener])["Listeners"]
        forward = listener["DefaultActions"][0]["ForwardConfig"]
        return {names[group["TargetGroupArn"]]: group["Weight"] for group in forward["TargetGroups"]}

    def images(self) -> list[str]:
        containers = self.world.runtime.containers.values()
        return sorted(c.workload.image.partition("@")[0] for c in containers if c.state.is_running)


@pytest.fixture
def stack(world: World) -> Stack:
    return Stack(world)


def test_three_deployments_alternate_and_leave_one_task_set(stack: Stack, world: World) -> None:
    assert stack.weights() == {"a": 100, "b": 0}
    for version, live in (("2", "b"), ("3", "a"), ("4", "b")):
        deployment_id = stack.deploy(version)
        world.tick(120)
        assert stack.info(deployment_id)["status"] == "Succeeded", stack.info(deployment_id)
        assert stack.weights()[live] == 100
        (service,) = stack.ecs.describe_services(cluster="prod", services=["web"])["services"]
        (task_set,) = service["taskSets"]
        assert task_set["externalId"] == deployment_id
        receipt = world.engine.receipts.find("us-east-1", deployment_id)
        assert receipt["drained"]["isProven"] is True
        assert receipt["switch"]["ms"] is not None
        assert receipt["green"]["images"][0]["digest"].startswith("sha256:")
        assert receipt["blue"]["images"][0]["digest"] != receipt["green"]["images"][0]["digest"]
    assert len(world.runtime.containers) == 2


def test_a_release_that_crashes_is_rolled_back_and_the_old_one_keeps_serving(stack: Stack, world: World) -> None:
    before = stack.images()
    world.runtime.cannot_start["app:bad"] = "no such file"
    resolved = world.run(world.runtime.resolve("app:bad", "us-east-1"))
    world.runtime.cannot_start[resolved] = "no such file"
    bad = stack.deploy("bad")
    world.tick(300)
    info = stack.info(bad)
    assert info["status"] == "Failed"
    assert info["errorInformation"]["code"] == "HEALTH_CONSTRAINTS"
    assert "no such file" in info["errorInformation"]["message"]
    back = stack.info(info["rollbackInfo"]["rollbackDeploymentId"])
    assert back["status"] == "Succeeded"
    assert stack.weights() == {"a": 100, "b": 0}
    world.tick(60)
    assert stack.images() == before


def test_a_release_whose_health_checks_fail_is_rolled_back_within_its_threshold(stack: Stack, world: World) -> None:
    failing = ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]")
    world.proxy.health[group_name(stack.groups["b"])] = failing
    bad = stack.deploy("2")
    world.tick(60)
    info = stack.info(bad)
    assert info["status"] == "Failed"
    assert "health check" in info["errorInformation"]["message"].lower()
    assert info["completeTime"].timestamp() - info["createTime"].timestamp() < 30


def test_a_release_whose_container_is_unhealthy_fails_with_what_the_check_said_and_the_last_lines(
    stack: Stack, world: World
) -> None:
    resolved = world.run(world.runtime.resolve("app:sick", "us-east-1"))
    world.runtime.ran[resolved] = Ran(1, "connection refused")
    check = {"command": ["CMD", "curl", "-f", "http://localhost/"], "interval": 5, "retries": 2}
    log = {"logDriver": "awslogs", "options": {"awslogs-group": "/web", "awslogs-create-group": "true"}}
    bad = stack.deploy("sick", healthCheck=check, logConfiguration=log)
    world.tick(4)
    for name, container in world.runtime.containers.items():
        if container.workload.image == resolved:
            world.runtime.say(name, "no database")
    world.run(world.engine.ecs.output.collect())
    world.tick(20)
    info = stack.info(bad)
    assert info["status"] == "Failed"
    assert info["errorInformation"]["code"] == "HEALTH_CONSTRAINTS"
    assert "container app: Health check failed: exit code 1: connection refused" in info["errorInformation"]["message"]
    assert info["errorInformation"]["message"].endswith("Its last output:\n  no database")
    assert info["completeTime"].timestamp() - info["createTime"].timestamp() <= 15
    assert stack.weights() == {"a": 100, "b": 0}


@pytest.mark.parametrize(
    ("config", "is_tagged", "status"),
    [
        ("CodeDeployDefault.ECSAllAtOnce", True, "Succeeded"),
        ("CodeDeployDefault.ECSAllAtOnce", False, "Failed"),
        ("CodeDeployDefault.ECSCanary10Percent5Minutes", True, "Failed"),
    ],
)
def test_awss_laxness_is_had_for_a_tag_only_and_only_where_aws_is_lax(
    stack: Stack, world: World, config: str, is_tagged: bool, status: str
) -> None:
    pair = {"targetGroups": [{"name": "a"}, {"name": "b"}], "prodTrafficRoute": {"listenerArns": [stack.listener]}}
    named = {"applicationName": "shop", "currentDeploymentGroupName": "live"}
    stack.codedeploy.update_deployment_group(**named, loadBalancerInfo={"targetGroupPairInfoList": [pair]})
    if is_tagged:
        arn = "arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:shop/live"
        tags = [{"Key": "turnout:target-health", "Value": "ignore"}]
        stack.codedeploy.tag_resource(ResourceArn=arn, Tags=tags)
    failing = ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]")
    world.proxy.health[group_name(stack.groups["b"])] = failing
    deployment_id = stack.deploy("2", config)
    world.tick(40)  # ECS replaces the unhealthy tasks without end: each second more costs a tenth of a second
    assert stack.info(deployment_id)["status"] == status
    assert stack.weights()["b"] == (100 if status == "Succeeded" else 0)
    receipt = world.engine.receipts.find("us-east-1", deployment_id)
    assert receipt["ignoresTargetHealth"] is (status == "Succeeded")


def test_a_tag_that_says_nothing_known_is_refused(stack: Stack) -> None:
    group, application = "deploymentgroup:shop/live", "application:shop"
    refused = [
        (group, "turnout:target-health", "maybe", "must be one of: wait, ignore; not 'maybe'"),
        (application, "turnout:target-health", "ignore", "belongs on a deployment group, not on this application"),
        (group, "turnout:long-connections", "leave", "belongs on a listener, not on this deployment group"),
        (group, "turnout:target-heath", "ignore", r"turnout:target-health \(of a deployment group\)"),
    ]
    for name, key, value, why in refused:
        arn, tags = f"arn:aws:codedeploy:us-east-1:000000000000:{name}", [{"Key": key, "Value": value}]
        with pytest.raises(ClientError, match=f"InvalidTagsToAddException.*{why}"):
            stack.codedeploy.tag_resource(ResourceArn=arn, Tags=tags)
    with pytest.raises(ClientError, match="InvalidTagsToAddException"):
        stack.codedeploy.create_application(applicationName="more", computePlatform="ECS", tags=tags)


def test_a_restart_in_the_middle_changes_nothing(stack: Stack, world: World) -> None:
    deployment_id = stack.deploy("2")
    world.tick(1)
    world.reboot()
    world.tick(120)
    assert stack.info(deployment_id)["status"] == "Succeeded"
    assert stack.weights()["b"] == 100
