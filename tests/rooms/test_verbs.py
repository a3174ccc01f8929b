"""The day-2 verbs, by AWS's API alone: every call and every member that they read is one that AWS has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.rooms.shifting import Functions, Shop
from tests.rooms.test_codedeploy_together import Stack
from tests.rooms.verbs import Verbs
from turnout.cli.watching import Exit

CANARY = ("--config", "CodeDeployDefault.ECSCanary10Percent5Minutes")
WEB = {"cluster": "prod", "services": ["web"]}


@pytest.fixture
def verbs(world: World, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> Verbs:
    return Verbs(world, monkeypatch, capsys, tmp_path)


@pytest.fixture
def stack(world: World) -> Stack:
    return Stack(world)


def sets(stack: Stack) -> dict[str, str]:
    """The status of each task set, by its image's first digits."""
    return {
        one["status"]: stack.ecs.describe_task_definition(taskDefinition=one["taskDefinition"])["taskDefinition"][
            "containerDefinitions"
        ][0]["image"].rpartition(":")[2][:1]
        for one in stack.ecs.describe_services(**WEB)["services"][0]["taskSets"]
    }


def wait_for_somebody(stack: Stack, minutes: int = 5, kept: int = 0) -> None:
    stack.codedeploy.update_deployment_group(
        applicationName="shop",
        currentDeploymentGroupName="live",
        blueGreenDeploymentConfiguration={
            "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": minutes},
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": kept},
        },
    )


def test_a_dry_run_tells_what_would_happen_and_what_would_change_and_does_nothing(stack: Stack, verbs: Verbs) -> None:
    status, said = verbs("deploy", verbs.write("2"), "--dry-run", *CANARY)
    assert status == 0, said
    assert "AllowTraffic: 10 % of the traffic goes to green, 5 min later all of it" in said
    assert '-      "image": "app:1"' in said
    assert f'+      "image": "app@sha256:{"2" * 64}"' in said
    assert not {name for name, _ in verbs.clients.calls} & {"CreateDeployment", "RegisterTaskDefinition"}


def test_a_dry_run_fails_where_something_that_the_task_definition_names_is_not_there(
    stack: Stack, verbs: Verbs
) -> None:
    folder = Path(verbs.write("2"))
    text = (folder / "taskdef.json").read_text()
    secret = '"secrets": [{"name": "KEY", "valueFrom": "/web/key"}], "name": "app"'
    (folder / "taskdef.json").write_text(text.replace('"name": "app"', secret, 1))
    status, said = verbs("deploy", str(folder), "--dry-run")
    assert (status, "the secret KEY (/web/key) does not exist" in said) == (1, True)


def test_a_release_is_followed_to_its_end_and_rolled_back_to_the_version_before(stack: Stack, verbs: Verbs) -> None:
    assert verbs("deploy", verbs.write("2"))[0] == Exit.SERVES
    assert verbs("deploy", verbs.write("3"))[0] == Exit.SERVES
    assert sets(stack) == {"PRIMARY": "3"}
    status, said = verbs("rollback")
    assert (status, sets(stack)) == (Exit.SERVES, {"PRIMARY": "2"}), said
    assert verbs("watch")[0] == Exit.SERVES
    assert verbs("status")[0] == 0
    status, said = verbs("rollback", "--to", "web:2")
    assert (status, "what serves already" in said) == (2, True)


def test_a_release_that_fails_is_told_as_such_with_what_serves_instead(stack: Stack, verbs: Verbs) -> None:
    image = f"app@sha256:{'6' * 64}"
    stack.world.runtime.cannot_start[image] = "no such file"
    status, said = verbs("deploy", verbs.write("6"))
    assert status == Exit.SERVES_NOT
    assert "no such file" in said
    assert "web:1 (what the service was created with) serves, and not d-" in said


def test_promote_leads_the_traffic_on_and_with_now_ends_the_time_in_which_blue_is_kept(
    stack: Stack, verbs: Verbs
) -> None:
    wait_for_somebody(stack, kept=10)
    verbs.interrupt(30)
    assert verbs("deploy", verbs.write("2"))[0] == Exit.UNDER_WAY
    status, said = verbs("promote", "--now")
    assert status == Exit.SERVES, said
    assert "from its READY_WAIT" in said
    assert "from its TERMINATION_WAIT" in said
    assert verbs.world.clock.now() - verbs.started_at < 400, "blue would have been kept for ten minutes"
    assert sets(stack) == {"PRIMARY": "2"}
    assert verbs("promote")[0] == 2


def test_promote_without_now_lets_blue_be_kept_for_its_time(stack: Stack, verbs: Verbs) -> None:
    wait_for_somebody(stack, kept=10)
    verbs.interrupt(30)
    verbs("deploy", verbs.write("2"))
    assert verbs("promote")[0] == Exit.SERVES
    assert verbs.world.clock.now() - verbs.started_at > 600
    assert [params["deploymentWaitType"] for params in verbs.asked("ContinueDeployment")] == ["READY_WAIT"]


# Ctrl-C


@pytest.mark.parametrize(
    ("answers", "status", "end"),
    [
        (("",), Exit.UNDER_WAY, "InProgress"),
        (("^C",), Exit.UNDER_WAY, "InProgress"),
        (("r",), Exit.SERVES_NOT, "Stopped"),
        (("s",), Exit.SERVES_NOT, "Stopped"),
    ],
)
def test_ctrl_c_asks_what_shall_become_of_the_deployment(
    stack: Stack, verbs: Verbs, answers: tuple[str, ...], status: Exit, end: str
) -> None:
    verbs.terminal(*answers)
    verbs.interrupt(60)
    found, said = verbs("deploy", verbs.write("2"), *CANARY)
    assert found == status, said
    listed = stack.codedeploy.list_deployments(applicationName="shop", deploymentGroupName="live")["deployments"]
    first = min((stack.info(one) for one in listed), key=lambda info: info["createTime"])
    assert first["status"] == end
    assert stack.weights() == ({"a": 100, "b": 0} if answers == ("r",) else {"a": 90, "b": 10})


def test_without_a_terminal_ctrl_c_leaves_the_deployment_running_and_says_how_to_go_on(
    stack: Stack, verbs: Verbs
) -> None:
    verbs.interrupt(60)
    status, said = verbs("deploy", verbs.write("2"), *CANARY)
    assert status == Exit.UNDER_WAY
    assert "goes on; `turnout watch d-" in said
    assert verbs("status")[0] == 3
    assert verbs("watch")[0] == Exit.SERVES


def test_ctrl_c_during_a_rollback_does_not_stop_it(stack: Stack, verbs: Verbs) -> None:
    verbs.interrupt(60)
    verbs("deploy", verbs.write("2"), *CANARY)
    verbs.terminal()  # nobody is asked
    verbs.world.proxy.counted.clear()
    verbs.interrupt(0.1)
    status, _ = verbs("stop")
    assert status in (0, Exit.UNDER_WAY)
    assert verbs("watch")[0] == Exit.SERVES_NOT
    assert stack.weights() == {"a": 100, "b": 0}


@pytest.mark.parametrize("at", [2, 60])
def test_what_a_stop_without_a_rollback_leaves_is_explained_by_status_and_finished_by_rollback(
    stack: Stack, verbs: Verbs, at: int
) -> None:
    """At 2 s green has tasks and no traffic yet, at 60 s it has a tenth."""
    stack.world.proxy.health["nobody"] = ("unhealthy", None, None)
    verbs.interrupt(at)
    verbs("deploy", verbs.write("2"), *CANARY)
    status, said = verbs("stop", "--no-rollback")
    assert status == 0, said
    assert "turnout rollback" in said
    status, said = verbs("status")
    assert (status, "`turnout rollback` finishes it" in said) == (1, True), said
    status, said = verbs("deploy", verbs.write("3"))
    assert (status, "`turnout rollback` ends that first" in said) == (2, True), said
    assert verbs("rollback")[0] == 0
    stack.world.tick(60)
    assert (sets(stack), stack.weights()) == ({"PRIMARY": "1"}, {"a": 100, "b": 0})
    assert verbs("deploy", verbs.write("3"))[0] == Exit.SERVES


# Services whose traffic ECS shifts by itself


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


def folder_of(verbs: Verbs, version: str) -> str:
    folder = Path(verbs.write(version))
    text = (folder / "taskdef.json").read_text()
    (folder / "taskdef.json").write_text(text.replace('"containerPort": 80', '"containerPort": 80, "hostPort": 0'))
    (folder / "appspec.yml").unlink()
    return str(folder)


def test_a_service_that_ecs_shifts_is_released_and_rolled_back_by_the_same_verbs(shop: Shop, verbs: Verbs) -> None:
    shop.create("CANARY")
    status, said = verbs("deploy", folder_of(verbs, "2"))
    assert status == Exit.SERVES, said
    assert "PRODUCTION_TRAFFIC_SHIFT: 5 % of the traffic goes to green, 10 min later all of it" in said
    assert verbs("deploy", folder_of(verbs, "3"))[0] == Exit.SERVES
    assert verbs("status")[0] == 0
    status, said = verbs("rollback")
    assert status == Exit.SERVES, said
    assert shop.images() == {"app"}
    definition = shop.ecs.describe_task_definition(taskDefinition=shop.service()["taskDefinition"])["taskDefinition"]
    assert definition["containerDefinitions"][0]["image"].endswith("2" * 64)
    assert verbs("history")[0] == 0


def test_a_pause_of_ecs_is_ended_by_promote(shop: Shop, verbs: Verbs) -> None:
    shop.create(lifecycleHooks=[{"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}])
    verbs.interrupt(60)
    status, said = verbs("deploy", folder_of(verbs, "2"))
    assert (status, "`turnout promote` goes on" in said) == (Exit.UNDER_WAY, True), said
    assert verbs("status")[0] == 3
    assert verbs("promote")[0] == Exit.SERVES


def test_a_deployment_of_ecs_is_stopped_by_rolling_it_back(shop: Shop, verbs: Verbs) -> None:
    shop.create("CANARY")
    verbs.terminal("r")
    verbs.interrupt(60)
    status, said = verbs("deploy", folder_of(verbs, "2"))
    assert status == Exit.SERVES_NOT
    assert "is being rolled back" in said
    assert "  s  " not in said, "ECS has no stop that leaves everything as it is"
    assert shop.weights() == {"blue": 100, "green": 0}
    verbs.no_terminal()
    verbs.interrupt(60)
    verbs("deploy", folder_of(verbs, "3"))
    status, said = verbs("stop", "--no-rollback")
    assert (status, "--no-rollback" in said) == (2, True)
    assert verbs("stop")[0] == 0
    assert verbs("stop")[0] == 2


def test_a_hook_that_refuses_is_told_with_its_reason(shop: Shop, verbs: Verbs) -> None:
    hook = {"hookTargetArn": "arn:aws:lambda:us-east-1:000000000000:function:check", "roleArn": "arn:aws:iam::0:role/r"}
    shop.create(lifecycleHooks=[{**hook, "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}])
    assert isinstance(shop.functions, Functions)
    shop.functions.answers = [{"hookStatus": "FAILED"}]
    status, said = verbs("deploy", folder_of(verbs, "2"))
    assert (status, "returned FAILED" in said) == (Exit.SERVES_NOT, True), said
