"""`turnout migrate` on a live engine, under load: to ECS and back, with the pipeline, and no request lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.conftest import Live
from tests.real.test_verbs import Verbs
from turnout.cli.demo.scene import load_on
from turnout.cli.demo.versions import Version
from turnout.cli.infrastructure_role import TRUST

pytestmark = pytest.mark.real

PACK = 'turnout pack . --tag "$IMAGE_REPO_NAME:$TAG" --detail imageDetail.json'
BOTH = f"""IMAGE=$({PACK})
      - printf '[{{"name":"hello","imageUri":"%s"}}]' "$IMAGE" > imagedefinitions.json"""


@pytest.fixture
def verbs(live: Live, tmp_path: Path) -> Iterator[Verbs]:
    verbs = Verbs(live, tmp_path)
    # The engines of tests do without AWS's own policies, one of which the role would be given.
    live.clients("iam").create_role(RoleName="hello-ecs", AssumeRolePolicyDocument=json.dumps(TRUST))
    yield verbs
    verbs("migrate", "--back", "--apply", "--application", "hello")


def controller(live: Live) -> str:
    found = live.clients("ecs").describe_services(cluster="hello", services=["hello"])["services"][0]
    return str(found["deploymentController"]["type"])


def write_definitions(live: Live) -> None:
    """The build leaves what the ECS action reads, beside what CodeDeploy's reads."""
    path = live.scene.work_tree / "buildspec.yml"
    text = path.read_text()
    assert PACK in text
    path.write_text(text.replace(PACK, BOTH).replace("files:", "files:\n    - imagedefinitions.json", 1))


def test_a_service_and_its_pipeline_go_to_ecs_and_back_without_losing_a_request(live: Live, verbs: Verbs) -> None:
    profile = ("--profile", "like-aws", "--application", "hello")
    plain = live.follow(live.release(Version("plain", "#57606a", "Released without hooks, which would have to move")))
    assert plain.status == "Succeeded", plain.failure
    with load_on(live.made, kept=8, fresh=4) as load:
        rehearsed = verbs("migrate", *profile)
        assert (rehearsed.returncode, controller(live)) == (0, "CODE_DEPLOY"), rehearsed.stderr
        done = verbs("migrate", "--apply", *profile)
        assert (done.returncode, controller(live)) == (0, "ECS"), done.stdout + done.stderr
        write_definitions(live)
        release = live.follow(live.release(Version("by-ecs", "#2da44e", "Released by ECS itself")))
        assert release.status == "Succeeded", release.failure
        assert load.tally().version == "by-ecs"
        status = verbs("status", *profile[:2])
        assert status.returncode == 0, status.stdout
        back = verbs("migrate", "--back", "--apply", *profile)
        assert (back.returncode, controller(live)) == (0, "CODE_DEPLOY"), back.stdout + back.stderr
        assert load.tally().version == "by-ecs"
        release = live.follow(live.release(Version("by-codedeploy", "#0969da", "Released by CodeDeploy again")))
        assert release.status == "Succeeded", release.failure
        assert load.tally().version == "by-codedeploy"
    tally = load.tally()
    assert tally.failures == {}
    assert tally.errors == {}
    assert tally.requests > 1000
