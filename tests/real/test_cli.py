"""The command line as people type it, against an engine that has really released something."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.real.conftest import Live
from turnout.cli.clients import Clients
from turnout.cli.demo.versions import Version
from turnout.cli.up import start_detached, stop
from turnout.config import Config

pytestmark = pytest.mark.real

Turnout = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def turnout(live: Live) -> Turnout:
    """Runs a verb on the home of the engine."""

    def run(*words: str, **options: object) -> CompletedProcess[str]:
        return live.run(
            sys.executable, "-m", "turnout", words[0], "--home", str(live.scene.home), *words[1:], **options
        )

    return run


@pytest.fixture(scope="module")
def commit(live: Live) -> str:
    """What serves: a release that came by `git push`."""
    pushed = live.release(Version("cli", "#8250df", "for the command line"))
    assert live.follow(pushed).status == "Succeeded"
    return pushed


def test_status_is_0_while_the_latest_release_serves_and_names_its_commit(turnout: Turnout, commit: str) -> None:
    done = turnout("status")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{commit[:12]} cli: for the command line" in done.stdout
    assert "is what serves" in done.stdout


def test_status_can_be_read_by_programs(turnout: Turnout, commit: str) -> None:
    document = json.loads(turnout("status", "--json").stdout)
    assert document["isLive"]
    (pipeline,) = document["pipelines"]
    assert pipeline["serving"]["commit"] == commit
    (service,) = document["services"]
    assert sorted(side["weight"] for side in service["sides"]) == [0, 100]
    assert service["addresses"]


def test_status_of_a_commit_that_was_never_released_is_not_0(turnout: Turnout, commit: str) -> None:
    assert turnout("status", "--commit", "0" * 40).returncode == 1
    assert turnout("status", "--watch", "--commit", commit).returncode == 0


def test_a_broken_release_makes_status_fail_and_says_why_until_the_next_one(
    live: Live, turnout: Turnout, commit: str
) -> None:
    broken = live.release(Version("bad", "#cf222e", "Break it", is_healthy=False))
    done = turnout("status", "--watch", "--commit", broken)
    assert done.returncode == 1
    said = turnout("status").stdout
    assert "HEALTH_CONSTRAINTS" in said
    assert "is not what serves" in said
    assert f"{commit[:12]} cli: for the command line" in said
    assert "HEALTH_CONSTRAINTS" in turnout("history", "hello").stdout
    mended = live.release(Version("good", "#1a7f37", "Mend it"))
    assert turnout("status", "--watch", "--commit", mended).returncode == 0


def test_the_receipt_of_the_newest_deployment_is_a_page_or_a_document(turnout: Turnout, commit: str) -> None:
    document = json.loads(turnout("receipt", "--json").stdout)
    page = turnout("receipt", document["deploymentId"]).stdout
    assert document["deploymentId"] in page
    assert "AllowTraffic" in page
    assert document["commitId"][:12] in page
    assert turnout("receipt", "d-NOWHERE00").returncode == 2


def test_logs_hold_the_lines_of_tasks_and_builds(turnout: Turnout, commit: str) -> None:
    lines = turnout("logs", "hello", "--limit", "500").stdout
    assert "hello cli serves on port" in lines
    assert "Running command python3 -m unittest" in lines
    assert turnout("logs", "nobody").returncode == 2


def test_bootstrap_can_be_repeated_and_changes_nothing(live: Live, turnout: Turnout, commit: str) -> None:
    done = turnout("bootstrap", str(live.scene.work_tree))
    assert done.returncode == 0, done.stderr
    assert "created" not in done.stdout
    assert done.stdout.count("unchanged") == 20


def test_bootstrap_creates_nothing_if_it_could_not_finish(live: Live, turnout: Turnout, tmp_path: Path) -> None:
    folder = tmp_path / "unready"
    shutil.copytree(live.scene.work_tree, folder, ignore=shutil.ignore_patterns(".git", "Procfile"))
    done = turnout("bootstrap", str(folder))
    assert (done.returncode, done.stdout) == (2, "")
    assert "how does unready start?" in done.stderr
    repositories = live.clients("ecr").describe_repositories()["repositories"]
    assert "unready" not in [repository["repositoryName"] for repository in repositories]


def test_a_port_that_somebody_holds_is_told_before_anything_is_created(
    live: Live, turnout: Turnout, tmp_path: Path
) -> None:
    """The engine of these tests binds to free ports: one that does not is asked here."""
    home = tmp_path / "home"
    running = start_detached(Config(home=home, port=0))
    try:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            words = ("bootstrap", str(live.scene.work_tree), "--name", "other", "--port", str(port), "--no-remote")
            done = live.run(sys.executable, "-m", "turnout", *words, "--home", str(home))
        assert (done.returncode, done.stdout) == (2, "")
        assert f"the production listener: port {port}, where" in done.stderr
        assert "Another port: --port." in done.stderr
        assert Clients(running)("ecr").describe_repositories()["repositories"] == []
    finally:
        stop(running)


def test_status_of_a_name_is_of_that_name_alone(turnout: Turnout, commit: str) -> None:
    assert turnout("status", "hello", "--json").stdout == turnout("status", "--json").stdout
    nobody = turnout("status", "nobody")
    assert nobody.returncode == 2
    assert "no service and no pipeline is called nobody: there are hello." in nobody.stderr


def test_packing_the_same_folder_twice_makes_the_same_image(turnout: Turnout, live: Live, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('hello')\n")
    detail = tmp_path / "imageDetail.json"
    first = turnout("pack", str(tmp_path), "--tag", "hello:one", "--command", "python3 app.py").stdout.strip()
    words = ("pack", str(tmp_path), "--tag", "hello:two", "--command", "python3 app.py", "--detail", str(detail))
    assert turnout(*words).stdout.strip() == first
    assert json.loads(detail.read_text()) == {"ImageURI": first}
    assert "@sha256:" in first


def test_packing_without_a_start_command_says_how_to_give_one(turnout: Turnout, tmp_path: Path) -> None:
    done = turnout("pack", str(tmp_path), "--tag", "hello:one")
    assert done.returncode == 2
    assert "Procfile" in done.stderr


def test_packing_into_a_repository_that_is_not_there_says_how_to_make_one(turnout: Turnout, tmp_path: Path) -> None:
    done = turnout("pack", str(tmp_path), "--tag", "nowhere:one", "--command", "true")
    assert done.returncode == 2
    assert "aws ecr create-repository --repository-name nowhere" in done.stderr


def test_env_leads_the_tools_to_the_engine(turnout: Turnout, live: Live) -> None:
    assert f"export AWS_ENDPOINT_URL={live.running.endpoint}" in turnout("env").stdout
    assert f"set -gx AWS_ENDPOINT_URL '{live.running.endpoint}';" in turnout("env", "--shell", "fish").stdout


def test_a_second_engine_on_the_home_is_refused_without_a_traceback(turnout: Turnout, live: Live) -> None:
    for words in (("up", "--port", "0"), ("up", "--port", "0", "--detach")):
        done = turnout(*words)
        assert done.returncode == 2
        assert f"pid {live.running.pid}, at {live.running.endpoint}" in done.stderr
        assert "Traceback" not in done.stderr
