"""Every waiter that botocore has for the rooms of a deployment, through boto3 and as `aws … wait`.

What is waited for is real: tasks that start and stop, targets that Envoy checks, a deployment that moves traffic.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.real.conftest import Live
from tests.real.test_kills import until

pytestmark = pytest.mark.real

CANARY = "CodeDeployDefault.ECSCanary10Percent15Minutes"
NAMES = ("--application-name", "hello", "--deployment-group-name", "hello")
DAEMONS = {"daemon_active", "daemon_deployment_stopped", "daemon_deployment_successful"}
DAEMON_DEFINITIONS = {"daemon_task_definition_active", "daemon_task_definition_deleted"}


@dataclass(frozen=True)
class Waited:
    """A service of one task that is updated by rolling, behind a listener of its own."""

    live: Live
    group: str

    def tasks(self) -> list[str]:
        return list(self.live.clients("ecs").list_tasks(cluster="hello", serviceName="waited")["taskArns"])

    def targets(self) -> list[dict[str, Any]]:
        found = self.live.clients("elbv2").describe_target_health(TargetGroupArn=self.group)
        return [one["Target"] for one in found["TargetHealthDescriptions"]]

    def wait(self, service: str, waiter: str, /, **what: Any) -> None:
        self.live.clients(service).get_waiter(waiter).wait(**what, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


@pytest.fixture
def waited(live: Live) -> Iterator[Waited]:
    ecs, elbv2 = live.clients("ecs"), live.clients("elbv2")
    (service,) = ecs.describe_services(cluster="hello", services=["hello"])["services"]
    primary = next(one for one in service["taskSets"] if one["status"] == "PRIMARY")
    (balancer,) = elbv2.describe_load_balancers(Names=["hello"])["LoadBalancers"]
    group = elbv2.create_target_group(
        Name="waited", Protocol="HTTP", Port=80, VpcId=balancer["VpcId"], TargetType="instance",
        HealthCheckPath="/health", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "1"}
    elbv2.modify_target_group_attributes(TargetGroupArn=group, Attributes=[delay])
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=9090,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )["Listeners"][0]["ListenerArn"]  # fmt: skip
    at = {name: primary["loadBalancers"][0][name] for name in ("containerName", "containerPort")}
    ecs.create_service(
        cluster="hello", serviceName="waited", taskDefinition=primary["taskDefinition"], desiredCount=1,
        loadBalancers=[{"targetGroupArn": group, **at}],
    )  # fmt: skip
    yield Waited(live, group)
    if ecs.describe_services(cluster="hello", services=["waited"])["services"][0]["status"] == "ACTIVE":
        ecs.delete_service(cluster="hello", service="waited", force=True)
    elbv2.delete_listener(ListenerArn=listener)
    elbv2.delete_target_group(TargetGroupArn=group)


def test_boto3_waits_for_a_service_from_its_first_task_to_its_end(live: Live, waited: Waited) -> None:
    ecs = live.clients("ecs")
    until(lambda: len(waited.tasks()) == 1)
    tasks = waited.tasks()
    waited.wait("ecs", "tasks_running", cluster="hello", tasks=tasks)
    waited.wait("ecs", "services_stable", cluster="hello", services=["waited"])
    until(waited.targets)
    waited.wait("elbv2", "target_in_service", TargetGroupArn=waited.group)
    targets = waited.targets()
    with pytest.raises(WaiterError, match="Max attempts exceeded"):  # still in service
        live.clients("elbv2").get_waiter("target_deregistered").wait(
            TargetGroupArn=waited.group, Targets=targets, WaiterConfig={"Delay": 0, "MaxAttempts": 1}
        )
    ecs.update_service(cluster="hello", service="waited", desiredCount=0)
    waited.wait("ecs", "tasks_stopped", cluster="hello", tasks=tasks)
    waited.wait("elbv2", "target_deregistered", TargetGroupArn=waited.group, Targets=targets)
    ecs.delete_service(cluster="hello", service="waited")
    waited.wait("ecs", "services_inactive", cluster="hello", services=["waited"])
    with pytest.raises(WaiterError, match="terminal failure state"):
        waited.wait("ecs", "services_stable", cluster="hello", services=["waited"])


def test_the_aws_cli_waits_for_services_tasks_and_targets(live: Live, aws: str, waited: Waited) -> None:
    def wait(service: str, waiter: str, *words: str) -> None:
        done = live.run(aws, service, "wait", waiter, *words)
        assert done.returncode == 0, f"{waiter}: {done.stderr}"

    of_service = ("--cluster", "hello", "--services", "waited")
    until(lambda: len(waited.tasks()) == 1 and waited.targets())
    of_tasks = ("--cluster", "hello", "--tasks", *waited.tasks())
    wait("ecs", "tasks-running", *of_tasks)
    wait("ecs", "services-stable", *of_service)
    wait("elbv2", "target-in-service", "--target-group-arn", waited.group)
    at = ("--targets", *(f"Id={one['Id']},Port={one['Port']}" for one in waited.targets()))
    live.clients("ecs").update_service(cluster="hello", service="waited", desiredCount=0)
    wait("ecs", "tasks-stopped", *of_tasks)
    wait("elbv2", "target-deregistered", "--target-group-arn", waited.group, *at)
    live.clients("ecs").delete_service(cluster="hello", service="waited")
    wait("ecs", "services-inactive", *of_service)
    missing = live.run(aws, "ecs", "wait", "services-stable", "--cluster", "hello", "--services", "nothing")
    assert (missing.returncode, "MISSING" in missing.stderr) == (255, True), missing.stderr


def test_a_service_of_codedeploy_has_no_deployments_for_services_stable_to_count(live: Live) -> None:
    """As on AWS, where deployments is empty for a service with task sets: there, too, this waiter only times out."""
    (service,) = live.clients("ecs").describe_services(cluster="hello", services=["hello"])["services"]
    assert (service["deploymentController"]["type"], service["deployments"]) == ("CODE_DEPLOY", [])
    with pytest.raises(WaiterError, match="Max attempts exceeded"):
        live.clients("ecs").get_waiter("services_stable").wait(
            cluster="hello", services=["hello"], WaiterConfig={"Delay": 0, "MaxAttempts": 1}
        )


def test_load_balancers_are_waited_for(live: Live, aws: str) -> None:
    elbv2 = live.clients("elbv2")
    (balancer,) = elbv2.describe_load_balancers(Names=["hello"])["LoadBalancers"]
    subnets = [zone["SubnetId"] for zone in balancer["AvailabilityZones"]]
    made = elbv2.create_load_balancer(Name="waited", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    for waiter in ("load_balancer_exists", "load_balancer_available"):
        elbv2.get_waiter(waiter).wait(LoadBalancerArns=[made])
        done = live.run(aws, "elbv2", "wait", waiter.replace("_", "-"), "--load-balancer-arns", made)
        assert done.returncode == 0, done.stderr
    elbv2.delete_load_balancer(LoadBalancerArn=made)
    elbv2.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[made])
    done = live.run(aws, "elbv2", "wait", "load-balancers-deleted", "--load-balancer-arns", made)
    assert done.returncode == 0, done.stderr


def test_botocore_has_no_other_waiters_but_those_of_daemons_which_are_refused_by_name(live: Live) -> None:
    assert live.clients("codedeploy").waiter_names == ["deployment_successful"]
    of_ecs = {"services_inactive", "services_stable", "tasks_running", "tasks_stopped"}
    assert set(live.clients("ecs").waiter_names) - of_ecs == DAEMONS | DAEMON_DEFINITIONS
    of_targets = {"target_in_service", "target_deregistered"}
    of_balancers = {"load_balancer_exists", "load_balancer_available", "load_balancers_deleted"}
    assert set(live.clients("elbv2").waiter_names) == of_targets | of_balancers
    with pytest.raises(WaiterError, match="not implemented by turnout"):
        live.clients("ecs").get_waiter("daemon_active").wait(daemonArn="arn:aws:ecs:us-east-1:000000000000:daemon/d")


def test_aws_deploy_creates_lists_and_stops_a_deployment_and_waits_for_its_rollback(live: Live, aws: str) -> None:
    """`deployment-successful` says that what was stopped was not successful, and that its rollback was."""

    def deploy(*words: str) -> Any:
        done = live.run(aws, "deploy", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "{}")

    (service,) = live.clients("ecs").describe_services(cluster="hello", services=["hello"])["services"]
    primary = next(one for one in service["taskSets"] if one["status"] == "PRIMARY")
    at = {"ContainerName": "hello", "ContainerPort": primary["loadBalancers"][0]["containerPort"]}
    properties = {"TaskDefinition": primary["taskDefinition"], "LoadBalancerInfo": at}
    resource = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
    appspec = {"content": json.dumps({"version": 0.0, "Resources": [resource]})}
    revision = ("--revision", json.dumps({"revisionType": "AppSpecContent", "appSpecContent": appspec}))
    made = deploy("create-deployment", *NAMES, "--deployment-config-name", CANARY, *revision)["deploymentId"]
    under_way = deploy("list-deployments", *NAMES, "--include-only-statuses", "Created", "InProgress")
    assert under_way["deployments"] == [made]
    refused = live.run(aws, "deploy", "create-deployment", *NAMES, *revision)
    assert "DeploymentLimitExceededException" in refused.stderr
    until(lambda: weights(live) == {10, 90})
    stopped = deploy("stop-deployment", "--deployment-id", made, "--auto-rollback-enabled")
    assert stopped["status"] == "Pending"
    waited = live.run(aws, "deploy", "wait", "deployment-successful", "--deployment-id", made)
    assert (waited.returncode, "terminal failure state" in waited.stderr) == (255, True), waited.stderr
    ended = deploy("get-deployment", "--deployment-id", made)["deploymentInfo"]
    assert (ended["status"], ended["errorInformation"]["code"]) == ("Stopped", "MANUAL_STOP")
    rollback = ended["rollbackInfo"]["rollbackDeploymentId"]
    deploy("wait", "deployment-successful", "--deployment-id", rollback)
    assert weights(live) == {100, 0}
    live.clients("codedeploy").get_waiter("deployment_successful").wait(deploymentId=rollback)
    with pytest.raises(WaiterError, match="terminal failure state"):
        live.clients("codedeploy").get_waiter("deployment_successful").wait(deploymentId=made)
    with pytest.raises(ClientError, match="DeploymentAlreadyCompletedException"):
        live.clients("codedeploy").stop_deployment(deploymentId=made)


def weights(live: Live) -> set[int]:
    """Of the production listener's two target groups."""
    elbv2 = live.clients("elbv2")
    (balancer,) = elbv2.describe_load_balancers(Names=["hello"])["LoadBalancers"]
    listeners = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    production = next(one for one in listeners if one["Port"] == 80)
    return {group["Weight"] for group in production["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]}
