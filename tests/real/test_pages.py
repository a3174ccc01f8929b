"""What the pages print is typed as it stands, one page after the other, on the stack that the README makes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import CHECKOUT, Live
from turnout.cli.clients import Clients
from turnout.cli.demo.scene import Scene

pytestmark = pytest.mark.real

# The AppSpec that hooks.md writes has hooks, and `turnout migrate` asks what is to become of them.
PAGES = ("alarms.md", "health.md", "autoscaling.md", "migrate.md", "hooks.md")


@pytest.fixture(scope="module")
def reader() -> Iterator[Live]:
    """An engine that no other test has touched: readers begin with what bootstrap has made."""
    scene = Scene(Path(tempfile.mkdtemp(prefix="turnout-test-")))
    try:
        with pytest.MonkeyPatch.context() as patch:
            # Other engines of tests do without AWS's own policies, which take a second to load; a page names one.
            patch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
            running = scene.start_engine()
        clients = Clients(running)
        yield Live(scene, running, clients, scene.build_stack(clients, lambda kind, name, is_created: None))
    finally:
        scene.end()


def typed(page: str) -> str:
    """The commands of a page's console blocks, in their order. One may go on over lines; none shows its output."""
    text = (CHECKOUT / "docs" / page).read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "".join(re.sub(r"^\$ ", "", block, flags=re.MULTILINE) for block in blocks)


def type_in(reader: Live, aws: str, script: str) -> str:
    """In one shell that ends at the first command that fails, and knows no more than where the home is."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{Path(aws).parent}:{os.environ['PATH']}",
        "HOME": str(reader.scene.folder),
        "TURNOUT_HOME": str(reader.scene.home),
        "AWS_PAGER": "",
    }
    done = subprocess.run(
        ["bash", "-xeuo", "pipefail", "-c", script],
        env=environment,
        cwd=reader.scene.work_tree,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_does_what_it_says_on_the_stack_of_the_readme(
    reader: Live, aws: str, page: str
) -> None:
    script = typed(page)
    assert script.count("\n") >= 3
    said = type_in(reader, aws, script)
    ecs, codedeploy = reader.clients("ecs"), reader.clients("codedeploy")
    others = [arn for arn in ecs.list_services(cluster="hello")["serviceArns"] if not arn.endswith("/hello")]
    assert others == [], "a page takes back what it has made beside the reader's own service"
    (service,) = ecs.describe_services(cluster="hello", services=["hello"])["services"]
    assert service["deploymentController"]["type"] == "CODE_DEPLOY"
    seen: Any = None
    match page:
        case "alarms.md":
            group = codedeploy.get_deployment_group(applicationName="hello", deploymentGroupName="hello")
            seen = [one["name"] for one in group["deploymentGroupInfo"]["alarmConfiguration"]["alarms"]]
            assert seen == ["hello-errors", "hello-slow"]
            told = reader.clients("cloudwatch").describe_alarm_history(
                AlarmName="hello-errors", HistoryItemType="StateUpdate", ScanBy="TimestampAscending"
            )["AlarmHistoryItems"]
            states = [json.loads(item["HistoryData"])["newState"] for item in told]
            reasons = [state["stateReason"] for state in states]
            assert reasons.index("rehearsal") < reasons.index("rehearsed")
        case "health.md":
            assert "deploymentCircuitBreaker" in said
        case "autoscaling.md":
            described = reader.clients("application-autoscaling").describe_scaling_policies(ServiceNamespace="ecs")
            seen = [one["PolicyName"] for one in described["ScalingPolicies"]]
            assert seen == ["requests"]
        case "migrate.md":
            assert "serves; hello/hello releases it." in said
        case "hooks.md":
            for line in ("BeforeInstall: migrate (container) Succeeded", "AfterAllowTraffic: smoke (script) Succeeded"):
                assert line in said
