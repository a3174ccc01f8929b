"""An engine with the room codedeploy alone, over the fakes of what it reaches; boto3 speaks to it without sockets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

from tests.conftest import World
from tests.fakes.bluegreen import CLUSTER, PROD, SERVICE, TEST, FakeBalancer, FakeEcs
from tests.fakes.shapes import check_answer
from turnout.aws import Answer, Aws, Call, Event
from turnout.clock import ManualClock
from turnout.cloudwatch.api import MIGRATIONS as CLOUDWATCH
from turnout.cloudwatch.api import CloudWatch
from turnout.codedeploy.api import MIGRATIONS, CodeDeploy
from turnout.config import Config
from turnout.errors import AwsError
from turnout.gateway.models import OwnedModels
from turnout.gateway.server import Gateway
from turnout.names import DEFAULT_REGION
from turnout.receipts import SCHEMA as RECEIPTS
from turnout.receipts import Receipts
from turnout.runner import Runner
from turnout.runs import SCHEMA, Runs
from turnout.samples import SCHEMA as SAMPLES
from turnout.samples import Samples
from turnout.store import Store

MEMORY = {"runs": SCHEMA, "samples": SAMPLES, "receipts": RECEIPTS}
ROLE = "arn:aws:iam::000000000000:role/codedeploy"
APPSPEC = """\
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "arn:td/web:2"
        LoadBalancerInfo:
          ContainerName: "app"
          ContainerPort: 80
"""


class Elsewhere:
    """moto, as far as a deployment asks for it: an object in S3, and the last lines of a log."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.published: list[dict[str, Any]] = []

    def call(self, service: str, operation: str, region: str, params: Any) -> Answer:
        if operation == "GetObject" and params["Key"] in self.objects:
            body = self.objects[params["Key"]]
            return {"Body": body, "ETag": f'"{hashlib.md5(body).hexdigest()}"'}
        if operation == "Publish":
            self.published.append(dict(params))
            return {"MessageId": "1"}
        if operation == "GetLogEvents":
            return {"events": [{"message": f"last words in {params['logStreamName']}"}]}
        raise AwsError("NoSuchKey", "The specified key does not exist.")

    def handle(self, *_: Any) -> Any:
        raise AssertionError("a request that codedeploy does not own")


class FakeLambda:
    """Functions that outlive the engine. `fate` by name: what the function does; by itself it reports Succeeded."""

    def __init__(self, shop: Deploying) -> None:
        self._shop = shop
        self.fate: dict[str, str] = {}
        self.invoked: dict[str | None, dict[str, Any]] = {}
        """cause → the event that the function was given"""

    async def invoke(self, call: Call) -> Answer:
        """succeed, fail, raise, missing; silent: it returns and reports nothing."""
        fate = self.fate.get(call["FunctionName"], "succeed")
        if fate == "missing":
            raise AwsError("ResourceNotFoundException", f"Function not found: {call['FunctionName']}", 404)
        event = json.loads(call["Payload"])
        is_first = call.cause not in self.invoked
        self.invoked[call.cause] = event
        answer: Answer = {"StatusCode": 200, "LogResult": base64.b64encode(b"checking\n1 page is wrong\n").decode()}
        if fate == "raise":
            said = b'{"errorType": "ValueError", "errorMessage": "not today"}'
            return {**answer, "FunctionError": "Unhandled", "Payload": said}
        if is_first and fate in ("succeed", "fail"):
            verdict = {"succeed": "Succeeded", "fail": "Failed"}[fate]
            await self._shop.put_status(event["DeploymentId"], event["LifecycleEventHookExecutionId"], verdict)
        return answer


class Deploying(World):
    """`boot` is what differs from `World`: no Engine, one room."""

    def __init__(self, home: Path, *, is_direct: bool = False) -> None:
        clock = ManualClock()
        self.is_direct = is_direct
        self.ecs = FakeEcs(clock)
        self.balancer = FakeBalancer(clock, self.ecs)
        self.elsewhere = Elsewhere()
        self.functions = FakeLambda(self)
        self.events: list[Event] = []
        super().__init__(home, clock)

    def boot(self) -> None:
        self.loop = asyncio.new_event_loop()
        config = Config(home=self.home, port=4566)
        self.store = Store(config.database, {**MEMORY, "codedeploy": MIGRATIONS, "cloudwatch": CLOUDWATCH})
        self.store._connection.execute("PRAGMA synchronous = OFF")  # an engine is killed here, the machine never is
        self.runs = Runs(self.store, self.clock)
        self.aws = Aws(self.elsewhere)
        self.samples = Samples(self.runs, self.aws, self.clock, self.balancer)
        self.receipts = Receipts(self.runs, self.samples)
        self.room = CodeDeploy(self.store, self.runs, self.aws, self.clock, config, self.balancer, self.receipts)
        for service, room in (("codedeploy", self.room), ("ecs", self.ecs), ("elbv2", self.balancer)):
            self.aws.own(service, room)
        self.cloudwatch = CloudWatch(self.store, self.runs, self.aws, self.clock, self.elsewhere)
        self.aws.share("cloudwatch", self.cloudwatch)
        self.aws.share("lambda", self.functions)
        self.codedeploy_answers_are_checked()
        self.aws.listen(lambda tx, event: self.events.append(event) if event.source == "aws.codedeploy" else None)
        self.runner = Runner(self.runs, [*self.room.plans, *self.cloudwatch.plans], self.clock)
        self.gateway = Gateway(self.aws, OwnedModels(["codedeploy"]), self.elsewhere, config, _no_git, _no_git, {})
        self.engine = self  # type: ignore[assignment]
        self.store.fuse = self.aws.fuse = lambda point: self.fuse(point)
        self.run(self.room.start())
        self.client: Any = Direct(self) if self.is_direct else self.boto("codedeploy")

    def codedeploy_answers_are_checked(self) -> None:
        """Those of the fakes are not: they leave out what nobody reads."""
        dispatch = self.aws.dispatch

        async def checked(call: Call) -> Answer:
            answer = await dispatch(call)
            if call.service == "codedeploy":
                check_answer(call, answer)
            return answer

        self.aws.dispatch = checked  # type: ignore[method-assign]

    def abandon(self) -> None:
        self.run(self.room.close())
        super().abandon()

    def close(self) -> None:
        self.run(self.runner.close())
        self.run(self.room.close())
        self.store.close()
        self.loop.close()

    def rest(self) -> None:
        """Until nothing is under way. Scripts are real processes: their end is awaited, other waits pass in leaps."""
        deadline = time.monotonic() + 30
        while any(self.runs.of_kind(kind, is_open=True) for kind in ("codedeploy", "codedeploy.hook")):
            assert time.monotonic() < deadline, "did not end"
            self.tick(5)
            self.run(self.runner.wait_due(0.005))

    def create_group(self, **more: Any) -> None:
        """Application shop with the group live, unless `more` says otherwise."""
        self.client.create_application(applicationName="shop", computePlatform="ECS")
        self.client.create_deployment_group(**group(**more))

    def deploy(self, **more: Any) -> str:
        params: dict[str, Any] = {
            "applicationName": "shop",
            "deploymentGroupName": "live",
            "revision": content(APPSPEC),
        }
        deployment_id: str = self.client.create_deployment(**{**params, **more})["deploymentId"]
        return deployment_id

    async def put_status(self, deployment_id: str, execution_id: str, status: str) -> None:
        """What a function does, by the room's own client."""
        params = {"deploymentId": deployment_id, "lifecycleEventHookExecutionId": execution_id, "status": status}
        await self.aws.call("codedeploy", "PutLifecycleEventHookExecutionStatus", DEFAULT_REGION, **params)

    def event(self, deployment_id: str, name: str) -> dict[str, Any]:
        events: list[dict[str, Any]] = self.target(deployment_id)["lifecycleEvents"]
        return next(event for event in events if event["lifecycleEventName"] == name)

    def info(self, deployment_id: str) -> dict[str, Any]:
        info: dict[str, Any] = self.client.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
        return info

    def target(self, deployment_id: str) -> dict[str, Any]:
        answer = self.client.get_deployment_target(deploymentId=deployment_id, targetId=f"{CLUSTER}:{SERVICE}")
        target: dict[str, Any] = answer["deploymentTarget"]["ecsTarget"]
        return target

    def lifecycle(self, deployment_id: str) -> dict[str, str]:
        return {e["lifecycleEventName"]: e["status"] for e in self.target(deployment_id)["lifecycleEvents"]}

    def states(self) -> list[tuple[str, str]]:
        """(deployment, state) of every notification."""
        return [(event.detail["deploymentId"], event.detail["state"]) for event in self.events]

    def wake_green(self) -> None:
        """As ECS does when the counts of the newest task set have changed."""
        with self.store.transaction() as tx:
            self.runs.wake(tx, f"ecs.taskset/{DEFAULT_REGION}/{self.ecs.sets[-1]['taskSetArn']}")


class Direct:
    """The methods of a boto3 client without its protocol: a tenth of its time, for tests by the hundred."""

    def __init__(self, shop: Deploying) -> None:
        self._shop = shop

    def __getattr__(self, method: str) -> Any:
        operation = "".join(word.capitalize() for word in method.split("_"))
        return lambda **params: self._shop.run(self._shop.aws.call("codedeploy", operation, DEFAULT_REGION, **params))


async def _no_git(*_: Any) -> None:
    raise AssertionError("no git here")


def content(text: str) -> dict[str, Any]:
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": text}}


def group(*, wait_minutes: int = 0, ready_minutes: int = 0, has_test: bool = False, **more: Any) -> dict[str, Any]:
    """What create_deployment_group takes."""
    pair: dict[str, Any] = {
        "targetGroups": [{"name": "a"}, {"name": "b"}],
        "prodTrafficRoute": {"listenerArns": [PROD]},
    }
    if has_test:
        pair["testTrafficRoute"] = {"listenerArns": [TEST]}
    ready: dict[str, Any] = {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}
    if ready_minutes:
        ready = {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": ready_minutes}
    terminate = {"action": "TERMINATE", "terminationWaitTimeInMinutes": wait_minutes}
    return {
        "applicationName": "shop",
        "deploymentGroupName": "live",
        "serviceRoleArn": ROLE,
        "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": terminate,
            "deploymentReadyOption": ready,
        },
        "loadBalancerInfo": {"targetGroupPairInfoList": [pair]},
        "ecsServices": [{"serviceName": SERVICE, "clusterName": CLUSTER}],
        "autoRollbackConfiguration": {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]},
        **more,
    }


def hooked(**hooks: str) -> str:
    """APPSPEC with Hooks."""
    return APPSPEC + "Hooks:\n" + "".join(f"  - {event}: {name}\n" for event, name in hooks.items())


def with_file(shop: Deploying, appspec: str, turnout_yml: str, **files: str) -> dict[str, Any]:
    """A revision whose hook file, and what lies beside it, is in S3 as CodeDeployToECS leaves it."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, text in {"turnout.yml": turnout_yml, **files}.items():
            entry = zipfile.ZipInfo(f"deploy/{name}")
            entry.create_system, entry.external_attr = 3, 0o100755 << 16
            archive.writestr(entry, text)
    shop.elsewhere.objects["artifact"] = body.getvalue()
    return content(f"{appspec}# turnout.yml: s3://bucket/artifact#deploy/turnout.yml\n")
