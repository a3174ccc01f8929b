"""The environment of a container: what ECS adds, files in S3, the definition's own words, and secrets.

Secrets are fetched when a container starts, and live in memory only: never in a row, a log or a receipt.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specifying-sensitive-data.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnout.aws import Aws
from turnout.ecs.workloads import override_of, workload_name
from turnout.errors import AwsError, StepFailed
from turnout.names import is_arn
from turnout.runs import Run

ONCE_MORE = "service call has been retried 1 time(s)"
SECRETS = "unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve"


@dataclass(frozen=True)
class SecretOf:
    """Where a secret lies: service is "ssm" or "secretsmanager"; the rest means something in Secrets Manager only."""

    service: str
    region: str
    id: str
    key: str = ""
    stage: str = ""
    version: str = ""


class Environments:
    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._known: dict[str, dict[str, str]] = {}
        """By workload: a health check is run in it every few seconds."""

    async def of(self, run: Run, container: Mapping[str, Any]) -> dict[str, str]:
        """The whole environment of a container of a task. Raises StepFailed in the words of ECS."""
        name = workload_name(run.name, container["name"])
        if name not in self._known:
            self._known[name] = await self._gather(run, container)
        return self._known[name]

    def forget(self, run: Run, container: str) -> None:
        self._known.pop(workload_name(run.name, container), None)

    async def _gather(self, run: Run, container: Mapping[str, Any]) -> dict[str, str]:
        spec = run.spec
        override = override_of(spec, container["name"])
        gathered = _of_ecs(spec)
        for file in override.get("environmentFiles") or container.get("environmentFiles", ()):
            found = await self._file(spec["region"], file["value"])
            gathered |= {name: value for name, value in found.items() if name not in gathered}
        for said in (container, override):
            gathered |= {pair["name"]: pair["value"] for pair in said.get("environment", ())}
        for secret in container.get("secrets", ()):
            gathered[secret["name"]] = await self._secret(secret_of(secret["valueFrom"], spec["region"]))
        return gathered

    async def _file(self, region: str, arn: str) -> dict[str, str]:
        bucket, _, key = arn.partition(":::")[2].partition("/")
        try:
            answer = await self._aws.call("s3", "GetObject", region, Bucket=bucket, Key=key)
        except AwsError as error:
            raise _failed(
                "failed to download env files: file download command: non empty error stream:"
                f" {error.code}: {error.message} ({arn})"
            ) from error
        return parse_file(answer["Body"].decode(errors="replace"), arn)

    async def _secret(self, where: SecretOf) -> str:
        try:
            return await (self._parameter(where) if where.service == "ssm" else self._secret_value(where))
        except AwsError as error:
            from_where = "secrets from ssm" if where.service == "ssm" else "secret from asm"
            raise _failed(
                f"{SECRETS} {from_where}: {ONCE_MORE}: failed to fetch secret {where.id}: {error.code}: {error.message}"
            ) from error

    async def _parameter(self, where: SecretOf) -> str:
        names = [where.id] if where.id.startswith("/") else [where.id, f"/{where.id}"]
        answer = await self._aws.call("ssm", "GetParameters", where.region, Names=names, WithDecryption=True)
        if not answer["Parameters"]:
            raise _failed(f"{SECRETS} secrets from ssm: {ONCE_MORE}: invalid ssm parameters: {where.id}")
        return str(answer["Parameters"][0]["Value"])

    async def _secret_value(self, where: SecretOf) -> str:
        members = {"VersionStage": where.stage, "VersionId": where.version}
        given = {name: value for name, value in members.items() if value}
        answer = await self._aws.call("secretsmanager", "GetSecretValue", where.region, SecretId=where.id, **given)
        text = answer.get("SecretString")
        if text is None:
            raise _failed(f"{SECRETS} secret from asm: {where.id} is binary, and a variable is text")
        if not where.key:
            return str(text)
        try:
            value = json.loads(text)[where.key]
        except (ValueError, KeyError, TypeError) as error:
            raise _failed(
                f"{SECRETS} secret from asm: {ONCE_MORE}: retrieved secret from Secrets Manager did not contain json"
                f" key {where.key}"
            ) from error
        return value if isinstance(value, str) else json.dumps(value)


def secret_of(value_from: str, region: str) -> SecretOf:
    """The parameter or secret that valueFrom names: a parameter's name or ARN, a secret's ARN with
    :json-key:version-stage:version-id behind it. Pure.
    """
    if not is_arn(value_from):
        return SecretOf("ssm", region, value_from)
    parts = value_from.split(":")
    if parts[2] == "ssm":
        # An ARN has lost the slash before the first part of a name, if there was one.
        name = parts[5].removeprefix("parameter/")
        return SecretOf("ssm", parts[3] or region, f"/{name}" if "/" in name else name)
    key, stage, version = ([*parts[7:10], "", "", ""])[:3]
    return SecretOf("secretsmanager", parts[3] or region, ":".join(parts[:7]), key, stage, version)


def parse_file(text: str, name: str) -> dict[str, str]:
    """NAME=VALUE lines: no quotes, nothing expanded, the first of a name counts. Pure. Raises StepFailed."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        variable, equals, value = line.partition("=")
        if not equals or not variable.strip():
            raise _failed(f"failed to parse the environment file {name}, line {number}: it must read NAME=VALUE")
        found.setdefault(variable.strip(), value)
    return found


def _of_ecs(spec: Mapping[str, Any]) -> dict[str, str]:
    """What ECS itself tells a container."""
    execution = "AWS_ECS_FARGATE" if spec["launchType"] == "FARGATE" else "AWS_ECS_EC2"
    return {"AWS_EXECUTION_ENV": execution, "AWS_REGION": spec["region"], "AWS_DEFAULT_REGION": spec["region"]}


def _failed(message: str) -> StepFailed:
    return StepFailed("ResourceInitializationError", message)
