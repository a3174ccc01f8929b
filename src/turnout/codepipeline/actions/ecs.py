"""ECS, the standard action: a rolling update of a service to new images.

The service's own task definition, with the images that imagedefinitions.json gives to its containers, becomes a new
revision, and UpdateService the way to it. A service under CODE_DEPLOY refuses that: it is for CodeDeployToECS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from turnout.aws import Aws
from turnout.codepipeline.actions.bundle import read_bundle
from turnout.codepipeline.actions.job import Job, Provider
from turnout.errors import AwsError, StepFailed
from turnout.names import arn, resource_of
from turnout.runner import Done, Wait
from turnout.taskdef import registrable

LARGEST_BYTES = 1 << 30
LARGEST_FILE = 100 * 1024
"""AWS's limit of imagedefinitions.json."""
LOOK_AGAIN_S = 15.0


class EcsDeploy:
    provider = Provider(
        "ECS",
        ("Deploy",),
        required=("ClusterName", "ServiceName"),
        optional=("FileName", "DeploymentTimeout"),
        inputs=(1, 1),
        timeout_minutes_key="DeploymentTimeout",
    )

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def faults(self, configuration: Mapping[str, str], inputs: tuple[str, ...], outputs: int) -> Iterator[str]:
        minutes = configuration.get("DeploymentTimeout", "60")
        if not minutes.isdigit() or not 1 <= int(minutes) <= 60:
            yield f"DeploymentTimeout is 1 to 60 minutes, not {minutes}"

    async def ensure(self, job: Job) -> Done | Wait:
        cluster, service = job.configuration["ClusterName"], job.configuration["ServiceName"]
        task_definition = job.facts.get("taskDefinition")
        if task_definition is None:
            task_definition = await self._update(job, cluster, service)
            job.learn(taskDefinition=task_definition)
        found = await self._service(job, cluster, service)
        deployment = next((d for d in found["deployments"] if d["taskDefinition"] == task_definition), None)
        state, reason = (deployment or {}).get("rolloutState"), (deployment or {}).get("rolloutStateReason")
        if deployment is not None:
            job.learn(externalExecutionId=deployment["id"], summary=reason)
        if state == "FAILED":
            raise self._failed(job, service, reason)
        if deployment is None or deployment["status"] != "PRIMARY":
            # It has been rolled back, and what is left of it may be gone already; or somebody else has deployed.
            outcome = await self._outcome(job, found["serviceArn"])
            if outcome.get("status", "").startswith("ROLLBACK"):
                raise self._failed(job, service, outcome.get("statusReason"))
            raise StepFailed(
                "JobFailed", f"Another deployment of {service} has replaced {resource_of(task_definition)}"
            )
        if state == "COMPLETED":
            return Done()
        why = f"{deployment['runningCount']} of {deployment['desiredCount']} tasks of {service} run the new images"
        name = resource_of(found["serviceArn"]).removeprefix("service/")
        task_set = arn("ecs", job.region, f"task-set/{name}/{deployment['id']}")
        return Wait(LOOK_AGAIN_S, why, on=f"ecs.taskset/{job.region}/{task_set}")

    def _failed(self, job: Job, service: str, reason: Any) -> StepFailed:
        return StepFailed(
            "JobFailed", f"Deployment {job.facts.get('externalExecutionId')} of {service} failed: {reason}"
        )

    async def _outcome(self, job: Job, service_arn: str) -> dict[str, Any]:
        """The service deployment of our revision, which has the number of our deployment; nothing if there is none."""
        number = str(job.facts.get("externalExecutionId", "")).rpartition("/")[2]
        answer = await self._call(job, "ListServiceDeployments", service=service_arn)
        for one in answer["serviceDeployments"]:
            if number and one["targetServiceRevisionArn"].endswith(f"/{number}"):
                return dict(one)
        return {}

    async def _update(self, job: Job, cluster: str, service: str) -> str:
        """The ARN of the new revision, which the service is told to run. Asked again, both answer as before."""
        images = await self._images(job)
        found = await self._service(job, cluster, service)
        answer = await self._call(job, "DescribeTaskDefinition", taskDefinition=found["taskDefinition"])
        definition = registrable(answer["taskDefinition"])
        containers = {container["name"]: container for container in definition["containerDefinitions"]}
        if unknown := sorted(images.keys() - containers.keys()):
            raise StepFailed(
                "ConfigurationError",
                f"The task definition {definition['family']} has no container {', '.join(unknown)}, only"
                f" {', '.join(containers)}",
            )
        for name, image in images.items():
            containers[name]["image"] = image
        registered = await self._call(job, "RegisterTaskDefinition", cause=job.cause, **definition)
        task_definition = str(registered["taskDefinition"]["taskDefinitionArn"])
        await self._call(job, "UpdateService", cluster=cluster, service=service, taskDefinition=task_definition)
        return task_definition

    async def _images(self, job: Job) -> dict[str, str]:
        """Container → image, from imagedefinitions.json."""
        (artifact,) = job.inputs.values()
        file = job.configuration.get("FileName", "imagedefinitions.json")
        text = (await read_bundle(self._aws, job.region, artifact, LARGEST_BYTES)).find(file)
        if text is None:
            raise StepFailed(
                "ConfigurationError",
                f"Did not find the image definition file {file} in the input artifacts ZIP file. Verify the file is"
                f" stored in your pipeline's Amazon S3 artifact bucket: {artifact.bucket} key: {artifact.key}",
            )
        try:
            if len(text) > LARGEST_FILE:
                raise ValueError(f"it has {len(text)} characters")
            return {str(item["name"]): str(item["imageUri"]) for item in json.loads(text)}
        except (ValueError, TypeError, KeyError) as error:
            raise StepFailed(
                "ConfigurationError",
                f'{file} is not like [{{"name": "container", "imageUri": "repository@sha256:…"}}] of at most 100 KB:'
                f" {error}",
            ) from error

    async def _service(self, job: Job, cluster: str, service: str) -> dict[str, Any]:
        answer = await self._call(job, "DescribeServices", cluster=cluster, services=[service])
        if not answer.get("services"):
            raise StepFailed("ConfigurationError", f"There is no service {service} in cluster {cluster}")
        found: dict[str, Any] = answer["services"][0]
        return found

    async def _call(self, job: Job, operation: str, cause: str | None = None, **params: Any) -> dict[str, Any]:
        try:
            return await self._aws.call("ecs", operation, job.region, cause=cause, **params)
        except AwsError as error:
            raise StepFailed("JobFailed", f"{operation} was refused: {error.message} ({error.code})") from error
