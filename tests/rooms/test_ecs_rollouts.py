"""Rolling updates that fail and go back: the circuit breaker, alarms, requests to stop; and how AWS tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rooms.serving import REGION, Serving, name_of
from tests.rooms.test_codedeploy_alarms import put_alarm

WEB = {"cluster": "shop", "service": "web"}
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
ALARMS = {"alarms": {"enable": True, "rollback": True, "alarmNames": ["errors"]}}
BAD = "shop@sha256:bad"
TRIPPED = "ECS deployment circuit breaker: tasks failed to start."


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Serving]:
    shop = Serving(tmp_path)
    yield shop
    shop.close()


def serve(shop: Serving, **configuration: Any) -> dict[str, Any]:
    """Service web of two tasks under the ECS controller, stable. Its deployment."""
    shop.serve("ECS", deploymentConfiguration=configuration)
    (first,) = shop.service()["deployments"]
    assert first["rolloutState"] == "COMPLETED"
    return dict(first)


def update(shop: Serving, image: str = "shop:2", **more: Any) -> str:
    """A new revision: the ARN of its service deployment."""
    shop.client.update_service(**WEB, taskDefinition=shop.register(image=image), **more)
    return newest(shop)


def bad(shop: Serving) -> str:
    """One whose containers cannot be started."""
    shop.runtime.cannot_start[BAD] = "exec format error"
    return update(shop, BAD)


def newest(shop: Serving) -> str:
    return str(shop.client.list_service_deployments(**WEB)["serviceDeployments"][0]["serviceDeploymentArn"])


def told(shop: Serving, arn: str) -> dict[str, Any]:
    return dict(shop.client.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0])


def go_off(shop: Serving, name: str = "errors") -> None:
    datum = {"MetricName": name, "Value": 5.0}
    shop.run(shop.aws.call("cloudwatch", "PutMetricData", REGION, Namespace="shop", MetricData=[datum]))


def images(shop: Serving) -> set[str]:
    return {task["containers"][0]["image"] for task in shop.tasks()}


def test_the_circuit_breaker_rolls_back_to_the_last_completed_deployment(shop: Serving) -> None:
    first = serve(shop, **BREAKER)
    arn = bad(shop)
    shop.tick(10)
    reason = told(shop, arn)["statusReason"]
    assert reason.startswith(TRIPPED)
    assert "exec format error" in reason
    breaker = told(shop, arn)["deploymentCircuitBreaker"]
    assert (breaker["status"], breaker["threshold"]) == ("TRIGGERED", 3)
    assert breaker["failureCount"] >= 3
    (only,) = shop.service()["deployments"]
    assert (only["id"], only["status"], only["rolloutState"]) == (first["id"], "PRIMARY", "COMPLETED")
    assert only["rolloutStateReason"] == f"ECS deployment {first['id']} completed."
    assert shop.service()["taskDefinition"] == first["taskDefinition"]
    assert told(shop, arn)["status"] == "ROLLBACK_SUCCESSFUL"
    said = shop.messages()
    assert said[0] == "(service web) has reached a steady state."
    assert f"(service web) rolling back to deployment {first['id']}." in said
    assert any(") deployment failed: tasks failed to start. The last: " in one for one in said)
    assert images(shop) == {"shop:latest"}
    names = [event.detail.get("eventName") for event in shop.events]
    assert "SERVICE_DEPLOYMENT_FAILED" in names
    shop.client.get_waiter("services_stable").wait(cluster="shop", services=["web"])


def test_without_rollback_a_failed_deployment_launches_no_new_tasks_and_the_old_ones_serve_on(shop: Serving) -> None:
    serve(shop, deploymentCircuitBreaker={"enable": True, "rollback": False})
    arn = bad(shop)
    shop.tick(30)
    primary, former = shop.service()["deployments"]
    assert (primary["status"], primary["rolloutState"], former["runningCount"]) == ("PRIMARY", "FAILED", 2)
    count = len(shop.tasks("STOPPED"))
    shop.tick(600)
    assert len(shop.tasks("STOPPED")) == count
    assert told(shop, arn)["status"] == "STOPPED"
    assert "stoppedAt" in told(shop, arn)
    update(shop)
    shop.tick(1)
    assert images(shop) == {"shop:2"}
    assert [one["rolloutState"] for one in shop.service()["deployments"]] == ["COMPLETED"]


def test_a_rollback_starts_the_tasks_again_that_have_gone_already(shop: Serving) -> None:
    first = serve(shop, minimumHealthyPercent=0, maximumPercent=100, **BREAKER)
    arn = bad(shop)
    shop.tick(0.1)
    assert [one["runningCount"] for one in shop.service()["deployments"]] == [0, 0]
    shop.tick(30)
    (only,) = shop.service()["deployments"]
    assert (only["id"], only["runningCount"]) == (first["id"], 2)
    assert told(shop, arn)["status"] == "ROLLBACK_SUCCESSFUL"


def test_the_first_deployment_has_nothing_to_roll_back_to(shop: Serving) -> None:
    shop.runtime.cannot_start[BAD] = "exec format error"
    shop.create("ECS", desiredCount=0, deploymentConfiguration=BREAKER)
    shop.client.delete_service(cluster="shop", service="web", force=True)
    shop.tick()
    asked = {"cluster": "shop", "serviceName": "web", "desiredCount": 1, "taskDefinition": shop.register(image=BAD)}
    shop.client.create_service(**asked, deploymentConfiguration=BREAKER)
    shop.tick(30)
    (only,) = shop.service()["deployments"]
    assert (only["rolloutState"], only["failedTasks"]) == ("FAILED", 3)
    assert told(shop, newest(shop))["status"] == "STOPPED"


@pytest.mark.parametrize(("resets", "state"), [(True, "IN_PROGRESS"), (False, "FAILED")])
def test_a_task_that_starts_well_resets_the_count_unless_it_must_not(shop: Serving, resets: bool, state: str) -> None:
    breaker = {"enable": True, "rollback": False, "resetOnHealthyTask": resets}
    shop.create("ECS", loadBalancers=[], desiredCount=3, deploymentConfiguration={"deploymentCircuitBreaker": breaker})
    shop.tick()
    for seconds in (2, 2, 1):  # the others have run for three seconds after the second
        shop.tick(seconds)
        shop.runtime.end(name_of(shop.tasks()[-1]), 1)
        shop.tick(0.1)
    (only,) = shop.service()["deployments"]
    assert (only["rolloutState"], only["failedTasks"]) == (state, 2)


@pytest.mark.parametrize(
    ("threshold", "count"),
    [
        ({"type": "COUNT", "value": 5}, 5),
        ({"type": "UNBOUNDED_PERCENT", "value": 50}, 1),
        ({"type": "BOUNDED_PERCENT", "value": 400}, 8),
    ],
)
def test_the_threshold_is_as_configured(shop: Serving, threshold: dict[str, Any], count: int) -> None:
    breaker = {"enable": True, "rollback": False, "thresholdConfiguration": threshold}
    serve(shop, deploymentCircuitBreaker=breaker)
    arn = bad(shop)
    shop.tick(120)
    assert told(shop, arn)["deploymentCircuitBreaker"]["threshold"] == count
    assert count <= told(shop, arn)["deploymentCircuitBreaker"]["failureCount"] <= count + 1


def test_a_task_that_nobody_checks_must_run_for_a_moment_before_a_deployment_is_complete(shop: Serving) -> None:
    shop.create("ECS", loadBalancers=[], desiredCount=1, deploymentConfiguration=BREAKER)
    shop.tick()
    for _ in range(3):
        shop.tick(1)
        for task in shop.tasks():
            shop.runtime.end(name_of(task), 1)
        shop.tick(5)
    (only,) = shop.service()["deployments"]
    assert only["rolloutState"] in ("IN_PROGRESS", "COMPLETED")
    assert "has reached a steady state" in shop.messages()[0]


def test_an_alarm_rolls_a_deployment_back_while_it_rolls(shop: Serving) -> None:
    put_alarm(shop, "errors")
    first = serve_with_bake(shop)
    shop.balancer.fate[shop.blue] = "initial"
    arn = update(shop)
    shop.tick(5)
    assert told(shop, arn)["alarms"] == {"status": "MONITORING", "alarmNames": ["errors"]}
    go_off(shop)
    shop.tick(1)
    assert told(shop, arn)["alarms"]["triggeredAlarmNames"] == ["errors"]
    assert told(shop, arn)["status"] == "ROLLBACK_SUCCESSFUL"
    assert told(shop, arn)["rollback"]["reason"].startswith("ECS deployment failed: alarm detected. Alarm errors:")
    (only,) = shop.service()["deployments"]
    assert (only["id"], only["rolloutState"]) == (first["id"], "COMPLETED")
    assert any("deployment failed: alarm detected." in one for one in shop.messages())
    assert shop.runs.of_kind("ecs.alarms") == []


def test_alarms_are_watched_for_a_while_after_the_last_task_has_been_replaced(shop: Serving) -> None:
    put_alarm(shop, "errors")
    first = serve_with_bake(shop)
    arn = update(shop)
    shop.tick(30)
    assert images(shop) == {"shop:2"}
    primary, former = shop.service()["deployments"]
    assert (primary["rolloutState"], former["id"], former["runningCount"]) == ("IN_PROGRESS", first["id"], 0)
    go_off(shop)
    shop.tick(1)
    assert images(shop) == {"shop:latest"}
    assert told(shop, arn)["status"] == "ROLLBACK_SUCCESSFUL"
    arn = update(shop)
    shop.tick(300)
    assert told(shop, arn)["status"] == "SUCCESSFUL"


def serve_with_bake(shop: Serving) -> dict[str, Any]:
    shop.serve("ECS", deploymentConfiguration=ALARMS)
    shop.tick(180)
    (first,) = shop.service()["deployments"]
    assert first["rolloutState"] == "COMPLETED"
    return dict(first)


def test_an_alarm_that_was_active_before_is_the_reason_to_deploy_and_not_watched(shop: Serving) -> None:
    put_alarm(shop, "errors")
    serve_with_bake(shop)
    go_off(shop)
    shop.tick(1)
    arn = update(shop)
    shop.tick(1)
    assert told(shop, arn)["alarms"] == {"status": "DISABLED"}
    assert told(shop, arn)["status"] == "SUCCESSFUL"


def test_a_rolling_update_is_a_service_deployment(shop: Serving) -> None:
    first = serve(shop)
    shop.balancer.fate[shop.blue] = "initial"
    arn = update(shop)
    shop.tick(1)
    going = told(shop, arn)
    assert (going["status"], going["deploymentConfiguration"]["maximumPercent"]) == ("IN_PROGRESS", 200)
    assert "lifecycleStage" not in going
    assert going["sourceServiceRevisions"][0]["arn"].endswith(first["id"].removeprefix("ecs-svc/"))
    assert going["targetServiceRevision"]["requestedTaskCount"] == 2
    assert shop.service()["currentServiceDeployment"] == arn
    revision = going["targetServiceRevision"]["arn"]
    (kept,) = shop.client.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
    assert kept["containerImages"][0]["image"] == "shop:2"
    shop.balancer.set_health(shop.blue, "healthy")
    shop.tick(1)
    assert told(shop, arn)["status"] == "SUCCESSFUL"
    statuses = [one["status"] for one in shop.client.list_service_deployments(**WEB)["serviceDeployments"]]
    assert statuses == ["SUCCESSFUL", "SUCCESSFUL"]


def test_a_stopped_rolling_update_goes_back(shop: Serving) -> None:
    first = serve(shop)
    shop.balancer.fate[shop.blue] = "initial"
    arn = update(shop)
    shop.tick(1)
    shop.client.stop_service_deployment(serviceDeploymentArn=arn)
    assert told(shop, arn)["status"] == "ROLLBACK_REQUESTED"
    shop.tick(1)
    assert told(shop, arn)["status"] == "ROLLBACK_SUCCESSFUL"
    assert [one["id"] for one in shop.service()["deployments"]] == [first["id"]]
    with pytest.raises(ClientError, match="ConflictException"):
        shop.client.stop_service_deployment(serviceDeploymentArn=arn)


def test_a_new_revision_overtakes_one_that_rolls_and_one_that_goes_back(shop: Serving) -> None:
    first = serve(shop)
    shop.balancer.fate[shop.blue] = "initial"
    second = update(shop)
    shop.tick(1)
    third = update(shop, "shop:3")
    shop.tick(1)
    assert told(shop, second)["status"] == "STOPPED"
    assert told(shop, third)["sourceServiceRevisions"][0]["arn"].endswith(first["id"].removeprefix("ecs-svc/"))
    shop.client.stop_service_deployment(serviceDeploymentArn=third)
    shop.runtime.missing.add("shop:latest")
    for task in shop.tasks():
        if task["containers"][0]["image"] == "shop:latest":
            shop.runtime.end(name_of(task), 1)
    shop.tick(1)
    assert told(shop, third)["status"] == "ROLLBACK_IN_PROGRESS"
    fourth = update(shop, "shop:4")
    shop.balancer.set_health(shop.blue, "healthy")
    shop.tick(1)
    assert told(shop, fourth)["status"] == "SUCCESSFUL"
    assert images(shop) == {"shop:4"}
    assert [one["rolloutState"] for one in shop.service()["deployments"]] == ["COMPLETED"]


def test_deleting_the_service_ends_its_rolling_update(shop: Serving) -> None:
    serve(shop, **BREAKER)
    shop.balancer.fate[shop.blue] = "initial"
    arn = update(shop)
    shop.tick(1)
    shop.client.delete_service(**WEB, force=True)
    shop.tick(1)
    assert shop.service()["status"] == "INACTIVE"
    assert told(shop, arn)["status"] == "STOPPED"
    assert shop.runtime.containers == {}
    for kind in ("ecs.deployment", "ecs.rollback", "ecs.alarms"):
        assert shop.runs.of_kind(kind, is_open=True) == []
