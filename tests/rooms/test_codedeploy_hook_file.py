"""Hooks without Lambda: what turnout.yml says of them really runs, and its own end decides."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes.bluegreen import TEST
from tests.rooms.deploying import APPSPEC, Deploying, hooked, with_file

SCRIPT = 'version: 1\nhooks:\n  check:\n    script: ./check.sh\n    environment: {{GREETING: "hello there"}}\n{more}'
SAYS = "#!/bin/sh\necho $GREETING from $LIFECYCLE_EVENT of $DEPLOYMENT_ID at $TEST_URL and $GREEN_URL\necho x > made\n"
CONTAINER = "version: 1\nhooks:\n  check:\n    container: app\n    command: [migrate, --all]\n{more}"
HTTP = """\
version: 1
hooks:
  check:
    http: ${{TEST_URL}}/check
    headers: {{X-Event: "${{LIFECYCLE_EVENT}}"}}
{more}"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Deploying]:
    shop = Deploying(tmp_path)
    shop.create_group(has_test=True)
    yield shop
    shop.close()


def begin(shop: Deploying, turnout_yml: str, event: str = "AfterInstall", **files: str) -> str:
    return shop.deploy(revision=with_file(shop, hooked(**{event: "check"}), turnout_yml, **files))


def over(shop: Deploying, deployment_id: str) -> dict[str, Any]:
    shop.rest()
    return shop.info(deployment_id)


def test_a_script_runs_with_what_lies_beside_it_and_is_told_where_it_is(shop: Deploying) -> None:
    deployment_id = begin(shop, SCRIPT.format(more=""), **{"check.sh": SAYS})
    assert over(shop, deployment_id)["status"] == "Succeeded"
    said = f"hello there from AfterInstall of {deployment_id} at http://127.0.0.1:2 and http://127.0.0.1:20"
    assert shop.event(deployment_id, "AfterInstall")["diagnostics"] == {
        "errorCode": "Success",
        "scriptName": "check",
        "message": "Succeeded",
        "logTail": said,
    }
    receipt = shop.receipts.find("us-east-1", deployment_id)
    assert receipt is not None
    (hook,) = receipt["hooks"]
    assert (hook["kind"], hook["status"], hook["output"]) == ("script", "Succeeded", said)


def test_a_script_sees_nothing_of_the_engines_environment(shop: Deploying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_ENGINE", "x")
    deployment_id = begin(shop, SCRIPT.format(more=""), **{"check.sh": "#!/bin/sh\nenv"})
    over(shop, deployment_id)
    seen = shop.event(deployment_id, "AfterInstall")["diagnostics"]["logTail"]
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:4566" in seen
    assert "SECRET_OF_THE_ENGINE" not in seen


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        ("#!/bin/sh\necho broken; exit 3", "ScriptFailed", "the script check failed: exit code 3"),
        (None, "ScriptMissing", "the script check failed: exit code 127"),
    ],
)
def test_a_script_that_fails_fails_the_deployment(shop: Deploying, script: str | None, code: str, message: str) -> None:
    files = {} if script is None else {"check.sh": script}
    deployment_id = begin(shop, SCRIPT.format(more=""), **files)
    error = over(shop, deployment_id)["errorInformation"]
    assert (error["code"], message in error["message"]) == ("HOOK_EXECUTION_FAILURE", True)
    diagnostics = shop.event(deployment_id, "AfterInstall")["diagnostics"]
    assert (diagnostics["errorCode"], diagnostics["message"]) == (code, message)
    assert "broken" in diagnostics["logTail"] or script is None


def test_a_list_of_commands_ends_at_the_first_that_fails(shop: Deploying) -> None:
    text = "version: 1\nhooks:\n  check:\n    script:\n    - echo one\n    - false\n    - echo two\n"
    deployment_id = begin(shop, text)
    assert over(shop, deployment_id)["status"] == "Failed"
    assert shop.event(deployment_id, "AfterInstall")["diagnostics"]["logTail"] == "one"


def test_a_script_that_takes_too_long_is_ended(shop: Deploying) -> None:
    deployment_id = begin(shop, SCRIPT.format(more="    timeout: 30\n"), **{"check.sh": "#!/bin/sh\nexec sleep 600"})
    over(shop, deployment_id)
    diagnostics = shop.event(deployment_id, "AfterInstall")["diagnostics"]
    assert (diagnostics["errorCode"], diagnostics["message"]) == (
        "ScriptTimedOut",
        "the script check did not end within 30 s",
    )


def test_a_script_ends_when_its_deployment_is_stopped(shop: Deploying) -> None:
    mark = shop.home / "ended"
    script = f"#!/bin/sh\ntrap 'touch {mark}; exit 1' TERM\necho up\nwhile :; do sleep 0.01; done"
    deployment_id = begin(shop, SCRIPT.format(more=""), **{"check.sh": script})
    output = shop.home / "codedeploy" / "scripts" / f"{deployment_id}.AfterInstall" / "output"
    shop.until(lambda: output.exists() and output.read_text() == "up\n")
    shop.client.stop_deployment(deploymentId=deployment_id)
    shop.tick()
    deadline = time.monotonic() + 30
    while not mark.exists():
        assert time.monotonic() < deadline, "it was not asked to end"
        shop.run(asyncio.sleep(0.005))
    assert over(shop, deployment_id)["status"] == "Stopped"


def test_only_the_end_of_a_long_output_is_kept(shop: Deploying) -> None:
    script = "#!/bin/sh\ni=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done"
    deployment_id = begin(shop, SCRIPT.format(more=""), **{"check.sh": script})
    over(shop, deployment_id)
    kept = shop.event(deployment_id, "AfterInstall")["diagnostics"]["logTail"]
    assert len(kept) <= 4096
    assert kept.startswith("line 1")
    assert kept.endswith("line 1999")


def test_what_a_deployment_began_with_is_what_runs(shop: Deploying) -> None:
    """The artifact is replaced in S3 after CreateDeployment."""
    deployment_id = begin(shop, SCRIPT.format(more=""), **{"check.sh": "#!/bin/sh\necho first"})
    with_file(shop, APPSPEC, SCRIPT.format(more=""), **{"check.sh": "#!/bin/sh\nexit 1"})
    assert over(shop, deployment_id)["status"] == "Succeeded"


def test_what_scripts_have_left_on_the_disk_goes_with_the_next_deployment(shop: Deploying) -> None:
    folder = shop.home / "codedeploy"
    for text in ("echo 1", "echo 2", "echo 3"):
        over(shop, begin(shop, SCRIPT.format(more=""), **{"check.sh": f"#!/bin/sh\n{text}"}))
    assert len(list((folder / "bundles").iterdir())) == 1
    assert len(list((folder / "scripts").iterdir())) == 1


def test_a_container_runs_as_a_task_of_its_own_and_its_exit_code_decides(shop: Deploying) -> None:
    deployment_id = begin(shop, CONTAINER.format(more="    environment: {DEPTH: all}\n"), "BeforeInstall")
    assert over(shop, deployment_id)["status"] == "Succeeded"
    (task,) = shop.ecs.hook_tasks
    (override,) = task["asked"]["overrides"]["containerOverrides"]
    told = {pair["name"]: pair["value"] for pair in override["environment"]}
    assert override["command"] == ["migrate", "--all"]
    assert (told["DEPTH"], told["DEPLOYMENT_ID"], "GREEN_URL" in told) == ("all", deployment_id, False)
    (definition,) = (given for _, given in shop.ecs.definitions.values())
    (container,) = definition["containerDefinitions"]
    assert "portMappings" not in container
    assert shop.ecs.deregistered == {"arn:td/hook:1"}
    said = shop.event(deployment_id, "BeforeInstall")["diagnostics"]["logTail"]
    assert said.startswith("last words in ecs/app/")


def test_a_container_that_fails_fails_the_deployment(shop: Deploying) -> None:
    shop.ecs.hook_exit = 2
    deployment_id = begin(shop, CONTAINER.format(more=""))
    over(shop, deployment_id)
    diagnostics = shop.event(deployment_id, "AfterInstall")["diagnostics"]
    assert diagnostics["message"] == "the container of check failed: exit code 2"


def test_a_container_that_takes_too_long_is_stopped(shop: Deploying) -> None:
    shop.ecs.hook_takes_s = 1000
    deployment_id = begin(shop, CONTAINER.format(more="    timeout: 60\n"))
    over(shop, deployment_id)
    assert shop.event(deployment_id, "AfterInstall")["diagnostics"]["errorCode"] == "ScriptTimedOut"
    assert "stopped_at" in shop.ecs.hook_tasks[0]


class Gate(BaseHTTPRequestHandler):
    statuses: list[int]
    asked: list[tuple[str, str | None, dict[str, Any]]]

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["X-Event"], payload))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(f"said {status}".encode())

    def log_message(self, format: str, *args: Any) -> None:
        return None


@contextmanager
def gate(shop: Deploying, *statuses: int) -> Iterator[list[tuple[str, str | None, dict[str, Any]]]]:
    """Something real answers at the test listener's address."""
    handler = type("Here", (Gate,), {"statuses": list(statuses), "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shop.balancer.addresses[TEST] = f"http://web.elb.localhost:{server.server_port}"
        try:
            yield handler.asked  # type: ignore[attr-defined]
        finally:
            server.shutdown()


def test_an_http_hook_is_called_with_flaggers_payload_at_the_test_listener(shop: Deploying) -> None:
    with gate(shop, 200) as asked:
        deployment_id = begin(shop, HTTP.format(more="    metadata: {kind: smoke}\n"), "AfterAllowTestTraffic")
        assert over(shop, deployment_id)["status"] == "Succeeded"
    ((path, event, payload),) = asked
    assert (path, event) == ("/check", "AfterAllowTestTraffic")
    assert (payload["name"], payload["namespace"], payload["phase"]) == ("web", "prod", "Progressing")
    assert payload["metadata"].items() >= {"kind": "smoke", "DEPLOYMENT_ID": deployment_id}.items()
    diagnostics = shop.event(deployment_id, "AfterAllowTestTraffic")["diagnostics"]
    assert (diagnostics["message"], diagnostics["logTail"]) == ("status 200", "said 200")


def test_an_http_hook_is_called_again_until_its_retries_are_over(shop: Deploying) -> None:
    with gate(shop, 503, 500, 204) as asked:
        deployment_id = begin(shop, HTTP.format(more="    retries: 2\n"))
        assert over(shop, deployment_id)["status"] == "Succeeded"
        assert len(asked) == 3
        deployment_id = begin(shop, HTTP.format(more="    retries: 2\n    expect: [200]\n"))
        error = over(shop, deployment_id)["errorInformation"]
        assert len(asked) == 6
    assert error["message"].endswith("/check: status 204, in the last of 3 calls")


def test_an_http_hook_has_an_hour_whatever_its_retries_are(shop: Deploying) -> None:
    with gate(shop, 503) as asked:
        deployment_id = begin(shop, HTTP.format(more="    retries: 1000\n    interval: 1700\n"))
        shop.tick(3700)
        error = over(shop, deployment_id)["errorInformation"]
        assert len(asked) == 3
    assert "no answer that was expected within an hour; call 3: POST http://web.elb.localhost" in error["message"]
    assert shop.event(deployment_id, "AfterInstall")["diagnostics"]["errorCode"] == "ScriptTimedOut"


def test_an_http_hook_that_nobody_answers_fails(shop: Deploying) -> None:
    shop.balancer.addresses[TEST] = "http://127.0.0.1:1"
    error = over(shop, begin(shop, HTTP.format(more="")))["errorInformation"]
    assert "ConnectError" in error["message"]


def test_the_verdict_of_a_hook_that_is_no_function_is_its_own_end(shop: Deploying) -> None:
    shop.ecs.hook_takes_s = 1000
    deployment_id = begin(shop, CONTAINER.format(more=""), "BeforeInstall")
    shop.tick(60)
    (run,) = shop.runs.of_kind("codedeploy.hook")
    with pytest.raises(ClientError, match="UnsupportedActionForDeploymentTypeException"):
        shop.client.put_lifecycle_event_hook_execution_status(
            deploymentId=deployment_id, lifecycleEventHookExecutionId=run.spec["execution_id"], status="Failed"
        )


def test_an_appspec_in_s3_finds_its_hook_file_beside_it(shop: Deploying) -> None:
    shop.elsewhere.objects["shop/appspec.yaml"] = hooked(AfterInstall="check").encode()
    shop.elsewhere.objects["shop/turnout.yml"] = b"version: 1\nhooks: {check: {script: echo beside}}\n"
    place = {"bucket": "bucket", "key": "shop/appspec.yaml", "bundleType": "YAML"}
    deployment_id = shop.deploy(revision={"revisionType": "S3", "s3Location": place})
    assert over(shop, deployment_id)["status"] == "Succeeded"
    assert shop.event(deployment_id, "AfterInstall")["diagnostics"]["logTail"] == "beside"


@pytest.mark.parametrize(
    ("turnout_yml", "event", "message"),
    [
        ("version: 1\nhooks: {check: {scripd: x}}", "AfterInstall", "deploy/turnout.yml:2: hooks.check must have"),
        ("version: 1\nhooks:\n  check: {script: [}", "AfterInstall", "deploy/turnout.yml:3: "),
        (HTTP.format(more="").replace("TEST", "GREEN"), "BeforeInstall", "green is not there yet"),
        (
            CONTAINER.format(more="").replace("app", "api"),
            "AfterInstall",
            "runs the container api; the task definition",
        ),
    ],
)
def test_a_hook_file_is_checked_before_anything_begins(
    shop: Deploying, turnout_yml: str, event: str, message: str
) -> None:
    with pytest.raises(ClientError) as raised:
        begin(shop, turnout_yml, event)
    error = raised.value.response["Error"]
    assert error["Code"] == "InvalidRevisionException"
    assert message in error["Message"]


def test_a_hook_file_that_is_not_there_is_said_before_anything_begins(shop: Deploying) -> None:
    revision = with_file(shop, hooked(AfterInstall="check"), SCRIPT.format(more=""))
    shop.elsewhere.objects.clear()
    with pytest.raises(ClientError, match="which the AppSpec names, is not there"):
        shop.deploy(revision=revision)
