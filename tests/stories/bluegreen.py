"""A service that CodeDeploy deploys, as a story sees it: by AWS's API, and by what its clients get."""

from __future__ import annotations

import json
from typing import Any

from tests.stories.stage import ALL_AT_ONCE, CLUSTER, OVER, ROLE, Balanced, Stage, until


class BlueGreen(Balanced):
    """`options` are members of CreateDeploymentGroup beside the usual ones."""

    def __init__(self, stage: Stage, version: str = "v1", *, delay_s: int = 60, count: int = 1, **options: Any) -> None:
        super().__init__(stage, stage.name(), delay_s)
        target = {"targetGroupArn": self.a, "containerName": "app", "containerPort": 80}
        self.ecs.create_service(
            cluster=CLUSTER, serviceName=self.name, taskDefinition=stage.register(self.name, version),
            desiredCount=count, launchType="EC2", deploymentController={"type": "CODE_DEPLOY"}, loadBalancers=[target],
        )  # fmt: skip
        self.codedeploy.create_application(applicationName=self.name, computePlatform="ECS")
        self.options = options

    @property
    def codedeploy(self) -> Any:
        return self.stage.clients("codedeploy")

    @property
    def ecs(self) -> Any:
        return self.stage.clients("ecs")

    @property
    def names(self) -> dict[str, str]:
        return {"applicationName": self.name, "deploymentGroupName": self.name}

    def ready(self) -> BlueGreen:
        """Until it serves; then its deployment group is made."""
        until(self._is_healthy, f"{self.name} serves")
        self.make_group()
        return self

    def _is_healthy(self) -> bool:
        found = self.elb.describe_target_health(TargetGroupArn=self.a)["TargetHealthDescriptions"]
        return bool(found) and all(one["TargetHealth"]["State"] == "healthy" for one in found)

    def make_group(self) -> None:
        pair = {
            "targetGroups": [{"name": f"{self.name}-a"}, {"name": f"{self.name}-b"}],
            "prodTrafficRoute": {"listenerArns": [self.listener]},
            "testTrafficRoute": {"listenerArns": [self.test_listener]},
        }
        usual: dict[str, Any] = {
            "serviceRoleArn": ROLE,
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "ecsServices": [{"clusterName": CLUSTER, "serviceName": self.name}],
            "loadBalancerInfo": {"targetGroupPairInfoList": [pair]},
            "blueGreenDeploymentConfiguration": waits(),
            "autoRollbackConfiguration": {
                "enabled": True,
                "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST", "DEPLOYMENT_STOP_ON_ALARM"],
            },
        }
        self.codedeploy.create_deployment_group(**self.names, **{**usual, **self.options})

    def change(self, **members: Any) -> None:
        """UpdateDeploymentGroup."""
        self.codedeploy.update_deployment_group(
            applicationName=self.name, currentDeploymentGroupName=self.name, **members
        )

    def deploy(self, version: str, config: str = ALL_AT_ONCE, **fate: Any) -> str:
        """CreateDeployment of a version: its id."""
        revision = appspec(self.stage.register(self.name, version, **fate))
        made = self.codedeploy.create_deployment(**self.names, revision=revision, deploymentConfigName=config)
        return str(made["deploymentId"])

    def events(self, deployment: str) -> dict[str, dict[str, Any]]:
        """Lifecycle event → what GetDeploymentTarget says of it, in their order."""
        found = self.codedeploy.get_deployment_target(deploymentId=deployment, targetId=f"{CLUSTER}:{self.name}")
        return {one["lifecycleEventName"]: one for one in found["deploymentTarget"]["ecsTarget"]["lifecycleEvents"]}

    def info(self, deployment: str) -> dict[str, Any]:
        return dict(self.codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"])

    def wait(self, deployment: str, status: str = "Succeeded", within_s: float = 90.0) -> dict[str, Any]:
        """Until a deployment is over, or has this status; which it must have then."""

        def info() -> dict[str, Any] | None:
            found = self.info(deployment)
            return found if found["status"] in OVER | {status} else None

        found: dict[str, Any] = until(info, f"{deployment} of {self.name} is over", within_s)
        assert found["status"] == status, found.get("errorInformation")
        return found

    def wait_for_rollback(self, deployment: str, status: str = "Failed") -> dict[str, Any]:
        """A deployment that ends with this status, and its rollback with success: the former's info."""
        found = self.wait(deployment, status)
        self.wait(found["rollbackInfo"]["rollbackDeploymentId"])
        return found

    def until_green_has(self, percent: int) -> None:
        """Until this much of the production traffic goes to the group that had nothing when a deployment began."""
        until(lambda: sorted(self.weights().values()) == sorted((percent, 100 - percent)), f"{percent} % shifted")

    def receipt(self, deployment: str) -> dict[str, Any]:
        return dict(self.stage.clients.told(f"receipts/{self.stage.clients.region}/{deployment}"))

    def task_sets(self) -> list[tuple[str, str]]:
        """(status, target group) of every task set."""
        (service,) = self.ecs.describe_services(cluster=CLUSTER, services=[self.name])["services"]
        names = {self.a: "a", self.b: "b"}
        return [(one["status"], names[one["loadBalancers"][0]["targetGroupArn"]]) for one in service["taskSets"]]


def appspec(task_definition: str) -> dict[str, Any]:
    """A revision, as CreateDeployment takes it."""
    properties = {
        "TaskDefinition": task_definition,
        "LoadBalancerInfo": {"ContainerName": "app", "ContainerPort": 80},
    }
    service = {"Type": "AWS::ECS::Service", "Properties": properties}
    content = json.dumps({"version": 0.0, "Resources": [{"TargetService": service}]})
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}


def waits(*, ready: int | None = None, kept: int | None = 0) -> dict[str, Any]:
    """blueGreenDeploymentConfiguration: minutes of READY_WAIT and of TERMINATION_WAIT; kept None: KEEP_ALIVE."""
    option: dict[str, Any] = {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}
    if ready is not None:
        option = {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": ready}
    terminate: dict[str, Any] = {"action": "KEEP_ALIVE"}
    if kept is not None:
        terminate = {"action": "TERMINATE", "terminationWaitTimeInMinutes": kept}
    return {"deploymentReadyOption": option, "terminateBlueInstancesOnDeploymentSuccess": terminate}
