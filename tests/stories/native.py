"""A service that ECS deploys by itself, as a story sees it."""

from __future__ import annotations

from typing import Any

from tests.stories.stage import CLUSTER, ROLE, Balanced, Stage, until

OVER = {"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}


class Native(Balanced):
    """`configuration`: members of deploymentConfiguration beside the strategy."""

    def __init__(self, stage: Stage, strategy: str, *, delay_s: int = 60, **configuration: Any) -> None:
        super().__init__(stage, stage.name(), delay_s)
        self.where = {"cluster": CLUSTER, "service": self.name}
        advanced = {
            "alternateTargetGroupArn": self.b,
            "productionListenerRule": self.rules()[-1]["RuleArn"],
            "testListenerRule": self.elb.describe_rules(ListenerArn=self.test_listener)["Rules"][-1]["RuleArn"],
            "roleArn": ROLE,
        }
        target = {"targetGroupArn": self.a, "containerName": "app", "containerPort": 80}
        self.configuration = {"strategy": strategy, "bakeTimeInMinutes": 1, **configuration}
        self.ecs.create_service(
            cluster=CLUSTER, serviceName=self.name, taskDefinition=stage.register(self.name, "v1"), desiredCount=1,
            launchType="EC2", loadBalancers=[{**target, "advancedConfiguration": advanced}],
            deploymentConfiguration=self.configuration,
        )  # fmt: skip

    @property
    def ecs(self) -> Any:
        return self.stage.clients("ecs")

    def ready(self) -> Native:
        """Until the first deployment is over, and it serves."""
        until(lambda: (found := self.deployments()) and found[0]["status"] in OVER, f"{self.name} serves")
        return self

    def deployments(self) -> list[dict[str, Any]]:
        """Newest first."""
        return list(self.ecs.list_service_deployments(**self.where)["serviceDeployments"])

    def deploy(self, version: str, configuration: dict[str, Any] | None = None, **fate: Any) -> str:
        """UpdateService: the ARN of its service deployment."""
        before = {one["serviceDeploymentArn"] for one in self.deployments()}
        changed = {} if configuration is None else {"deploymentConfiguration": {**self.configuration, **configuration}}
        self.ecs.update_service(**self.where, taskDefinition=self.stage.register(self.name, version, **fate), **changed)

        def new() -> str | None:
            arns = [one["serviceDeploymentArn"] for one in self.deployments()]
            return next((arn for arn in arns if arn not in before), None)

        return str(until(new, "the service deployment"))

    def told(self, deployment: str) -> dict[str, Any]:
        (found,) = self.ecs.describe_service_deployments(serviceDeploymentArns=[deployment])["serviceDeployments"]
        return dict(found)

    def until_in(self, deployment: str, stage: str) -> None:
        until(lambda: self.told(deployment)["lifecycleStage"] == stage, stage)

    def wait(self, deployment: str, status: str = "SUCCESSFUL") -> dict[str, Any]:
        """Until a service deployment is over; it must have ended with this status."""

        def told() -> dict[str, Any] | None:
            found = self.told(deployment)
            return found if found["status"] in OVER else None

        found: dict[str, Any] = until(told, f"{deployment} is over")
        assert found["status"] == status, found.get("statusReason")
        return found

    def running(self) -> int:
        """How many tasks run, of whichever revision."""
        (service,) = self.ecs.describe_services(cluster=CLUSTER, services=[self.name])["services"]
        return int(service["runningCount"])
