"""An engine with the room ecs alone, over the fakes of what it reaches; boto3 speaks to it without sockets."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.conftest import World
from tests.fakes.balancer import FakeBalancer
from tests.fakes.proxy import FakeProxy
from tests.fakes.runtime import FakeRuntime
from tests.fakes.shapes import check_answer
from tests.rooms.deploying import MEMORY
from turnout.aws import Answer, Aws, Call, Event
from turnout.clock import ManualClock
from turnout.cloudwatch.api import MIGRATIONS as CLOUDWATCH
from turnout.cloudwatch.api import CloudWatch
from turnout.config import Config
from turnout.ecs.api import MIGRATIONS, Ecs
from turnout.ecs.targets import health_topic
from turnout.errors import AwsError
from turnout.gateway.models import OwnedModels
from turnout.gateway.server import Gateway
from turnout.receipts import Receipts
from turnout.runner import Runner
from turnout.runs import Runs
from turnout.samples import Samples
from turnout.store import Store
from turnout.traffic import Flow, Mark

REGION = "us-east-1"


class LogGroups:
    """moto, as far as a task asks for it: log groups, streams, lines; and EC2's instances with their user data."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self.groups: set[str] = set()
        self.instances: dict[str, tuple[datetime, str]] = {}
        """id → (when it was launched, its user data)"""

    def call(self, service: str, operation: str, region: str, params: Any) -> Answer:
        if service == "ec2":
            return self._instances(operation, params)
        group, stream = params.get("logGroupName"), params.get("logStreamName")
        if operation == "CreateLogGroup":
            self.groups.add(group)
            return {}
        if group not in self.groups:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        if operation == "CreateLogStream":
            if (group, stream) in self.lines:
                raise AwsError("ResourceAlreadyExistsException", "The specified log stream already exists")
            self.lines[group, stream] = []
            return {}
        assert operation == "PutLogEvents"
        self.lines[group, stream] += [(event["timestamp"], event["message"]) for event in params["logEvents"]]
        return {}

    def _instances(self, operation: str, params: Any) -> Answer:
        if operation == "DescribeInstances":
            shown = [{"InstanceId": key, "LaunchTime": at} for key, (at, _) in self.instances.items()]
            return {"Reservations": [{"Instances": [one]} for one in shown]}
        assert operation == "DescribeInstanceAttribute"
        _, user_data = self.instances[params["InstanceId"]]
        return {"UserData": {"Value": base64.b64encode(user_data.encode()).decode()} if user_data else {}}

    def handle(self, *_: Any) -> Any:
        raise AssertionError("a request that ecs does not own")


class QuietTraffic:
    """For rooms whose deployments shift nothing: there is nothing to count."""

    async def mark(self, region: str, listener_arns: Sequence[str], target_group_arns: Sequence[str]) -> Mark:
        assert not target_group_arns
        return {}

    async def since(self, marks: Sequence[Mark]) -> list[tuple[dict[str, Flow], Mark]]:
        return [({}, {}) for _ in marks]

    def interruptions_since(self, at: float) -> list[dict[str, Any]]:
        return []

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of the traffic")


class Serving(World):
    """`boot` is what differs from `World`: no Engine, one room."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clock = ManualClock()
        self.fuse = lambda point: None
        self.proxy = FakeProxy()
        self._clients: dict[tuple[str, str], Any] = {}
        self.runtime = FakeRuntime(self.clock)
        self.balancer = FakeBalancer(self._health_changed)
        self.logs = LogGroups()
        self.events: list[Event] = []
        self.boot()

    def boot(self) -> None:
        self.loop = asyncio.new_event_loop()
        config = Config(home=self.home, port=4566)
        self.store = Store(config.database, {**MEMORY, "ecs": MIGRATIONS, "cloudwatch": CLOUDWATCH})
        self.store._connection.execute("PRAGMA synchronous = OFF")  # an engine is killed here, the machine never is
        self.runs = Runs(self.store, self.clock)
        self.aws = Aws(self.logs)
        traffic = QuietTraffic()
        self.samples = Samples(self.runs, self.aws, self.clock, traffic)
        self.receipts = Receipts(self.runs, self.samples)
        self.room = Ecs(self.store, self.runs, self.aws, self.clock, config, self.runtime, traffic, self.receipts)
        self.aws.own("ecs", self.room)
        self.aws.own("elbv2", self.balancer)
        self.cloudwatch = CloudWatch(self.store, self.runs, self.aws, self.clock, self.logs)
        self.aws.share("cloudwatch", self.cloudwatch)
        self.aws.listen(lambda tx, event: self.events.append(event))
        self.runner = Runner(self.runs, [*self.room.plans, *self.cloudwatch.plans], self.clock)
        self.gateway = Gateway(self.aws, OwnedModels(["ecs"]), self.logs, config, _no_git, _no_git, {})
        self.engine = self  # type: ignore[assignment]
        self.store.fuse = self.aws.fuse = lambda point: self.fuse(point)
        dispatch = self.aws.dispatch

        async def checked(call: Call) -> Answer:
            answer = await dispatch(call)
            if call.service == "ecs":
                check_answer(call, answer)
            return answer

        self.aws.dispatch = checked  # type: ignore[method-assign]
        self.run(self.room.start())

    def close(self) -> None:
        self.run(self.runner.close())
        self.run(self.room.close())
        self.store.close()
        self.loop.close()

    def _health_changed(self, group_arn: str) -> None:
        with self.store.transaction() as tx:
            self.runs.wake(tx, health_topic(REGION, group_arn))

    @property
    def client(self) -> Any:
        return self.boto("ecs", REGION)

    # What a test says often

    def register(self, family: str = "web", **more: Any) -> str:
        """A task definition with one container that listens on 80. `more`: further members of the container."""
        container: dict[str, Any] = {
            "name": "app",
            "image": "shop:latest",
            "memory": 128,
            "portMappings": [{"containerPort": 80, "hostPort": 0}],
            **more,
        }
        answer = self.client.register_task_definition(family=family, containerDefinitions=[container])
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def create(self, controller: str = "CODE_DEPLOY", **more: Any) -> dict[str, Any]:
        """Cluster shop, service web of two tasks behind target group blue."""
        self.client.create_cluster(clusterName="shop")
        self.blue = self.balancer.add("blue")
        self.green = self.balancer.add("green", is_used=False)
        asked: dict[str, Any] = {
            "cluster": "shop",
            "serviceName": "web",
            "desiredCount": 2,
            "deploymentController": {"type": controller},
        }
        if controller != "EXTERNAL":
            asked |= {"taskDefinition": self.register(), "loadBalancers": [balanced(self.blue)]}
        created: dict[str, Any] = self.client.create_service(**{**asked, **more})["service"]
        return created

    def serve(self, controller: str = "CODE_DEPLOY", **more: Any) -> dict[str, Any]:
        """As `create`, and the service has reached its steady state."""
        self.create(controller, **more)
        self.tick()
        self.balancer.set_health(self.blue, "healthy")
        self.tick()
        return self.service()

    def service(self, name: str = "web") -> dict[str, Any]:
        (service,) = self.client.describe_services(cluster="shop", services=[name])["services"]
        return service  # type: ignore[no-any-return]

    def add_green(self, **more: Any) -> dict[str, Any]:
        asked = {
            "cluster": "shop",
            "service": "web",
            "taskDefinition": self.register(),
            "loadBalancers": [balanced(self.green)],
        }
        created: dict[str, Any] = self.client.create_task_set(**{**asked, **more})["taskSet"]
        return created

    def tasks(self, status: str = "RUNNING", **only: Any) -> list[dict[str, Any]]:
        arns = self.client.list_tasks(cluster="shop", desiredStatus=status, **only)["taskArns"]
        if not arns:
            return []
        tasks: list[dict[str, Any]] = self.client.describe_tasks(cluster="shop", tasks=arns)["tasks"]
        return tasks

    def messages(self) -> list[str]:
        return [event["message"] for event in self.service()["events"]]


def balanced(group_arn: str, port: int = 80) -> dict[str, Any]:
    return {"targetGroupArn": group_arn, "containerName": "app", "containerPort": port}


def name_of(task: dict[str, Any], container: str = "app") -> str:
    """The workload of a task's container."""
    return f"{task['taskArn'].rsplit('/', 1)[1]}-{container}"


async def _no_git(*_: Any) -> None:
    raise AssertionError("git is not ecs's")
