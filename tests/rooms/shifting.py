"""A service whose deployments ECS shifts by itself, in a whole world: real listener rules, a proxy on paper."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.conftest import World
from turnout.aws import Answer, Call
from turnout.loadbalancer.picture import group_name

WEB = {"cluster": "shop", "service": "web"}
HOOK = "arn:aws:lambda:us-east-1:000000000000:function:check"
ROLE = "arn:aws:iam::000000000000:role/ecs"


class Functions:
    """Lambda, as far as a hook asks: `answers` are given in turn, the last for ever; `at` a stage before all."""

    def __init__(self) -> None:
        self.answers: list[Any] = [{"hookStatus": "SUCCEEDED"}]
        self.at: dict[str, Any] = {}
        self.asked: list[dict[str, Any]] = []
        self.wrote = ""

    def invoke(self, call: Call) -> Answer:
        self.asked.append({**json.loads(call["Payload"]), "name": call["FunctionName"]})
        stage = self.asked[-1]["lifecycleStage"]
        if stage in self.at:
            return self._said(call, self.at[stage])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return self._said(call, answer)

    def _said(self, call: Call, answer: Any) -> Answer:
        log = {"LogResult": base64.b64encode(self.wrote.encode()).decode()} if call.get("LogType") == "Tail" else {}
        return {"StatusCode": 200, "Payload": json.dumps(answer).encode(), **log}


class Shop:
    """Cluster shop, service web of two tasks: target groups blue and green, a production and a test listener."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.functions = Functions()
        self.connect()
        ec2 = world.boto("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
                "SubnetId"
            ]
            for n, zone in enumerate("ab")
        ]
        balancer = self.elb.create_load_balancer(Name="shop", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        self.vpc, self.balancer = vpc, balancer
        self.blue, self.green = (self.group(name) for name in ("blue", "green"))
        self.rule, self.test_rule = (self.listen(port, self.blue) for port in (80, 8080))
        self.ecs.create_cluster(clusterName="shop")

    def connect(self) -> None:
        """The functions outlive the engine."""
        self.world.aws.share("lambda", self.functions)

    @property
    def ecs(self) -> Any:
        return self.world.boto("ecs")

    @property
    def elb(self) -> Any:
        return self.world.boto("elbv2")

    def group(self, name: str) -> str:
        """A target group."""
        asked = {"Protocol": "HTTP", "Port": 80, "VpcId": self.vpc, "TargetType": "instance"}
        made = self.elb.create_target_group(Name=name, **asked)
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "10"}]
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=delay)
        return arn

    def listen(self, port: int, group_arn: str) -> str:
        """The default rule of a new listener."""
        actions = [{"Type": "forward", "TargetGroupArn": group_arn}]
        listener = self.elb.create_listener(
            LoadBalancerArn=self.balancer, Protocol="HTTP", Port=port, DefaultActions=actions
        )["Listeners"][0]["ListenerArn"]
        return str(self.elb.describe_rules(ListenerArn=listener)["Rules"][0]["RuleArn"])

    def register(self, image: str = "shop:1", **more: Any) -> str:
        container = {
            "name": "app",
            "image": image,
            "memory": 64,
            "portMappings": [{"containerPort": 80, "hostPort": 0}],
            **more,
        }
        made = self.ecs.register_task_definition(family="web", containerDefinitions=[container])
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def balancers(self, **more: Any) -> list[dict[str, Any]]:
        advanced = {
            "alternateTargetGroupArn": self.green,
            "productionListenerRule": self.rule,
            "testListenerRule": self.test_rule,
            "roleArn": ROLE,
            **more,
        }
        return [
            {
                "targetGroupArn": self.blue,
                "containerName": "app",
                "containerPort": 80,
                "advancedConfiguration": {name: value for name, value in advanced.items() if value is not None},
            }
        ]

    def create(
        self, strategy: str = "BLUE_GREEN", balancers: list[dict[str, Any]] | None = None, **configuration: Any
    ) -> None:
        """The service, stable."""
        bake = {"bakeTimeInMinutes": 5} if strategy == "BLUE_GREEN" else {}
        self.ecs.create_service(
            cluster="shop",
            serviceName="web",
            taskDefinition=self.register(),
            desiredCount=2,
            loadBalancers=self.balancers() if balancers is None else balancers,
            deploymentConfiguration={"strategy": strategy, **bake, **configuration},
        )
        self.world.tick(1)

    def deploy(self, image: str = "shop:2", container: dict[str, Any] | None = None, **more: Any) -> str:
        """A new revision; the ARN of its service deployment. `container`: further members of its container."""
        self.ecs.update_service(**WEB, taskDefinition=self.register(image, **(container or {})), **more)
        return str(self.ecs.list_service_deployments(**WEB)["serviceDeployments"][0]["serviceDeploymentArn"])

    def told(self, arn: str) -> dict[str, Any]:
        return dict(self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0])

    def service(self) -> dict[str, Any]:
        return dict(self.ecs.describe_services(cluster="shop", services=["web"])["services"][0])

    def weights(self, rule: str | None = None) -> dict[str, int]:
        action = self.elb.describe_rules(RuleArns=[rule or self.rule])["Rules"][0]["Actions"][0]
        return {
            "blue" if group["TargetGroupArn"] == self.blue else "green": group["Weight"]
            for group in action["ForwardConfig"]["TargetGroups"]
        }

    def sick(self, group_arn: str) -> None:
        """Every target of a group fails its checks from now on."""
        said = ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]")
        self.world.proxy.health[group_name(group_arn)] = said
        self.world.proxy.check()

    def images(self) -> set[str]:
        return {
            container.workload.image.split("@")[0]
            for container in self.world.runtime.containers.values()
            if container.state.is_running
        }
