"""CodeDeployToECS: a new revision of the task definition, put behind the load balancer by a CodeDeploy deployment.

The steps are AWS's: read imageDetail.json, put the images into taskdef.json, register it, put its ARN into the
AppSpec, register that as a revision, create the deployment, wait for its end. Where a turnout.yml lies beside the
AppSpec, a comment in the AppSpec says where. The action is Failed whenever the new version is not the one serving in
the end, a rollback that went well included.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from turnout.aws import Aws
from turnout.codepipeline.actions.bundle import Bundle, read_bundle
from turnout.codepipeline.actions.job import DAY_S, Job, Provider
from turnout.codepipeline.actions.templates import (
    PLACEHOLDER,
    image_uri_of,
    task_definition_named_in,
    task_definition_of,
)
from turnout.errors import AwsError, StepFailed
from turnout.hookplace import HOOK_FILE, HookPlace, with_place
from turnout.runner import Done, Wait
from turnout.runs import run_topic

LARGEST_BYTES = 3 * 1024 * 1024
"""AWS's limit of an input artifact of this action."""
LOOK_AGAIN_S = 60.0
IMAGES = (1, 2, 3, 4)


class CodeDeployToEcs:
    provider = Provider(
        "CodeDeployToECS",
        ("Deploy",),
        required=(
            "ApplicationName",
            "DeploymentGroupName",
            "TaskDefinitionTemplateArtifact",
            "AppSpecTemplateArtifact",
        ),
        optional=(
            "TaskDefinitionTemplatePath",
            "AppSpecTemplatePath",
            *(f"Image{n}{member}" for n in IMAGES for member in ("ArtifactName", "ContainerName")),
        ),
        inputs=(1, 5),
        timeout_s=5 * DAY_S,
    )

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def faults(self, configuration: Mapping[str, str], inputs: tuple[str, ...], outputs: int) -> Iterator[str]:
        keys = ["TaskDefinitionTemplateArtifact", "AppSpecTemplateArtifact"]
        for n in IMAGES:
            artifact, container = f"Image{n}ArtifactName", f"Image{n}ContainerName"
            if (artifact in configuration) != (container in configuration):
                yield f"{artifact} and {container} must be given together"
            keys.append(artifact)
        for key in keys:
            if key in configuration and configuration[key] not in inputs:
                yield f"{key} {configuration[key]} is not one of the input artifacts: {', '.join(inputs)}"

    async def ensure(self, job: Job) -> Done | Wait:
        deployment_id = job.facts.get("externalExecutionId")
        if deployment_id is None:
            deployment_id = await self._deploy(job)
            job.learn(externalExecutionId=deployment_id)
        answer = await self._aws.call("codedeploy", "GetDeployment", job.region, deploymentId=deployment_id)
        deployment = answer["deploymentInfo"]
        status = deployment["status"]
        if status == "Succeeded":
            job.learn(summary="Deployment Succeeded")
            return Done()
        if status in ("Failed", "Stopped"):
            raise StepFailed("JobFailed", failure_of(deployment_id, deployment))
        job.learn(summary=f"Deployment {deployment_id} is {status}")
        return Wait(
            LOOK_AGAIN_S,
            f"deployment {deployment_id} is {status}",
            on=run_topic("codedeploy", job.region, deployment_id),
        )

    async def _deploy(self, job: Job) -> str:
        """Everything up to a deployment under way. After a crash each call answers as it did before."""
        configuration = job.configuration
        bundles: dict[str, Bundle] = {}
        images: dict[str, str] = {}
        for n in IMAGES:
            if (artifact := configuration.get(f"Image{n}ArtifactName")) is not None:
                where, text = await self._file(job, bundles, artifact, "imageDetail.json", "image")
                images[configuration[f"Image{n}ContainerName"]] = image_uri_of(text, where)
        where, text = await self._file(
            job,
            bundles,
            configuration["TaskDefinitionTemplateArtifact"],
            configuration.get("TaskDefinitionTemplatePath", "taskdef.json"),
            "task definition",
        )
        task_definition = task_definition_of(text, images, where)
        where, app_spec = await self._file(
            job,
            bundles,
            configuration["AppSpecTemplateArtifact"],
            configuration.get("AppSpecTemplatePath", "appspec.yaml"),
            "appspec",
        )
        await self._check_app_spec(job, app_spec, task_definition, where)
        registered = await self._call(job, "ecs", "RegisterTaskDefinition", **task_definition)
        content = app_spec.replace(PLACEHOLDER, registered["taskDefinition"]["taskDefinitionArn"])
        content = with_place(content, self._hook_place(job, bundles))
        revision = {
            "revisionType": "AppSpecContent",
            "appSpecContent": {"content": content, "sha256": hashlib.sha256(content.encode()).hexdigest()},
        }
        application = configuration["ApplicationName"]
        await self._call(
            job, "codedeploy", "RegisterApplicationRevision", applicationName=application, revision=revision
        )
        created = await self._call(
            job,
            "codedeploy",
            "CreateDeployment",
            applicationName=application,
            deploymentGroupName=configuration["DeploymentGroupName"],
            revision=revision,
            description=await self._description(job),
        )
        return str(created["deploymentId"])

    def _hook_place(self, job: Job, bundles: dict[str, Bundle]) -> HookPlace | None:
        """The turnout.yml beside the AppSpec, if there is one."""
        bundle = bundles[job.configuration["AppSpecTemplateArtifact"]]
        path = job.configuration.get("AppSpecTemplatePath", "appspec.yaml").removeprefix("./")
        beside = posixpath.join(posixpath.dirname(path), HOOK_FILE)
        return HookPlace(bundle.artifact.bucket, bundle.artifact.key, beside) if beside in bundle.names else None

    async def _description(self, job: Job) -> str:
        """Which execution brings which commit: the receipt of the deployment names it, too."""
        answer = await self._aws.call(
            "codepipeline",
            "GetPipelineExecution",
            job.region,
            pipelineName=job.pipeline,
            pipelineExecutionId=job.execution_id,
        )
        revisions = answer["pipelineExecution"]["artifactRevisions"]
        brought = [revision["revisionId"] for revision in revisions if revision.get("revisionId")]
        return f"CodePipeline {job.pipeline}, execution {job.execution_id}: {', '.join(brought)}"

    async def _check_app_spec(self, job: Job, text: str, task_definition: dict[str, Any], where: str) -> None:
        """Refuse an AppSpec that would deploy something else than this task definition.

        On AWS such a deployment succeeds, and leaves the old version serving: here red is red. A task definition that
        the build itself has registered is as good, if it runs the same images.
        """
        named = task_definition_named_in(text, where)
        if named in (PLACEHOLDER, task_definition["family"]):
            return
        found = await self._call(job, "ecs", "DescribeTaskDefinition", taskDefinition=named)
        if images_of(found["taskDefinition"]) != images_of(task_definition):
            raise StepFailed(
                "ConfigurationError",
                f"{where} names the task definition {named} instead of {PLACEHOLDER}, and that runs"
                f" {images_of(found['taskDefinition'])}, not {images_of(task_definition)}: the new version would not be"
                " the one serving",
            )

    async def _file(self, job: Job, bundles: dict[str, Bundle], artifact: str, path: str, what: str) -> tuple[str, str]:
        """("path of artifact X", its text)"""
        if artifact not in bundles:
            bundles[artifact] = await read_bundle(self._aws, job.region, job.inputs[artifact], LARGEST_BYTES)
        text = bundles[artifact].find(path)
        if text is None:
            there = ", ".join(bundles[artifact].names[:20]) or "no file at all"
            raise StepFailed(
                "ConfigurationError",
                f"Exception while trying to read the {what} artifact file from: {artifact}."
                f" There is no {path} in it, but {there}",
            )
        return f"{artifact}/{path}", text

    async def _call(self, job: Job, service: str, operation: str, **params: Any) -> dict[str, Any]:
        try:
            return await self._aws.call(service, operation, job.region, cause=job.cause, **params)
        except AwsError as error:
            raise StepFailed("JobFailed", f"{operation} was refused: {error.message} ({error.code})") from error


def images_of(task_definition: Mapping[str, Any]) -> dict[str, str]:
    return {container["name"]: container["image"] for container in task_definition["containerDefinitions"]}


def failure_of(deployment_id: str, deployment: Mapping[str, Any]) -> str:
    error = deployment.get("errorInformation") or {}
    rollback = (deployment.get("rollbackInfo") or {}).get("rollbackMessage")
    text = f"Deployment {deployment_id} failed. Error code: {error.get('code')}; Error message: {error.get('message')}"
    return f"{text} {rollback}" if rollback else text
