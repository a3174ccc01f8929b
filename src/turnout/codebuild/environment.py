"""The environment of a build: what its commands see, and nothing else of this machine. Pure.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from turnout.codebuild.buildspec import Buildspec
from turnout.codebuild.programs import no_docker
from turnout.codebuild.spec import Build
from turnout.config import Config
from turnout.runtimes.commands import path_with_turnout

PLAINTEXT, PARAMETER_STORE, SECRETS_MANAGER = "PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER"


def variables_for(build: Build, buildspec: Buildspec) -> dict[str, tuple[str, str]]:
    """name → (value, type). StartBuild goes before the project, the project before the buildspec."""
    found = {name: (value, PLAINTEXT) for name, value in buildspec.variables.items()}
    found |= {name: (value, PARAMETER_STORE) for name, value in buildspec.parameter_store.items()}
    found |= {name: (value, SECRETS_MANAGER) for name, value in buildspec.secrets_manager.items()}
    for variable in build.spec["environment"]["environmentVariables"]:
        found[variable["name"]] = (variable["value"], variable.get("type", PLAINTEXT))
    return found


def environment_for(
    build: Build, config: Config, variables: Mapping[str, str], versions: Mapping[str, str]
) -> dict[str, str]:
    """`variables` are resolved; `versions`: what each source turned out to be, by its number ("0" is the primary)."""
    primary = build.sources[0]
    environment = {
        **host_environment(build, config),
        **variables,
        "AWS_DEFAULT_REGION": build.region,
        "AWS_REGION": build.region,
        "CODEBUILD_BUILD_ARN": build.arn,
        "CODEBUILD_BUILD_ID": build.id,
        "CODEBUILD_BUILD_IMAGE": build.spec["environment"]["image"],
        "CODEBUILD_BUILD_NUMBER": str(build.spec["buildNumber"]),
        "CODEBUILD_BUILD_SUCCEEDING": "1",
        "CODEBUILD_INITIATOR": build.spec["initiator"],
        "CODEBUILD_KMS_KEY_ID": build.spec["encryptionKey"],
        "CODEBUILD_LOG_PATH": build.log_stream,
        "CODEBUILD_SRC_DIR": str(build.source_folder(0)),
        "CODEBUILD_START_TIME": str(int(build.run.created_at * 1000)),
    }
    optional = {
        "CODEBUILD_RESOLVED_SOURCE_VERSION": build.spec.get("resolvedSourceVersion") or versions.get("0"),
        "CODEBUILD_SOURCE_REPO_URL": primary.get("location") if primary["type"] != "CODEPIPELINE" else None,
        "CODEBUILD_SOURCE_VERSION": build.spec.get("sourceVersion"),
    }
    environment |= {name: value for name, value in optional.items() if value}
    for number, source in enumerate(build.sources[1:], start=1):
        environment[f"CODEBUILD_SRC_DIR_{source['sourceIdentifier']}"] = str(build.source_folder(number))
    return environment


def host_environment(build: Build, config: Config) -> dict[str, str]:
    """What lets programs run here, and AWS clients inside the build reach this engine."""
    key_id, secret = next(iter(config.keys.items()), ("test", "test"))
    return {
        "PATH": f"{build.fronts}{os.pathsep}{path_with_turnout(os.environ.get('PATH', os.defpath))}",
        "HOME": str(build.folder / "home"),
        "LANG": "C.UTF-8",
        "AWS_ENDPOINT_URL": config.endpoint,
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "TURNOUT_HOME": str(config.home),
        **_docker_host(build),
    }


def _docker_host(build: Build) -> dict[str, str]:
    """Where docker is: nowhere without privilegedMode."""
    if not build.is_privileged:
        return {"DOCKER_HOST": no_docker(build)}
    return {"DOCKER_HOST": os.environ["DOCKER_HOST"]} if os.environ.get("DOCKER_HOST") else {}


def git_config_for(config: Config) -> str:
    """git-credential-helper: yes. CodeCommit takes the build's own key."""
    helper = "!f() { echo username=$AWS_ACCESS_KEY_ID; echo password=$AWS_SECRET_ACCESS_KEY; }; f"
    return f'[credential "{config.endpoint}"]\n\thelper = "{helper}"\n'
