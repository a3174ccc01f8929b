"""Hooks of every kind, for real: under load behind Envoy, through the command line and through the pipeline."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from tests.real.conftest import CACHE, Live, found, part
from turnout.cli.clients import Clients
from turnout.cli.demo.scene import Scene, load_on
from turnout.cli.demo.versions import Version
from turnout.cli.follow import follow
from turnout.cli.running import wait_until_gone
from turnout.cli.up import start_detached
from turnout.config import Config as CoreConfig

pytestmark = pytest.mark.real

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
VALIDATE = """\
import os
import boto3

def handler(event, context):
    print("validating", event["DeploymentId"])
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=os.environ["VERDICT"],
    )
"""
NODE = """\
import http from "node:http";

export const handler = async (event) => {
  const body = JSON.stringify({
    deploymentId: event.DeploymentId,
    lifecycleEventHookExecutionId: event.LifecycleEventHookExecutionId,
    status: "Succeeded",
  });
  const headers = {
    "X-Amz-Target": "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus",
    "Content-Type": "application/x-amz-json-1.1",
  };
  const status = await new Promise((resolve, reject) => {
    const asked = http.request(process.env.AWS_ENDPOINT_URL, { method: "POST", headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    asked.on("error", reject);
    asked.end(body);
  });
  console.log("told", status, "by node", process.version);
  return status;
};
"""
APPSPEC = """\
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo: {ContainerName: hello, ContainerPort: 8000}
Hooks:
"""
TURNOUT_YML = """\
version: 1
hooks:
  migrate:
    container: hello
    command: [python3, -c, "import os; print('migrating for', os.environ['DEPLOYMENT_ID'])"]
  healthy:
    http: ${GREEN_URL}/health
    method: GET
    retries: 2
  smoke:
    script: python3 smoke.py
  refuse:
    script: [echo all is lost, exit 7]
"""
SHIMMED = """\
version: 1
hooks:
  look:
    http: ${PRODUCTION_URL}/health
    method: GET
    retries: 2
  smoke-fn:
    script: python3 smoke.py
  refuse-fn:
    script: [echo all is lost, exit 7]
"""
SMOKE = """\
import os
import urllib.request

for name in ("TEST_URL", "GREEN_URL", "PRODUCTION_URL"):
    with urllib.request.urlopen(os.environ[name], timeout=10) as answer:
        print(name, answer.headers["X-Version"])
"""


def create_function(live: Live, name: str, code: str, file: str, runtime: str, **variables: str) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr(file, code)
    create_function_from(live, name, body.getvalue(), f"{file.partition('.')[0]}.handler", runtime, **variables)


def create_function_from(
    live: Live, name: str, code: bytes, handler: str = "shim.handler", runtime: str = "python3.12", **variables: str
) -> None:
    functions, roles = live.clients("lambda"), live.clients("iam")
    with suppress(roles.exceptions.EntityAlreadyExistsException):
        roles.create_role(RoleName="hook", AssumeRolePolicyDocument=json.dumps(TRUST))
    functions.create_function(
        FunctionName=name,
        Runtime=runtime,
        Role="arn:aws:iam::000000000000:role/hook",
        Handler=handler,
        Timeout=60,
        Code={"ZipFile": code},
        Environment={"Variables": variables},
    )


def deploy(
    live: Live, folder: Path, version: str, *, is_without_file: bool = False, **hooks: str
) -> subprocess.CompletedProcess[str]:
    """`turnout deploy` of a folder with hooks, with an image of the example that says it is `version`."""
    app = live.scene.work_tree
    (folder / "app").mkdir()
    for file in ("app.py", "Procfile"):
        (folder / "app" / file).write_text((app / file).read_text())
    (folder / "app" / "release.json").write_text(json.dumps({"version": version, "colour": "#57606a"}))
    (folder / "taskdef.json").write_text((app / "taskdef.json").read_text())
    (folder / "appspec.yml").write_text(APPSPEC + "".join(f"  - {event}: {name}\n" for event, name in hooks.items()))
    if not is_without_file:
        (folder / "turnout.yml").write_text(TURNOUT_YML)
    (folder / "smoke.py").write_text(SMOKE)
    packed = turnout(live, "pack", str(folder / "app"), "--tag", f"hello:{version}")
    assert packed.returncode == 0, packed.stderr
    place = ("--application", "hello", "--group", "hello")
    return turnout(live, "deploy", str(folder), "--image", packed.stdout.strip(), *place)


def turnout(live: Live, *words: str) -> subprocess.CompletedProcess[str]:
    return live.run(sys.executable, "-m", "turnout", *words)


def newest_receipt(live: Live) -> dict[str, Any]:
    receipts: list[dict[str, Any]] = live.clients.told("receipts/us-east-1")
    return receipts[0]


def test_hooks_of_every_kind_run_under_load_and_no_request_is_lost(live: Live, tmp_path: Path) -> None:
    create_function(live, "validate", VALIDATE, "app.py", "python3.12", VERDICT="Succeeded")
    with load_on(live.made, kept=16, fresh=4) as load:
        done = deploy(
            live,
            tmp_path,
            "hooked",
            BeforeInstall="migrate",
            AfterInstall="healthy",
            AfterAllowTestTraffic="smoke",
            BeforeAllowTraffic="validate",
            AfterAllowTraffic="smoke",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert load.tally().version == "hooked"
    tally = load.tally()
    assert dict(tally.failures) == {}
    assert tally.requests > 100
    receipt = newest_receipt(live)
    hooks = {hook["event"]: hook for hook in receipt["hooks"]}
    assert {event: (hook["kind"], hook["status"]) for event, hook in hooks.items()} == {
        "BeforeInstall": ("container", "Succeeded"),
        "AfterInstall": ("http", "Succeeded"),
        "AfterAllowTestTraffic": ("script", "Succeeded"),
        "BeforeAllowTraffic": ("lambda", "Succeeded"),
        "AfterAllowTraffic": ("script", "Succeeded"),
    }
    assert hooks["BeforeInstall"]["output"] == f"migrating for {receipt['deploymentId']}"
    tested = dict(line.split() for line in hooks["AfterAllowTestTraffic"]["output"].splitlines())
    assert (tested["TEST_URL"], tested["GREEN_URL"]) == ("hooked", "hooked")
    assert tested["PRODUCTION_URL"] != "hooked", "production is still blue's"
    assert "PRODUCTION_URL hooked" in hooks["AfterAllowTraffic"]["output"]
    assert f"validating {receipt['deploymentId']}" in hooks["BeforeAllowTraffic"]["output"]


def test_a_hook_that_fails_at_full_traffic_brings_blue_back_and_no_request_is_lost(live: Live, tmp_path: Path) -> None:
    with load_on(live.made, kept=16, fresh=4) as load:
        before = load.tally().version
        done = deploy(live, tmp_path, "refused", AfterAllowTraffic="refuse")
        assert done.returncode == 1, done.stdout + done.stderr
        assert "HOOK_EXECUTION_FAILURE" in done.stdout + done.stderr
        assert before != "refused"
        assert load.tally().version != "refused"
    assert dict(load.tally().failures) == {}
    shown = turnout(live, "receipt", failed_deployment(live))
    assert "AfterAllowTraffic: refuse (script)" in shown.stdout
    assert "all is lost" in shown.stdout


def test_a_script_runs_once_although_the_engine_is_killed_meanwhile(tmp_path: Path) -> None:
    """SIGKILL under load, while the script runs; the script goes on, and the next engine hears how it ended."""
    scene = Scene(Path(tempfile.mkdtemp(prefix="turnout-test-")))
    try:
        running = scene.start_engine()
        made = scene.build_stack(Clients(running), lambda kind, name, is_created: None)
        ledger, may_end = tmp_path / "ledger", tmp_path / "may-end"
        script = f"echo ran >> {ledger}; while [ ! -e {may_end} ]; do sleep 0.05; done; echo over"
        tree = scene.work_tree
        (tree / "turnout.yml").write_text(f"version: 1\nhooks:\n  hold:\n    script: {script}\n")
        (tree / "appspec.yml").write_text((tree / "appspec.yml").read_text() + "Hooks: [AfterAllowTraffic: hold]\n")
        buildspec = (tree / "buildspec.yml").read_text()
        (tree / "buildspec.yml").write_text(buildspec.replace("- appspec.yml\n", "- appspec.yml\n    - turnout.yml\n"))
        with load_on(made, kept=16, fresh=4) as load:
            commit = scene.commit(Version("held", "#57606a", "Hold in a hook"))
            scene.push()
            until(ledger.exists)
            os.kill(running.pid, signal.SIGKILL)
            assert wait_until_gone(running, 5)
            may_end.touch()
            running = start_detached(CoreConfig(home=scene.home, port=running.port))
            release = follow(Clients(running), "hello", commit, lambda stages, waits: None, 90)
            assert release.status == "Succeeded", release.failure
            assert load.tally().version == "held"
        assert dict(load.tally().failures) == {}
        assert ledger.read_text() == "ran\n"
        (receipt, *_) = Clients(running).told("receipts/us-east-1")
        assert [(hook["status"], hook["output"]) for hook in receipt["hooks"]] == [("Succeeded", "over")]
    finally:
        scene.end()


def until(is_true: Callable[[], bool], within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, "did not become true"
        time.sleep(0.05)


def failed_deployment(live: Live) -> str:
    """The newest deployment that was no rollback."""
    return next(r["deploymentId"] for r in live.clients.told("receipts/us-east-1") if r["creator"] == "user")


def test_a_function_that_reports_failed_keeps_production_on_blue(live: Live, tmp_path: Path) -> None:
    create_function(live, "refusing", VALIDATE, "app.py", "python3.12", VERDICT="Failed")
    done = deploy(live, tmp_path, "never", AfterAllowTestTraffic="refusing")
    assert done.returncode == 1, done.stdout + done.stderr
    receipt = live.clients.told(f"receipts/us-east-1/{failed_deployment(live)}")
    assert receipt["error"]["code"] == "HOOK_EXECUTION_FAILURE"
    assert all(change["green"] == 0 for change in receipt["weights"])


def reach(live: Live) -> dict[str, str]:
    return {
        "endpoint_url": live.running.endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }


@contextmanager
def built_client(live: Live) -> Iterator[None]:
    """AWS's client for Node, as an earlier run has built it; else it is built now, and kept for the next."""
    place, kept = live.scene.home / "lambda" / "node", CACHE / "ric"
    if kept.is_dir():
        shutil.copytree(kept, place, symlinks=True)
    yield
    if not kept.is_dir():
        shutil.copytree(place, kept, symlinks=True)


def test_a_function_in_node_is_a_hook_like_any_other(live: Live, tmp_path: Path) -> None:
    for tool in ("node", "npm", "cmake", "g++", "autoconf", "automake", "libtoolize"):
        part(tool, found(tool))
    with built_client(live):
        create_function(live, "noded", NODE, "index.mjs", "nodejs22.x")
        # Not by the deployment: the first call of a function builds AWS's client, for minutes on a busy machine.
        patient = boto3.client("lambda", config=Config(read_timeout=900, retries={"max_attempts": 0}), **reach(live))
        patient.invoke(FunctionName="noded", Payload=b"{}")
    done = deploy(live, tmp_path, "noded", AfterInstall="noded")
    assert done.returncode == 0, done.stdout + done.stderr
    (hook,) = newest_receipt(live)["hooks"]
    assert "told 200 by node v" in hook["output"]


def test_hooks_that_init_has_made_functions_of_do_what_they_did_as_scripts_and_calls(
    live: Live, tmp_path: Path
) -> None:
    """The AppSpec is the same; there is no turnout.yml beside it any more, as on AWS."""
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "turnout.yml").write_text(SHIMMED)
    (tmp_path / "hooks" / "smoke.py").write_text("import os\nprint('smoking', os.environ['DEPLOYMENT_ID'])\n")
    made = turnout(live, "init", str(tmp_path / "hooks"))
    assert made.returncode == 0, made.stderr
    production = f"http://127.0.0.1:{urlsplit(live.made.address).port}"
    for name in ("look", "smoke-fn", "refuse-fn"):
        code = (tmp_path / "hooks" / "lambda" / f"{name}.zip").read_bytes()
        create_function_from(live, name, code, PRODUCTION_URL=production)
    (tmp_path / "good").mkdir()
    hooks = {"AfterInstall": "smoke-fn", "AfterAllowTraffic": "look"}
    done = deploy(live, tmp_path / "good", "shimmed", is_without_file=True, **hooks)
    assert done.returncode == 0, done.stdout + done.stderr
    receipt = newest_receipt(live)
    assert [(h["name"], h["kind"], h["status"]) for h in receipt["hooks"]] == [
        ("smoke-fn", "lambda", "Succeeded"),
        ("look", "lambda", "Succeeded"),
    ]
    assert f"smoking {receipt['deploymentId']}" in receipt["hooks"][0]["output"]
    assert "/health: 200" in receipt["hooks"][1]["output"]
    (tmp_path / "bad").mkdir()
    done = deploy(live, tmp_path / "bad", "refused", is_without_file=True, AfterInstall="refuse-fn")
    assert done.returncode != 0
    failed = next(r for r in live.clients.told("receipts/us-east-1") if r["hooks"] and r["status"] == "Failed")
    assert failed["hooks"][0]["name"] == "refuse-fn"
    assert "failed: exit code 7" in failed["hooks"][0]["output"]


def test_a_release_through_the_pipeline_takes_its_hook_file_along(live: Live) -> None:
    tree = live.scene.work_tree
    kept = {name: (tree / name).read_text() for name in ("appspec.yml", "buildspec.yml")}
    try:
        (tree / "appspec.yml").write_text(kept["appspec.yml"] + "Hooks:\n  - AfterAllowTestTraffic: smoke\n")
        (tree / "turnout.yml").write_text(TURNOUT_YML)
        (tree / "smoke.py").write_text(SMOKE)
        listed = kept["buildspec.yml"].replace("- appspec.yml\n", "- appspec.yml\n    - turnout.yml\n    - smoke.py\n")
        assert listed != kept["buildspec.yml"]
        (tree / "buildspec.yml").write_text(listed)
        commit = live.release(Version("piped", "#57606a", "Look before the switch"))
        release = live.follow(commit)
        assert release.status == "Succeeded", release.failure
    finally:
        for name, text in kept.items():
            (tree / name).write_text(text)
        for name in ("turnout.yml", "smoke.py"):
            (tree / name).unlink(missing_ok=True)
    (hook,) = newest_receipt(live)["hooks"]
    assert "TEST_URL piped" in hook["output"]


def test_a_rollback_to_a_version_with_hooks_runs_them(live: Live) -> None:
    """The second deployment, of the version that served before, has the hook file of the first."""
    former = next(r["deploymentId"] for r in live.clients.told("receipts/us-east-1") if len(r.get("hooks", [])) == 5)
    done = turnout(live, "rollback", "--to", former, "--application", "hello", "--group", "hello")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [hook["status"] for hook in newest_receipt(live)["hooks"]] == ["Succeeded"] * 5
