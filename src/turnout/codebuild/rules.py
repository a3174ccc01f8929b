"""What a project must look like, and what AWS fills in. Pure.

https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CreateProject.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from turnout.codebuild.sources import parse_clone_url
from turnout.errors import AwsError
from turnout.names import arn

TIMEOUT_MINUTES = 60
QUEUED_TIMEOUT_MINUTES = 480

_IDENTIFIER = re.compile(r"[A-Za-z0-9_]{1,127}")
_RUNS_HERE = ("CODEPIPELINE", "CODECOMMIT", "S3", "NO_SOURCE")
_NOT_HERE = ("WINDOWS", "MAC_ARM")


def invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)


def completed_project(given: Mapping[str, Any], region: str) -> dict[str, Any]:
    """A project with everything that AWS describes of it by default. `given` has AWS's members."""
    logs = given.get("logsConfig") or {}
    project = {
        **given,
        "arn": arn("codebuild", region, f"project/{given['name']}"),
        "secondarySources": given.get("secondarySources") or [],
        "secondarySourceVersions": given.get("secondarySourceVersions") or [],
        "secondaryArtifacts": given.get("secondaryArtifacts") or [],
        "cache": given.get("cache") or {"type": "NO_CACHE"},
        "timeoutInMinutes": given.get("timeoutInMinutes") or TIMEOUT_MINUTES,
        "queuedTimeoutInMinutes": given.get("queuedTimeoutInMinutes") or QUEUED_TIMEOUT_MINUTES,
        "encryptionKey": given.get("encryptionKey") or arn("kms", region, "alias/aws/s3"),
        "tags": given.get("tags") or [],
        "badge": {"badgeEnabled": bool(given.get("badgeEnabled"))},
        "projectVisibility": given.get("projectVisibility") or "PRIVATE",
        "logsConfig": {
            "cloudWatchLogs": logs.get("cloudWatchLogs") or {"status": "ENABLED"},
            "s3Logs": {"status": "DISABLED", "encryptionDisabled": False, **(logs.get("s3Logs") or {})},
        },
        "environment": {
            "imagePullCredentialsType": "CODEBUILD",
            "privilegedMode": False,
            **given["environment"],
            "environmentVariables": [
                {"type": "PLAINTEXT", **variable} for variable in given["environment"].get("environmentVariables") or []
            ],
        },
        "source": completed_source(given["source"]),
        "artifacts": completed_artifacts(given["artifacts"], given["name"]),
    }
    project["secondarySources"] = [completed_source(source) for source in project["secondarySources"]]
    project["secondaryArtifacts"] = [
        completed_artifacts(artifacts, artifacts.get("artifactIdentifier", ""))
        for artifacts in project["secondaryArtifacts"]
    ]
    project.pop("badgeEnabled", None)
    return project


def completed_source(source: Mapping[str, Any]) -> dict[str, Any]:
    return {"insecureSsl": False, **source}


def completed_artifacts(artifacts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """S3 artifacts are named after the project, and are plain files unless ZIP is asked for."""
    if artifacts["type"] == "NO_ARTIFACTS":
        return {**artifacts}
    defaults = {"name": name, "packaging": "NONE", "encryptionDisabled": False}
    if artifacts["type"] == "S3":
        defaults |= {"namespaceType": "NONE", "overrideArtifactName": False}
    return {**defaults, **artifacts}


def check_project(project: Mapping[str, Any], region: str) -> None:
    """Raises AwsError InvalidInputException. The project is complete."""
    check_sources(project, region)
    check_artifacts(project)
    names = [variable["name"] for variable in project["environment"]["environmentVariables"]]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"Duplicate environment variable names: {name}")
    if project["source"]["type"] == "CODEPIPELINE" and project["artifacts"]["type"] != "CODEPIPELINE":
        raise invalid("When source type is CODEPIPELINE, artifacts type must be CODEPIPELINE")
    if project["source"]["type"] != "CODEPIPELINE" and project["artifacts"]["type"] == "CODEPIPELINE":
        raise invalid("When artifacts type is CODEPIPELINE, source type must be CODEPIPELINE")
    check_cache(project["cache"])
    limit = project.get("concurrentBuildLimit")
    if limit is not None and limit < 1:
        raise invalid(f"Invalid concurrent build limit: {limit}")


def check_sources(project: Mapping[str, Any], region: str) -> None:
    """The sources of a project or a build, each with what its type needs."""
    source = project["source"]
    if source["type"] == "NO_SOURCE" and not is_inline(source.get("buildspec")):
        raise invalid("A source of type NO_SOURCE needs a buildspec that is given inline")
    for each in (source, *project["secondarySources"]):
        location = each.get("location")
        if each["type"] not in ("CODEPIPELINE", "NO_SOURCE") and not location:
            raise invalid(f"A source of type {each['type']} needs a location")
        if each["type"] == "CODECOMMIT" and parse_clone_url(location, region) is None:
            raise invalid(f"{location} is not the HTTP clone URL of a CodeCommit repository")
        if each["type"] == "S3" and "/" not in location.removeprefix("arn:aws:s3:::"):
            raise invalid(f"{location} is not bucket/key")
    _check_identifiers("source", [each.get("sourceIdentifier") for each in project["secondarySources"]])


def check_artifacts(project: Mapping[str, Any]) -> None:
    for each in (project["artifacts"], *project["secondaryArtifacts"]):
        if each["type"] == "S3" and not each.get("location"):
            raise invalid("Artifacts of type S3 need a location: the name of a bucket")
    _check_identifiers("artifact", [each.get("artifactIdentifier") for each in project["secondaryArtifacts"]])


def check_cache(cache: Mapping[str, Any]) -> None:
    if cache["type"] == "S3" and not cache.get("location"):
        raise invalid("A cache of type S3 needs a location: bucket/prefix")
    if cache["type"] == "LOCAL" and not cache.get("modes"):
        raise invalid("A cache of type LOCAL needs modes: LOCAL_SOURCE_CACHE, LOCAL_DOCKER_LAYER_CACHE, …")


def check_runs_here(spec: Mapping[str, Any]) -> None:
    """Raises AwsError for a build whose result would not be what it is on AWS. `spec` is a build's."""
    for source in (spec["source"], *spec["secondarySources"]):
        if source["type"] not in _RUNS_HERE:
            raise invalid(f"turnout has no builds of {source['type']} sources yet; it has {', '.join(_RUNS_HERE)}")
        if source["type"] == "CODEPIPELINE" and not source.get("location"):
            raise invalid("The source type of the project is CODEPIPELINE: its builds are started by a pipeline")
        if (source.get("gitSubmodulesConfig") or {}).get("fetchSubmodules"):
            raise invalid("turnout does not fetch git submodules yet: set fetchSubmodules to false")
    kind = spec["environment"]["type"]
    if kind.startswith(_NOT_HERE):
        raise invalid(f"turnout runs builds on this Linux host: there is no {kind}")
    if spec.get("fileSystemLocations"):
        raise invalid("turnout mounts no EFS file systems into builds")
    if spec.get("debugSessionEnabled"):
        raise invalid("turnout has no debug sessions: look into the build's folder instead")
    if spec.get("autoRetryLimit"):
        raise invalid("turnout does not retry builds by itself yet: set autoRetryLimit to 0")


def is_inline(buildspec: str | None) -> bool:
    """Whether the member is a buildspec itself and not the name of a file."""
    text = (buildspec or "").strip()
    return "\n" in text or text.startswith(("version:", "{"))


def _check_identifiers(what: str, identifiers: list[str | None]) -> None:
    for identifier in identifiers:
        if identifier is None or not _IDENTIFIER.fullmatch(identifier):
            raise invalid(f"A secondary {what} needs a {what}Identifier of letters, digits and underscores")
        if identifiers.count(identifier) > 1:
            raise invalid(f"The {what}Identifier {identifier} is used twice")
