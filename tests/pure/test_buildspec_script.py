"""The scripts of a phase: real shells, no engine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from turnout.codebuild.script import SHELL, failed_command, moved_home, phase_script, state_for, variables_in

SHELLS = [shell for shell in ("/bin/sh", "bash") if shutil.which(shell)]


class Container:
    """A build's folder, in which phases run one after the other."""

    def __init__(self, folder: Path, shell: str = "/bin/sh", **environment: str) -> None:
        self.folder = folder
        self.shell = str(shutil.which(shell))
        self.source = folder / "src"
        self.source.mkdir()
        self.commands: list[str] = []
        (folder / "shell").write_text(SHELL)
        variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CODEBUILD_SRC_DIR": str(self.source), **environment}
        (folder / "state").write_text(state_for(variables, str(self.source)))

    def run(
        self, commands: Sequence[str], finally_: Sequence[str] = (), phase: str = "BUILD", *, is_succeeding: bool = True
    ) -> int:
        self.commands += [*commands, *finally_]
        folder = self.folder / phase
        folder.mkdir(exist_ok=True)
        script = phase_script(str(folder), phase, commands, finally_, self.shell, is_succeeding=is_succeeding)
        for name, text in script.files.items():
            (folder / name).write_text(text)
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        return subprocess.run(script.argv, env=environment, cwd=self.source, stdin=subprocess.DEVNULL).returncode

    @property
    def said(self) -> list[str]:
        """What the commands of the last phase wrote, without our own lines and what those quote of the command."""
        text = (self.folder / "log").read_text()
        for command in sorted(self.commands, key=len, reverse=True):
            text = text.replace(f"Running command {command.rstrip()}\n", "Running\n")
        return [line for line in text.splitlines() if not line.startswith("[Container]")]

    @property
    def log(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()


@pytest.fixture(params=SHELLS)
def container(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    return Container(tmp_path, request.param, TAG="1")


def test_unexported_variables_and_the_directory_survive_commands_and_phases(container: Container) -> None:
    assert container.run(["mkdir sub", "cd sub", "plain='a  b'", "export TAG=2"], phase="INSTALL") == 0
    assert container.run(['echo "$plain" $TAG $(basename "$PWD")', "env | grep -c '^plain=' || true"]) == 0
    assert container.said == ["a  b 2 sub", "0"]


def test_values_survive_whatever_they_are_made_of(container: Container) -> None:
    awkward = 'it\'s "x" $HOME `y` \\\\ *\nline two\nPATH=/nowhere\n\n'
    command = "odd=$(printf '%s_' " + "'" + awkward.replace("'", "'\\''") + "'); export odd"
    assert container.run([command, "true"]) == 0
    assert variables_in((container.folder / "state").read_text(), ["odd", "TAG", "none"]) == {
        "odd": awkward + "_",
        "TAG": "1",
    }
    assert container.run(["echo still here"], phase="POST_BUILD") == 0
    assert container.said == ["still here"]


def test_functions_options_and_traps_are_not_carried_as_on_codebuild(container: Container) -> None:
    commands = [
        "f() { echo f; }; set -eu; trap 'echo mine' EXIT",
        "type f >/dev/null 2>&1 || echo no f; echo ${unset-}",
    ]
    assert container.run(commands) == 0
    assert container.said == ["mine", "no f", ""]


def test_an_unset_variable_stays_unset(container: Container) -> None:
    assert container.run(["unset TAG", 'echo "[${TAG-none}]"']) == 0
    assert container.said == ["[none]"]


def test_an_exit_in_the_middle_keeps_the_state_and_is_the_status(container: Container) -> None:
    assert container.run(["a=1; exit 0", "echo $a", "b=2; exit 3", "echo never"], ["echo $b"]) == 1
    assert container.said == ["1", "2"]
    assert failed_command((container.folder / "BUILD" / "result").read_text(), ["x", "y", "z"]) == ("z", 3)


def test_a_command_of_several_lines_has_the_status_of_its_last(container: Container) -> None:
    assert container.run(["false\ntrue\n", "if true\nthen\n  echo yes\nfi"]) == 0
    assert container.said == ["yes"]
    assert container.run(["true\nfalse\n"], phase="POST_BUILD") == 1


def test_the_first_failure_skips_the_rest_but_not_finally(container: Container) -> None:
    assert container.run(["false", "echo never"], ["echo $CODEBUILD_BUILD_SUCCEEDING", "false", "echo never"]) == 1
    assert container.said == ["0"]
    assert (container.folder / "BUILD" / "result").read_text() == "1 1\n"


def test_a_failing_finally_fails_the_phase(container: Container) -> None:
    assert container.run(["true"], ["exit 7"]) == 1
    assert (container.folder / "BUILD" / "result").read_text() == "2 7\n"


def test_a_command_knows_whether_the_build_is_succeeding(container: Container) -> None:
    assert container.run(["echo $CODEBUILD_BUILD_SUCCEEDING"], phase="BUILD") == 0
    assert container.run(["echo $CODEBUILD_BUILD_SUCCEEDING"], phase="POST_BUILD", is_succeeding=False) == 0
    assert container.said == ["1", "0"]


def test_a_broken_path_and_a_syntax_error_do_not_lose_the_state(container: Container) -> None:
    assert container.run(["export PATH=/nowhere; kept=1", "echo $kept $PATH"]) == 0
    assert container.run(["echo 'unfinished"], phase="POST_BUILD") == 1
    assert container.run(["echo $kept"], phase="INSTALL") == 0
    assert container.said[0] == "1 /nowhere"
    assert container.said[-1] == "1"


def test_arguments_and_names_of_ours_are_not_seen_by_a_command(container: Container) -> None:
    assert container.run(["echo $# ${1-none}", "env | grep -c turnout || true"]) == 0
    assert container.said == ["0 none", "0"]


def test_only_the_builds_own_environment_is_seen(container: Container) -> None:
    assert container.run(["env | cut -d= -f1 | sort | grep -v '^_$' | grep -v ^SHLVL | grep -v OLDPWD | xargs"]) == 0
    assert container.said == ["CODEBUILD_BUILD_SUCCEEDING CODEBUILD_SRC_DIR PATH PWD TAG"]


def test_the_log_reads_as_codebuild_writes_it(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.run(["echo hi", "exit 4"])
    lines = [
        line.partition("Z")[0].split(" ", 3)[-1] if line.startswith("[Container]") else line for line in container.log
    ]
    assert lines == [
        "Entering phase BUILD",
        "Running command echo hi",
        "hi",
        "Running command exit 4",
        "Command did not exit successfully exit 4 exit status 4",
        "Phase complete: BUILD State: FAILED",
        "Phase context status code: COMMAND_EXECUTION_ERROR Message: Error while executing command: exit 4."
        " Reason: exit status 4",
    ]


def test_a_directory_that_has_gone_is_no_trap(container: Container) -> None:
    assert container.run(['mkdir gone; cd gone; rmdir "$PWD"', "pwd"]) == 0
    assert container.said == [str(container.source)]


def test_an_engine_that_came_back_at_another_port_is_found_again(tmp_path: Path) -> None:
    container = Container(tmp_path, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    state = tmp_path / "state"
    for phase in ("INSTALL", "PRE_BUILD"):
        state.write_text(moved_home(state.read_text(), "http://127.0.0.1:1", "http://127.0.0.1:2"))
        assert container.run(["echo $AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL=http://127.0.0.1:1"], phase=phase) == 0
    container.run(["AWS_ENDPOINT_URL=https://own.example"])
    state.write_text(moved_home(state.read_text(), "http://127.0.0.1:2", "http://127.0.0.1:3"))
    container.run(["echo $AWS_ENDPOINT_URL"], phase="POST_BUILD")
    assert container.said == ["http://127.0.0.1:2", "http://127.0.0.1:2", "https://own.example"]
