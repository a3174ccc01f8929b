"""Values that are kept elsewhere: Parameter Store and Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from turnout.aws import Aws
from turnout.codebuild.environment import PARAMETER_STORE, SECRETS_MANAGER
from turnout.errors import AwsError, StepFailed
from turnout.names import is_arn


@dataclass(frozen=True)
class SecretReference:
    """secret-id:json-key:version-stage:version-id, all but the first optional; the id may be an ARN."""

    secret_id: str
    json_key: str | None
    version_stage: str | None
    version_id: str | None


def parse_secret_reference(text: str) -> SecretReference:
    parts = text.split(":")
    size = 7 if is_arn(text) else 1
    rest = [part or None for part in parts[size:]] + [None] * 3
    return SecretReference(":".join(parts[:size]), rest[0], rest[1], rest[2])


async def resolve(aws: Aws, region: str, variables: Mapping[str, tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """The variables with their values, and those values that are secret. Raises StepFailed in AWS's words."""
    found: dict[str, str] = {}
    secrets: list[str] = []
    for name, (value, kind) in variables.items():
        if kind == PARAMETER_STORE:
            found[name] = await _parameter(aws, region, value)
        elif kind == SECRETS_MANAGER:
            found[name] = await _secret(aws, region, parse_secret_reference(value))
        else:
            found[name] = value
            continue
        secrets.append(found[name])
    return found, secrets


async def _parameter(aws: Aws, region: str, name: str) -> str:
    try:
        answer = await aws.call("ssm", "GetParameter", region, Name=name, WithDecryption=True)
    except AwsError as error:
        raise StepFailed("Decrypted Variables Error", f"parameter does not exist: {name}") from error
    return str(answer["Parameter"]["Value"])


async def _secret(aws: Aws, region: str, reference: SecretReference) -> str:
    given = {"VersionStage": reference.version_stage, "VersionId": reference.version_id}
    optional = {name: value for name, value in given.items() if value}
    try:
        answer = await aws.call("secretsmanager", "GetSecretValue", region, SecretId=reference.secret_id, **optional)
    except AwsError as error:
        raise StepFailed("Secrets Manager Error Message", f"{reference.secret_id}: {error}") from error
    text = str(answer.get("SecretString", ""))
    if reference.json_key is None:
        return text
    try:
        return str(json.loads(text)[reference.json_key])
    except (ValueError, KeyError, TypeError) as error:
        raise StepFailed(
            "Secrets Manager Error Message", f"{reference.secret_id} has no JSON key {reference.json_key}"
        ) from error
