"""StartBuild: the project with the overrides of one build. Pure."""

from __future__ import annotations

from typing import Any

from turnout.aws import Call
from turnout.codebuild.rules import (
    check_artifacts,
    check_cache,
    check_runs_here,
    check_sources,
    completed_artifacts,
    completed_source,
    invalid,
)

_COPIED = (
    "source",
    "secondarySources",
    "secondarySourceVersions",
    "sourceVersion",
    "artifacts",
    "secondaryArtifacts",
    "cache",
    "environment",
    "serviceRole",
    "timeoutInMinutes",
    "queuedTimeoutInMinutes",
    "encryptionKey",
    "vpcConfig",
    "logsConfig",
    "fileSystemLocations",
    "autoRetryLimit",
)
_SOURCE_OVERRIDES = {
    "sourceTypeOverride": "type",
    "sourceLocationOverride": "location",
    "sourceAuthOverride": "auth",
    "gitCloneDepthOverride": "gitCloneDepth",
    "gitSubmodulesConfigOverride": "gitSubmodulesConfig",
    "buildspecOverride": "buildspec",
    "insecureSslOverride": "insecureSsl",
    "reportBuildStatusOverride": "reportBuildStatus",
    "buildStatusConfigOverride": "buildStatusConfig",
}
_ENVIRONMENT_OVERRIDES = {
    "environmentTypeOverride": "type",
    "imageOverride": "image",
    "computeTypeOverride": "computeType",
    "certificateOverride": "certificate",
    "privilegedModeOverride": "privilegedMode",
    "registryCredentialOverride": "registryCredential",
    "imagePullCredentialsTypeOverride": "imagePullCredentialsType",
    "fleetOverride": "fleet",
    "hostKernelOverride": "hostKernel",
}
_BUILD_OVERRIDES = {
    "sourceVersion": "sourceVersion",
    "secondarySourcesVersionOverride": "secondarySourceVersions",
    "cacheOverride": "cache",
    "serviceRoleOverride": "serviceRole",
    "timeoutInMinutesOverride": "timeoutInMinutes",
    "queuedTimeoutInMinutesOverride": "queuedTimeoutInMinutes",
    "encryptionKeyOverride": "encryptionKey",
    "debugSessionEnabled": "debugSessionEnabled",
    "autoRetryLimitOverride": "autoRetryLimit",
}


def build_spec(project: dict[str, Any], call: Call) -> dict[str, Any]:
    """What one build is made of. Raises AwsError InvalidInputException."""
    spec = {member: project[member] for member in _COPIED if project.get(member) is not None}
    spec |= _given(call, _BUILD_OVERRIDES)
    spec["source"] = {**spec["source"], **_given(call, _SOURCE_OVERRIDES)}
    if call.get("secondarySourcesOverride") is not None:
        spec["secondarySources"] = [completed_source(source) for source in call["secondarySourcesOverride"]]
    if call.get("artifactsOverride") is not None:
        spec["artifacts"] = completed_artifacts(call["artifactsOverride"], project["name"])
    if call.get("secondaryArtifactsOverride") is not None:
        spec["secondaryArtifacts"] = [
            completed_artifacts(artifacts, artifacts.get("artifactIdentifier", ""))
            for artifacts in call["secondaryArtifactsOverride"]
        ]
    variables = {variable["name"]: variable for variable in spec["environment"]["environmentVariables"]}
    for variable in call.get("environmentVariablesOverride") or []:
        variables[variable["name"]] = {"type": "PLAINTEXT", **variable}
    spec["environment"] = {
        **spec["environment"],
        **_given(call, _ENVIRONMENT_OVERRIDES),
        "environmentVariables": list(variables.values()),
    }
    logs = call.get("logsConfigOverride") or {}
    spec["logsConfig"] = {
        "cloudWatchLogs": logs.get("cloudWatchLogs") or spec["logsConfig"]["cloudWatchLogs"],
        "s3Logs": {**spec["logsConfig"]["s3Logs"], **(logs.get("s3Logs") or {})},
    }
    # A client cannot say who it is; a pipeline can.
    spec["initiator"] = call.get("_initiator") or call.principal.replace("/", ":").rpartition(":")[2]
    spec["request"] = {} if call.cause is not None else call.input
    check_sources(spec, call.region)
    check_artifacts(spec)
    check_cache(spec["cache"])
    check_runs_here(spec)
    if "CODEPIPELINE" in {artifacts["type"] for artifacts in (spec["artifacts"], *spec["secondaryArtifacts"])}:
        raise invalid("The artifacts type of the project is CODEPIPELINE: give an artifactsOverride")
    return spec


def _given(call: Call, overrides: dict[str, str]) -> dict[str, Any]:
    return {member: call[override] for override, member in overrides.items() if call.get(override) is not None}
