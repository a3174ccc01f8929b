"""The buildspec parser: what is read, and what is said when it cannot be."""

from __future__ import annotations

import textwrap

import pytest

from turnout.codebuild.buildspec import YamlError, parse_buildspec


def spec(text: str) -> str:
    return textwrap.dedent(text)


FULL = spec("""\
    version: 0.2
    run-as: root
    env:
      shell: bash
      variables: {TAG: 1.10, DEBUG: yes, EMPTY: }
      parameter-store: {TOKEN: /app/token}
      secrets-manager: {PASSWORD: "app:password"}
      exported-variables: [TAG]
      git-credential-helper: yes
    phases:
      install:
        runtime-versions: {python: 3.12}
        commands: ["pip install x"]
      build:
        on-failure: ABORT
        commands:
          - echo one
          - |
            echo two
            echo three
        finally:
          - echo always
    artifacts:
      files: ['**/*']
      base-directory: dist
      discard-paths: no
      exclude-paths: [secret/**]
      name: app-$(date +%F)
      secondary-artifacts:
        docs: {files: [docs/*], discard-paths: yes}
    cache: {paths: [node_modules/**]}
    """)


def test_everything_that_a_build_uses_is_read() -> None:
    found = parse_buildspec(FULL)
    assert found.shell == "bash"
    assert found.variables == {"TAG": "1.10", "DEBUG": "yes", "EMPTY": ""}
    assert found.parameter_store == {"TOKEN": "/app/token"}
    assert found.secrets_manager == {"PASSWORD": "app:password"}
    assert found.exported_variables == ("TAG",)
    assert found.git_credential_helper
    assert list(found.phases) == ["INSTALL", "BUILD"]
    build = found.phases["BUILD"]
    assert build.commands == ("echo one", "echo two\necho three\n")
    assert (build.finally_, build.on_failure, build.run_as) == (("echo always",), "ABORT", "root")
    assert found.artifacts is not None
    assert found.artifacts.files == ("**/*",)
    assert found.artifacts.base_directory == "dist"
    assert found.artifacts.exclude_paths == ("secret/**",)
    assert not found.artifacts.discard_paths
    assert found.secondary_artifacts["docs"].discard_paths


def test_what_does_nothing_here_is_said_with_its_line() -> None:
    text = FULL + "batch: {fast-fail: true}\nreports: {unit: {files: ['*.xml']}}\nproxy: {logs: yes}\nfoo: 1\n"
    notes = parse_buildspec(text).notes
    assert [note.split(" ")[0] for note in notes] == [
        "buildspec.yml:35:",
        "buildspec.yml:32:",
        "buildspec.yml:33:",
        "buildspec.yml:34:",
        "buildspec.yml:12:",
    ]
    assert "python: 3.12" in notes[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "buildspec.yml:1: the file is empty"),
        ("- a", "buildspec.yml:1: the file must be a mapping, found a list"),
        ("version: 0.2", "buildspec.yml:1: the file has no phases"),
        (
            "version: 0.2\nphases:\n  bulid:\n    commands: [make]",
            "buildspec.yml:3: phases must have at least one of install, pre_build, build, post_build:"
            " the build would do nothing, and succeed",
        ),
        ("phases: {build: {commands: [a]}}", "buildspec.yml:1: the file has no version; it must be 0.2"),
        (
            "version: 0.1\nphases: {}",
            "buildspec.yml:1: version must be 0.2, found '0.1'; turnout does not run older ones",
        ),
        (
            "version: 0.2\nphases:\n  build:\n    commands: make",
            "buildspec.yml:4: phases.build.commands must be a list, found a string",
        ),
        (
            "version: 0.2\nphases:\n  build:\n    commands:\n      - a\n      - echo Status: ok",
            "buildspec.yml:6: phases.build.commands[1] must be a string, found a mapping"
            " (quote it: an unquoted ': ' makes a mapping)",
        ),
        (
            "version: 0.2\nphases:\n  build:\n    commands:\n      -",
            "buildspec.yml:5: phases.build.commands[0] is empty",
        ),
        ("version: 0.2\nphases:\n  build: {}", "buildspec.yml:3: phases.build has no commands"),
        (
            "version: 0.2\nphases:\n  build:\n    on-failure: RETRY\n    commands: [a]",
            "buildspec.yml:4: phases.build.on-failure must be ABORT or CONTINUE (turnout does not retry),"
            " found 'RETRY'",
        ),
        (
            "version: 0.2\nphases:\n  build:\n    commands: [a]\n  build:\n    commands: [b]",
            "buildspec.yml:5: phases.build is given twice",
        ),
        (
            "version: 0.2\nenv: {shell: powershell.exe}\nphases: {build: {commands: [a]}}",
            "buildspec.yml:2: env.shell must be one of sh, /bin/sh, bash, found 'powershell.exe'",
        ),
        (
            "version: 0.2\nphases: {build: {commands: [a]}}\nartifacts: {name: x}",
            "buildspec.yml:3: artifacts has no files",
        ),
        (
            "version: 0.2\nphases: {build: {commands: [a]}}\nartifacts: {files: [a], discard-paths: maybe}",
            "buildspec.yml:3: artifacts.discard-paths must be yes or no, found 'maybe'",
        ),
        (
            "version: 0.2\nphases: {build: {commands: [a]}}\nartifacts:\n  secondary-artifacts: {a-b: {files: [a]}}",
            "buildspec.yml:4: artifacts.secondary-artifacts.a-b must be named with letters, digits and underscores,"
            " fewer than 128",
        ),
        ("version: 0.2\nphases:\n  build: [", "buildspec.yml:4: did not find expected node content"),
        ("version: 0.2\nphases:\n\tbuild: 1", "buildspec.yml:3: found character that cannot start any token"),
    ],
)
def test_a_mistake_is_shown_with_file_and_line(text: str, message: str) -> None:
    with pytest.raises(YamlError) as raised:
        parse_buildspec(text)
    assert str(raised.value) == message
