"""The buildspec, version 0.2: what a build runs and what it leaves behind. Pure.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from turnout.yamlfile import Spot, YamlError, parse_yaml

PHASES = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
"""The phases that have commands, in their order; a buildspec spells them in lower case."""

SHELLS = {"sh": "/bin/sh", "/bin/sh": "/bin/sh", "bash": "bash"}
_TOP = ("version", "run-as", "env", "proxy", "batch", "phases", "reports", "artifacts", "cache")
_PHASE = ("run-as", "on-failure", "runtime-versions", "commands", "finally")
_ENV = (
    "shell",
    "variables",
    "parameter-store",
    "secrets-manager",
    "exported-variables",
    "git-credential-helper",
)
_ARTIFACTS = (
    "files",
    "name",
    "discard-paths",
    "base-directory",
    "exclude-paths",
    "enable-symlinks",
    "s3-prefix",
    "secondary-artifacts",
)
_CACHE = ("paths", "key", "fallback-keys", "action")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_]{1,127}")


@dataclass(frozen=True)
class Phase:
    commands: tuple[str, ...] = ()
    finally_: tuple[str, ...] = ()
    on_failure: str | None = None
    """ABORT or CONTINUE; None: what AWS does by itself."""
    run_as: str | None = None


@dataclass(frozen=True)
class Artifacts:
    """Which files of the build are kept."""

    files: tuple[str, ...] = ()
    name: str | None = None
    discard_paths: bool = False
    base_directory: str | None = None
    exclude_paths: tuple[str, ...] = ()
    enable_symlinks: bool = False
    s3_prefix: str | None = None


@dataclass(frozen=True)
class Cache:
    """What one build leaves to the next."""

    paths: tuple[str, ...] = ()
    key: str | None = None
    fallback_keys: tuple[str, ...] = ()
    action: str | None = None
    """restore or save; None: both."""

    @property
    def restores(self) -> bool:
        return self.action != "save"

    @property
    def saves(self) -> bool:
        return self.action != "restore"


@dataclass(frozen=True)
class Buildspec:
    shell: str = "/bin/sh"
    variables: Mapping[str, str] = field(default_factory=dict)
    parameter_store: Mapping[str, str] = field(default_factory=dict)
    secrets_manager: Mapping[str, str] = field(default_factory=dict)
    exported_variables: tuple[str, ...] = ()
    git_credential_helper: bool = False
    phases: Mapping[str, Phase] = field(default_factory=dict)
    """By AWS's names: INSTALL, PRE_BUILD, BUILD, POST_BUILD."""
    artifacts: Artifacts | None = None
    secondary_artifacts: Mapping[str, Artifacts] = field(default_factory=dict)
    cache: Cache = Cache()
    notes: tuple[str, ...] = ()
    """What the log has to say about parts of the file that do nothing here."""


def parse_buildspec(text: str, file: str = "buildspec.yml") -> Buildspec:
    """Raises YamlError with file and line."""
    root = parse_yaml(text, file)
    top = root.members()
    notes = list(_unknown(top, _TOP))
    if "version" not in top:
        raise root.error("has no version; it must be 0.2")
    if top["version"].text() != "0.2":
        raise top["version"].error(f"must be 0.2, found {top['version'].text()!r}; turnout does not run older ones")
    for name, says in {
        "batch": "is for StartBuildBatch; this is a single build",
        "reports": "are not kept by turnout: the files are made, no report group is",
        "proxy": "is not used: the build has this host's network",
    }.items():
        if name in top:
            notes.append(f"{file}:{top[name].line}: {name} {says}")
    cache = {} if "cache" not in top or top["cache"].is_empty else top["cache"].members()
    notes += _unknown(cache, _CACHE)
    env = top["env"].members() if "env" in top else {}
    notes += _unknown(env, _ENV)
    phases, more = _phases(top.get("phases"), root, top["run-as"].text() if "run-as" in top else None)
    artifacts, secondary, unknown = _all_artifacts(top.get("artifacts"))
    return Buildspec(
        shell=SHELLS[env["shell"].one_of(*SHELLS)] if "shell" in env else "/bin/sh",
        variables=_named_texts(env, "variables"),
        parameter_store=_named_texts(env, "parameter-store"),
        secrets_manager=_named_texts(env, "secrets-manager"),
        exported_variables=env["exported-variables"].texts() if "exported-variables" in env else (),
        git_credential_helper="git-credential-helper" in env and env["git-credential-helper"].flag(),
        phases=phases,
        artifacts=artifacts,
        secondary_artifacts=secondary,
        cache=_cache(cache),
        notes=(*notes, *more, *unknown),
    )


def _phases(spot: Spot | None, root: Spot, run_as: str | None) -> tuple[dict[str, Phase], list[str]]:
    if spot is None:
        raise root.error("has no phases")
    members = spot.members()
    known = tuple(name.lower() for name in PHASES)
    if not members.keys() & set(known):
        raise spot.error(f"must have at least one of {', '.join(known)}: the build would do nothing, and succeed")
    notes = list(_unknown(members, known))
    phases = {}
    for name in PHASES:
        if name.lower() not in members:
            continue
        phase = members[name.lower()].members()
        notes += _unknown(phase, _PHASE)
        if "runtime-versions" in phase:
            wanted = ", ".join(f"{k}: {v}" for k, v in phase["runtime-versions"].text_by_name().items())
            at = phase["runtime-versions"]
            notes.append(f"{at.file}:{at.line}: {at.path} ({wanted}): turnout uses what this host has")
        on_failure = phase["on-failure"].text() if "on-failure" in phase else None
        if on_failure is not None and on_failure not in ("ABORT", "CONTINUE"):
            raise phase["on-failure"].error(f"must be ABORT or CONTINUE (turnout does not retry), found {on_failure!r}")
        if "commands" not in phase and "finally" not in phase:
            raise members[name.lower()].error("has no commands")
        phases[name] = Phase(
            commands=phase["commands"].texts() if "commands" in phase else (),
            finally_=phase["finally"].texts() if "finally" in phase else (),
            on_failure=on_failure,
            run_as=phase["run-as"].text() if "run-as" in phase else run_as,
        )
    return phases, notes


def _all_artifacts(spot: Spot | None) -> tuple[Artifacts | None, dict[str, Artifacts], list[str]]:
    if spot is None or spot.is_empty:
        return None, {}, []
    members = spot.members()
    notes = list(_unknown(members, _ARTIFACTS))
    secondary = {}
    for identifier, block in (
        members["secondary-artifacts"].members() if "secondary-artifacts" in members else {}
    ).items():
        if not _IDENTIFIER.fullmatch(identifier):
            raise block.error("must be named with letters, digits and underscores, fewer than 128")
        notes += _unknown(block.members(), _ARTIFACTS[:-1])
        secondary[identifier] = _artifacts(block)
    if "files" not in members and secondary:
        return None, secondary, notes
    return _artifacts(spot), secondary, notes


def _cache(members: Mapping[str, Spot]) -> Cache:
    return Cache(
        paths=members["paths"].texts() if "paths" in members else (),
        key=members["key"].text() if "key" in members else None,
        fallback_keys=members["fallback-keys"].texts() if "fallback-keys" in members else (),
        action=members["action"].one_of("restore", "save") if "action" in members else None,
    )


def _artifacts(spot: Spot) -> Artifacts:
    members = spot.members()
    if "files" not in members or not (files := members["files"].texts()):
        raise spot.error("has no files")
    return Artifacts(
        files=files,
        name=members["name"].text() if "name" in members else None,
        discard_paths="discard-paths" in members and members["discard-paths"].flag(),
        base_directory=members["base-directory"].text() if "base-directory" in members else None,
        exclude_paths=members["exclude-paths"].texts() if "exclude-paths" in members else (),
        enable_symlinks="enable-symlinks" in members and members["enable-symlinks"].flag(),
        s3_prefix=members["s3-prefix"].text() if "s3-prefix" in members else None,
    )


def _named_texts(members: Mapping[str, Spot], name: str) -> dict[str, str]:
    return members[name].text_by_name() if name in members else {}


def _unknown(members: Mapping[str, Spot], known: tuple[str, ...]) -> list[str]:
    return [
        f"{spot.file}:{spot.line}: {spot.path} is not part of a buildspec 0.2 and does nothing"
        for name, spot in members.items()
        if name not in known
    ]


__all__ = ["PHASES", "Artifacts", "Buildspec", "Cache", "Phase", "YamlError", "parse_buildspec"]
