"""deploy, promote, stop and rollback against a live engine: by a profile, as on AWS, and by the engine's home."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real.conftest import Live
from turnout.cli.controllers.finding import find_controller
from turnout.cli.place import Wanted
from turnout.cli.versions import described, images_of
from turnout.runtimes.references import registry_of

pytestmark = pytest.mark.real

GROUP = {"applicationName": "hello", "currentDeploymentGroupName": "hello"}


def options(ready_minutes: int, kept_minutes: int) -> dict[str, object]:
    ready: dict[str, object] = {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}
    if ready_minutes:
        ready = {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": ready_minutes}
    terminate = {"action": "TERMINATE", "terminationWaitTimeInMinutes": kept_minutes}
    return {"deploymentReadyOption": ready, "terminateBlueInstancesOnDeploymentSuccess": terminate}


class Verbs:
    def __init__(self, live: Live, folder: Path) -> None:
        self.live, self.folder = live, folder
        (folder / "config").write_text(
            f"[profile like-aws]\nregion = us-east-1\nendpoint_url = {live.running.endpoint}\n"
            "aws_access_key_id = test\naws_secret_access_key = test\n"
        )

    def command(self, verb: str, *words: str) -> list[str]:
        return [sys.executable, "-m", "turnout", verb, *words]

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in self.live.environment.items() if not k.startswith(("AWS_", "TURNOUT_"))}
        return kept | {"AWS_CONFIG_FILE": str(self.folder / "config"), "TURNOUT_HOME": str(self.live.scene.home)}

    def __call__(self, verb: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(verb, *words),
            env=self.environment(),
            cwd=cwd or self.live.scene.work_tree,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def pack(self, mark: str) -> None:
        """Move the tag hello:moving to another image."""
        app = self.live.scene.work_tree / "app.py"
        app.write_text(app.read_text() + f"\n# {mark}\n")
        assert self("pack", ".", "--tag", "hello:moving").returncode == 0

    def serving(self) -> tuple[str, str]:
        """(task definition, image) of what every request gets."""
        found = find_controller(self.live.clients, Wanted("hello", "hello")).serving()
        assert found.is_alone
        return found.task_definition, images_of(described(self.live.clients, found.task_definition))["hello"]


@pytest.fixture
def verbs(live: Live, tmp_path: Path) -> Iterator[Verbs]:
    yield Verbs(live, tmp_path)
    live.clients("codedeploy").update_deployment_group(**GROUP, blueGreenDeploymentConfiguration=options(0, 0))


def test_a_rollback_runs_the_former_image_although_its_tag_has_moved(verbs: Verbs) -> None:
    verbs.pack("one")
    assert verbs("deploy", "--image", "hello:moving").returncode == 0
    _, first = verbs.serving()
    assert "@sha256:" in first
    verbs.pack("two")
    assert verbs("deploy", "--image", "hello:moving").returncode == 0
    assert verbs.serving()[1] != first
    done = verbs("rollback", "--profile", "like-aws", "--application", "hello")
    assert done.returncode == 0, done.stderr
    assert verbs.serving()[1] == first
    again = verbs("rollback", "--to", verbs.serving()[0].rpartition("/")[2])
    assert again.returncode == 2
    assert "is what serves already" in again.stderr


def test_a_green_that_waits_is_promoted_and_a_second_is_stopped_by_aws_api_alone(live: Live, verbs: Verbs) -> None:
    live.clients("codedeploy").update_deployment_group(**GROUP, blueGreenDeploymentConfiguration=options(5, 0))
    profile = ("--profile", "like-aws")
    verbs.pack("three")
    with begun(verbs, *profile) as deploying:
        assert verbs("promote", *profile).returncode == 0
        assert deploying.wait(60) == 0
    served = verbs.serving()
    verbs.pack("four")
    with begun(verbs, *profile) as deploying:
        assert verbs("stop", *profile).returncode == 0
        assert deploying.wait(60) == 1, "it was rolled back: it does not serve"
    assert verbs.serving() == served
    assert verbs("promote").returncode == 2


def test_what_a_stop_without_a_rollback_leaves_is_finished_by_rollback(live: Live, verbs: Verbs) -> None:
    verbs.pack("five")
    before = verbs.serving()
    config = "CodeDeployDefault.ECSCanary10Percent5Minutes"
    with begun(verbs, "--config", config, seen="green 10 %") as deploying:
        assert verbs("stop", "--no-rollback").returncode == 0
        assert deploying.wait(60) == 1
    assert "leads to" in verbs("status").stdout
    busy = verbs("deploy", "--image", "hello:moving")
    assert (busy.returncode, "turnout rollback" in busy.stderr) == (2, True)
    mended = verbs("rollback")
    assert mended.returncode == 0, mended.stderr
    assert verbs.serving() == before


@contextmanager
def begun(verbs: Verbs, *words: str, seen: str = "Ready") -> Iterator[subprocess.Popen[str]]:
    """`turnout deploy` in the background, once it has told what is to be seen."""
    image = f"{registry_of('us-east-1')}/hello:moving"
    command = verbs.command("deploy", "--image", image, *words)
    with subprocess.Popen(
        command,
        env=verbs.environment(),
        cwd=verbs.live.scene.work_tree,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if seen in line:
                break
        else:
            raise AssertionError(said)
        yield process


@pytest.mark.parametrize(("keys", "status"), [(["r\n"], 1), (["\x03"], 3)])
def test_ctrl_c_at_a_terminal_asks_and_a_second_one_leaves_it_running(
    live: Live, verbs: Verbs, keys: list[str], status: int
) -> None:
    live.clients("codedeploy").update_deployment_group(**GROUP, blueGreenDeploymentConfiguration=options(5, 0))
    verbs.pack("".join(keys).strip())
    image = f"{registry_of('us-east-1')}/hello:moving"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(live.scene.work_tree)
        command = verbs.command("deploy", "--image", image)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as at every terminal, whatever this suite was started by
        os.execve(command[0], command, {**verbs.environment(), "TERM": "xterm", "COLUMNS": "160"})
    try:
        for seen, key in zip(["is ready", "What shall become of it"], ["\x03", *keys], strict=True):
            read_until(terminal, seen)
            os.write(terminal, key.encode())
        read_until(terminal, None)
    finally:
        os.close(terminal)
    _, ended = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(ended) == status
    newest = live.clients("codedeploy").list_deployments(applicationName="hello", deploymentGroupName="hello")
    info = live.clients("codedeploy").get_deployment(deploymentId=newest["deployments"][0])["deploymentInfo"]
    if status == 3:
        assert info["status"] == "Ready"
        assert verbs("stop").returncode == 0
    else:
        assert info["creator"] == "codeDeployRollback"


def read_until(terminal: int, seen: str | None) -> str:
    """What a terminal shows, up to some words, or to its end."""
    said = ""
    deadline = time.monotonic() + 120
    while seen is None or seen not in said:
        assert select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0], (
            f"not told in time: {seen}\n{said}"
        )
        try:
            part = os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # the program has ended
            part = ""
        if not part:
            assert seen is None, said
            return said
        said += part
    return said
