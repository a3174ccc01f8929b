"""CodeBuild: a build of the input artifacts, whose own artifacts become the outputs. Build and Test are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from turnout.aws import Aws
from turnout.codepipeline.actions.job import HOUR_S, Artifact, Job, Provider
from turnout.errors import StepFailed
from turnout.runner import Done, Wait
from turnout.runs import run_topic

VARIABLE_TYPES = ("PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER")
LOOK_AGAIN_S = 60.0
"""The end of the build wakes the action; this is for a project that vanished with its builds."""


class CodeBuildAction:
    provider = Provider(
        "CodeBuild",
        ("Build", "Test"),
        required=("ProjectName",),
        optional=("PrimarySource", "EnvironmentVariables", "BatchEnabled", "CombineArtifacts"),
        json=("EnvironmentVariables",),
        inputs=(1, 5),
        outputs=(0, 5),
        timeout_s=8 * HOUR_S,
    )

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def faults(self, configuration: Mapping[str, str], inputs: tuple[str, ...], outputs: int) -> Iterator[str]:
        for key in ("BatchEnabled", "CombineArtifacts"):
            if configuration.get(key, "false").lower() != "false":
                yield f"{key} is not implemented by turnout: batch builds are not"
        primary = configuration.get("PrimarySource")
        if primary is None and len(inputs) > 1:
            yield "PrimarySource is required if there is more than one input artifact"
        if primary is not None and primary not in inputs:
            yield f"PrimarySource {primary} is not one of the input artifacts: {', '.join(inputs)}"
        try:
            variables_of(configuration)
        except ValueError as error:
            yield f"EnvironmentVariables: {error}"

    async def ensure(self, job: Job) -> Done | Wait:
        build_id = job.facts.get("externalExecutionId")
        if build_id is None:
            answer = await self._aws.call(
                "codebuild", "StartBuild", job.region, cause=job.cause, **start_build_input(job)
            )
            build_id = answer["build"]["id"]
            job.learn(externalExecutionId=build_id)
        builds = await self._aws.call("codebuild", "BatchGetBuilds", job.region, ids=[build_id])
        if not builds.get("builds"):
            raise StepFailed("JobFailed", f"Build {build_id} does not exist any more")
        build = builds["builds"][0]
        logs = build.get("logs", {})
        if logs.get("cloudWatchLogsArn"):
            job.learn(logStreamARN=logs["cloudWatchLogsArn"])
        status = build["buildStatus"]
        if status == "IN_PROGRESS":
            why = f"build {build_id} is in {build.get('currentPhase', 'SUBMITTED')}"
            return Wait(LOOK_AGAIN_S, why, on=run_topic("codebuild", job.region, build_id))
        if status != "SUCCEEDED":
            raise StepFailed("JobFailed", failure_of(build))
        exported = {item["name"]: item.get("value", "") for item in build.get("exportedEnvironmentVariables") or []}
        job.learn(variables=exported)
        return Done()


def start_build_input(job: Job) -> dict[str, Any]:
    """StartBuild's input. `_initiator` is ours: a client cannot say who it is."""
    configuration, outputs = job.configuration, tuple(job.outputs.values())
    primary = configuration.get("PrimarySource") or next(iter(job.inputs))
    secondary = [artifact for name, artifact in job.inputs.items() if name != primary]
    params: dict[str, Any] = {
        "projectName": configuration["ProjectName"],
        "sourceTypeOverride": "CODEPIPELINE",
        "sourceLocationOverride": _location(job.inputs[primary]),
        "environmentVariablesOverride": variables_of(configuration),
        "_initiator": f"codepipeline/{job.pipeline}",
    }
    if secondary:
        params["secondarySourcesOverride"] = [
            {"type": "CODEPIPELINE", "location": _location(artifact), "sourceIdentifier": artifact.name}
            for artifact in secondary
        ]
    if len(outputs) == 1:
        params["artifactsOverride"] = _artifacts(outputs[0])
    elif outputs:
        params["artifactsOverride"] = {"type": "NO_ARTIFACTS"}
        params["secondaryArtifactsOverride"] = [
            {**_artifacts(artifact), "artifactIdentifier": artifact.name} for artifact in outputs
        ]
    else:
        params["artifactsOverride"] = {"type": "NO_ARTIFACTS"}
    return params


def variables_of(configuration: Mapping[str, str]) -> list[dict[str, str]]:
    """The EnvironmentVariables of an action. Raises ValueError with what is wrong."""
    variables = json.loads(configuration.get("EnvironmentVariables") or "[]")
    if not isinstance(variables, list):
        raise ValueError('a JSON list is expected: [{"name": "KEY", "value": "text", "type": "PLAINTEXT"}]')
    for item in variables:
        if not isinstance(item, dict) or not {"name", "value"} <= item.keys() <= {"name", "value", "type"}:
            raise ValueError(f'{json.dumps(item)} is not like {{"name": "KEY", "value": "text", "type": "PLAINTEXT"}}')
        if item.get("type", "PLAINTEXT") not in VARIABLE_TYPES:
            raise ValueError(f"the type of {item['name']} is {item['type']}, not one of {', '.join(VARIABLE_TYPES)}")
    return [
        {"name": str(item["name"]), "value": str(item["value"]), "type": item.get("type", "PLAINTEXT")}
        for item in variables
    ]


def failure_of(build: Mapping[str, Any]) -> str:
    """Why a build is red: the first phase that failed, and what it said."""
    text = f"Build terminated with state: {build['buildStatus']}"
    for phase in build.get("phases") or []:
        if phase.get("phaseStatus") not in (None, "SUCCEEDED", "IN_PROGRESS"):
            contexts = phase.get("contexts") or [{}]
            code, message = contexts[0].get("statusCode"), contexts[0].get("message")
            return f"{text}. Phase: {phase['phaseType']}, Code: {code}, Message: {message}"
    return text


def _location(artifact: Artifact) -> str:
    return f"arn:aws:s3:::{artifact.bucket}/{artifact.key}"


def _artifacts(artifact: Artifact) -> dict[str, str]:
    return {
        "type": "S3",
        "location": artifact.bucket,
        "name": artifact.key,
        "packaging": "ZIP",
        "namespaceType": "NONE",
    }
