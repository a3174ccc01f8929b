"""A world in which only CodePipeline is real: what its actions call is in the test's hands."""

from __future__ import annotations

import asyncio
import io
import zipfile
from types import SimpleNamespace
from typing import Any

from tests.conftest import World
from turnout.aws import Answer, Aws, Call, Event
from turnout.codepipeline.api import MIGRATIONS, CodePipeline
from turnout.config import Config
from turnout.errors import AwsError
from turnout.gateway.models import OwnedModels
from turnout.gateway.server import Gateway
from turnout.names import DEFAULT_REGION
from turnout.runner import Runner
from turnout.runs import SCHEMA, Runs, run_topic
from turnout.store import Store


class FakeOthers:
    """S3 objects in a dictionary, and what was published. Versions count up."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.published: list[dict[str, Any]] = []
        self.is_sns_broken = False

    def put(self, bucket: str, key: str, body: bytes) -> None:
        version = int(self.objects.get((bucket, key), {}).get("VersionId", "0")) + 1
        self.objects[bucket, key] = {"Body": body, "VersionId": str(version), "ETag": f'"{hash(body):x}"'}

    def call(self, service: str, operation: str, region: str, params: Any) -> Answer:
        if operation == "Publish":
            if self.is_sns_broken:
                raise AwsError("InternalError", "sns is down", 500)
            self.published.append(dict(params))
            return {"MessageId": "1"}
        if operation == "CopyObject":
            copied = self.objects[params["CopySource"]["Bucket"], params["CopySource"]["Key"]]
            self.put(params["Bucket"], params["Key"], copied["Body"])
            return {}
        if operation == "PutObject":
            self.put(params["Bucket"], params["Key"], params["Body"])
            return {}
        found = self.objects.get((params["Bucket"], params["Key"]))
        if found is None:
            raise AwsError("NoSuchKey", "The specified key does not exist.", 404)
        size = len(found["Body"])
        return {**found, "ContentLength": size, "LastModified": self._clock.now()} | (
            {} if operation == "GetObject" else {"Body": None}
        )


class FakeCodeCommit:
    """Branches whose heads the test sets; an archive holds the commit's id."""

    def __init__(self, world: PipelineWorld) -> None:
        self._world = world
        self.heads: dict[tuple[str, str], str] = {}
        self.messages: dict[str, str] = {}

    def push(self, commit_id: str, branch: str = "main", repository: str = "app", message: str = "a change") -> None:
        self.heads[repository, branch] = commit_id
        self.messages[commit_id] = message
        detail = {"event": "referenceUpdated", "referenceType": "branch", "referenceName": branch}
        detail |= {"repositoryName": repository, "commitId": commit_id}
        arn = f"arn:aws:codecommit:{DEFAULT_REGION}:000000000000:{repository}"
        at = self._world.clock.now()
        name = "CodeCommit Repository State Change"
        with self._world.store.transaction() as tx:
            self._world.aws.announce(tx, Event("aws.codecommit", name, DEFAULT_REGION, (arn,), detail, at))

    def get_branch(self, call: Call) -> Answer:
        head = self.heads.get((call["repositoryName"], call["branchName"]))
        if head is None:
            raise AwsError("BranchDoesNotExistException", f"{call['branchName']} does not exist")
        return {"branch": {"branchName": call["branchName"], "commitId": head}}

    def get_commit(self, call: Call) -> Answer:
        who = {"name": "Ann", "email": "ann@example.com", "date": "1484167798 -0800"}
        message = self.messages[call["commitId"]]
        return {"commit": {"commitId": call["commitId"], "message": message, "author": who, "committer": who}}

    async def upload_archive(self, call: Call) -> Answer:
        body = zipped({"commit": call["commitId"]})
        await self._world.aws.call("s3", "PutObject", call.region, Bucket=call["bucket"], Key=call["key"], Body=body)
        return {}


class FakeJobs:
    """Work that begins when it is asked for and ends when the test says so. The same cause begins it once."""

    def __init__(self, world: PipelineWorld, kind: str) -> None:
        self._world = world
        self._kind = kind
        self.inputs: dict[str, dict[str, Any]] = {}
        self.states: dict[str, dict[str, Any]] = {}
        self._caused: dict[str, str] = {}

    def begin(self, call: Call, name: str, state: dict[str, Any]) -> str:
        assert call.cause is not None
        if call.cause not in self._caused:
            self._caused[call.cause] = name
            self.inputs[name] = call.input
            self.states[name] = state
        return self._caused[call.cause]

    def end(self, name: str, **state: Any) -> None:
        self.states[name] |= state
        with self._world.store.transaction() as tx:
            self._world.runs.wake(tx, run_topic(self._kind, DEFAULT_REGION, name))
        self._world.tick()


class FakeCodeBuild(FakeJobs):
    def start_build(self, call: Call) -> Answer:
        state = {"buildStatus": "IN_PROGRESS", "currentPhase": "BUILD"}
        return {"build": {"id": self.begin(call, f"{call['projectName']}:{len(self.states) + 1}", state)}}

    def batch_get_builds(self, call: Call) -> Answer:
        return {"builds": [{"id": name, **self.states[name]} for name in call["ids"] if name in self.states]}

    def succeed(self, name: str, files: dict[str, str] | None = None, **variables: str) -> None:
        """End a build, with `files` in its first artifact."""
        wanted = self.inputs[name]
        for artifacts in [wanted["artifactsOverride"], *wanted.get("secondaryArtifactsOverride", [])]:
            if artifacts["type"] == "S3":
                self._world.others.put(artifacts["location"], artifacts["name"], zipped(files or DEPLOYABLE))
        exported = [{"name": key, "value": value} for key, value in variables.items()]
        self.end(name, buildStatus="SUCCEEDED", exportedEnvironmentVariables=exported)


class FakeCodeDeploy(FakeJobs):
    def __init__(self, world: PipelineWorld, kind: str) -> None:
        super().__init__(world, kind)
        self.is_busy = False

    def register_application_revision(self, call: Call) -> Answer:
        return {}

    def create_deployment(self, call: Call) -> Answer:
        if self.is_busy:
            message = f"The Deployment Group '{call['deploymentGroupName']}' already has an active Deployment 'd-OTHER'"
            raise AwsError("DeploymentLimitExceededException", message)
        return {"deploymentId": self.begin(call, f"d-{len(self.states) + 1}", {"status": "InProgress"})}

    def get_deployment(self, call: Call) -> Answer:
        name = call["deploymentId"]
        return {"deploymentInfo": {"deploymentId": name, **self.states[name]}}


class FakeEcs:
    def __init__(self) -> None:
        self.registered: dict[str, dict[str, Any]] = {}
        self._caused: dict[str, str] = {}

    def register_task_definition(self, call: Call) -> Answer:
        assert call.cause is not None
        if call.cause not in self._caused:
            family = f"{call['family']}:{len(self.registered) + 1}"
            arn = f"arn:aws:ecs:{call.region}:000000000000:task-definition/{family}"
            self.registered[arn] = call.input
            self._caused[call.cause] = arn
        return {"taskDefinition": {"taskDefinitionArn": self._caused[call.cause], **call.input}}

    def describe_task_definition(self, call: Call) -> Answer:
        return {
            "taskDefinition": {"taskDefinitionArn": call["taskDefinition"], **self.registered[call["taskDefinition"]]}
        }


class PipelineWorld(World):
    """The engine of the other tests, with one room; `reboot` keeps what the fakes know."""

    def __init__(self, home: Any) -> None:
        self.codecommit = FakeCodeCommit(self)
        self.codebuild = FakeCodeBuild(self, "codebuild")
        self.codedeploy = FakeCodeDeploy(self, "codedeploy")
        self.ecs = FakeEcs()
        self.events: list[Event] = []
        self.others: Any = None
        super().__init__(home)

    def boot(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.others = self.others or FakeOthers(self.clock)
        self.store = Store(self.home / "pipeline.sqlite", {"runs": SCHEMA, "codepipeline": MIGRATIONS})
        self.store.one("PRAGMA synchronous = OFF")  # a test's kill is no power cut: nothing waits for the disk
        self.runs = Runs(self.store, self.clock)
        self.aws = Aws(self.others)
        self.store.fuse = self.aws.fuse = lambda point: self.fuse(point)
        config = Config(home=self.home)
        self.codepipeline = CodePipeline(self.store, self.runs, self.aws, self.clock, config)
        for name in ("codepipeline", "codecommit", "codebuild", "codedeploy", "ecs"):
            self.aws.own(name, getattr(self, name))
        self.aws.listen(self.codepipeline.heard)
        self.aws.listen(lambda tx, event: self.events.append(event))
        models = OwnedModels(["codepipeline"])
        runner = Runner(self.runs, self.codepipeline.plans, self.clock)
        gateway = Gateway(self.aws, models, self.others, config, lambda *_: None, lambda *_: None, {})
        self.engine: Any = SimpleNamespace(gateway=gateway, runner=runner, close=self._close)
        self._check_every_answer()

    async def _close(self) -> None:
        self.store.close()

    def told(self, what: str) -> list[str]:
        """The states that were announced for pipelines, stages ("Build SUCCEEDED") or actions, in their order."""
        events = [event.detail for event in self.events if event.detail_type.startswith(f"CodePipeline {what} ")]
        return [f"{detail.get(what.lower(), '')} {detail['state']}".strip() for detail in events]


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


TASK_DEFINITION = '{"family": "web", "containerDefinitions": [{"name": "web", "image": "repo@sha256:1", "memory": 64}]}'
APP_SPEC = """version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo: {ContainerName: web, ContainerPort: 80}
"""
DEPLOYABLE = {"taskdef.json": TASK_DEFINITION, "appspec.yml": APP_SPEC}
