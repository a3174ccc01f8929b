"""The operations of the room ecs: records, refusals, lists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.rooms.serving import Serving, balanced, name_of


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Serving]:
    shop = Serving(tmp_path)
    yield shop
    shop.close()


def refusal(operation: Any, **asked: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        operation(**asked)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


@pytest.mark.parametrize("change", [{"taskDefinition": "web:2"}, {"forceNewDeployment": True}])
def test_a_code_deploy_service_takes_no_task_definition(shop: Serving, change: dict[str, Any]) -> None:
    shop.create()
    shop.register()
    assert refusal(shop.client.update_service, cluster="shop", service="web", **change) == (
        "InvalidParameterException",
        "Unable to update task definition on services with a CODE_DEPLOY deployment controller."
        " Use AWS CodeDeploy to trigger a new deployment.",
    )


def test_a_service_cannot_want_less_than_no_task(shop: Serving) -> None:
    shop.create()
    refused = ("InvalidParameterException", "Desired count must be zero or more.")
    assert refusal(shop.client.update_service, cluster="shop", service="web", desiredCount=-1) == refused
    code, message = refusal(shop.client.update_service, cluster="shop", service="web", desiredCount=1_000_000)
    assert (code, "5000" in message) == ("InvalidParameterException", True)
    assert refusal(shop.client.delete_service, cluster="shop", service="web")[0] == "InvalidParameterException"


@pytest.mark.parametrize(
    "change",
    [
        {"healthCheckGracePeriodSeconds": -1},
        {"deploymentConfiguration": {"minimumHealthyPercent": 101}},
        {"deploymentConfiguration": {"minimumHealthyPercent": -1}},
    ],
)
def test_a_figure_that_no_service_could_live_with_is_refused(shop: Serving, change: dict[str, Any]) -> None:
    shop.create()
    code, _ = refusal(shop.client.update_service, cluster="shop", service="web", **change)
    assert code == "InvalidParameterException"


def test_a_code_deploy_service_takes_no_network_configuration_or_load_balancers(shop: Serving) -> None:
    shop.create()
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    for change in ({"networkConfiguration": network}, {"loadBalancers": [balanced(shop.green)]}):
        code, message = refusal(shop.client.update_service, cluster="shop", service="web", **change)
        assert code == "InvalidParameterException"
        assert message.endswith("Use AWS CodeDeploy to trigger a new deployment.")


def test_what_a_code_deploy_service_may_change_is_changed(shop: Serving) -> None:
    shop.serve()
    changed = shop.client.update_service(
        cluster="shop",
        service="web",
        desiredCount=3,
        healthCheckGracePeriodSeconds=17,
        deploymentConfiguration={"maximumPercent": 150},
        placementStrategy=[{"type": "spread", "field": "instanceId"}],
    )["service"]
    assert changed["desiredCount"] == 3
    assert changed["healthCheckGracePeriodSeconds"] == 17
    assert changed["deploymentConfiguration"] == {"maximumPercent": 150, "minimumHealthyPercent": 100}
    shop.tick()
    assert shop.service()["taskSets"][0]["computedDesiredCount"] == 3


def test_a_target_group_without_a_load_balancer_is_refused(shop: Serving) -> None:
    shop.create()
    group = shop.balancer.add("lonely", is_used=False)
    asked = {"cluster": "shop", "serviceName": "other", "taskDefinition": "web", "loadBalancers": [balanced(group)]}
    assert refusal(shop.client.create_service, **asked) == (
        "InvalidParameterException",
        f"The target group with targetGroupArn {group} does not have an associated load balancer.",
    )


def test_a_load_balancer_needs_a_container_and_its_port(shop: Serving) -> None:
    shop.create()
    asked = {"cluster": "shop", "serviceName": "other", "taskDefinition": "web"}
    wrong_port = {"loadBalancers": [balanced(shop.blue, 81)]}
    assert refusal(shop.client.create_service, **asked, **wrong_port) == (
        "InvalidParameterException",
        "The container app did not have a container port 81 defined.",
    )
    wrong_name = {"loadBalancers": [{**balanced(shop.blue), "containerName": "web"}]}
    assert refusal(shop.client.create_service, **asked, **wrong_name) == (
        "InvalidParameterException",
        "The container web does not exist in the task definition.",
    )


def test_options_that_cannot_be_honoured_are_refused(shop: Serving) -> None:
    shop.create()
    asked = {"cluster": "shop", "serviceName": "other", "taskDefinition": "web"}
    code, message = refusal(shop.client.create_service, **asked, serviceConnectConfiguration={"enabled": True})
    assert (code, message) == ("UnsupportedFeatureException", "turnout does not implement Service Connect yet.")
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    alarms = {"alarms": {"enable": True, "rollback": True, "alarmNames": ["errors"]}}
    for configuration, words in (
        (breaker, "The deployment circuit breaker can only be used for services that use the rolling update (ECS)"),
        (alarms, "Deployment alarms are only valid with the ECS deployment controller."),
    ):
        asked |= {"deploymentController": {"type": "CODE_DEPLOY"}, "deploymentConfiguration": configuration}
        assert words in refusal(shop.client.create_service, **asked)[1]


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"maximumPercent": 100, "minimumHealthyPercent": 100}, "cannot be 100 as this will block deployments"),
        ({"alarms": {"enable": True, "rollback": True, "alarmNames": []}}, "alarmNames must have at least one name"),
        (
            {
                "deploymentCircuitBreaker": {
                    "enable": True,
                    "rollback": True,
                    "thresholdConfiguration": {"type": "COUNT", "value": 0},
                }
            },
            "thresholdConfiguration must be at least 1",
        ),
    ],
)
def test_a_deployment_configuration_that_cannot_work_is_refused(
    shop: Serving, configuration: dict[str, Any], words: str
) -> None:
    with pytest.raises(ClientError, match=words):
        shop.create("ECS", deploymentConfiguration=configuration)


def test_what_does_not_exist_is_told_as_aws_tells_it(shop: Serving) -> None:
    client = shop.client
    assert refusal(client.describe_services, cluster="nowhere", services=["web"]) == (
        "ClusterNotFoundException",
        "Cluster not found.",
    )
    shop.create()
    answer = client.describe_services(cluster="shop", services=["web", "nobody"])
    missing = "arn:aws:ecs:us-east-1:000000000000:service/shop/nobody"
    assert answer["failures"] == [{"arn": missing, "reason": "MISSING"}]
    assert len(answer["services"]) == 1
    assert refusal(client.update_service, cluster="shop", service="nobody")[0] == "ServiceNotFoundException"
    assert client.describe_tasks(cluster="shop", tasks=["1" * 32])["failures"][0]["reason"] == "MISSING"
    assert client.describe_clusters(clusters=["nowhere"])["failures"][0]["reason"] == "MISSING"
    assert refusal(client.describe_task_definition, taskDefinition="nothing") == (
        "ClientException",
        "Unable to describe task definition.",
    )
    taken = {"cluster": "shop", "service": "web", "taskSet": "ecs-svc/1"}
    assert refusal(client.delete_task_set, **taken)[0] == "TaskSetNotFoundException"


def test_a_service_is_created_once(shop: Serving) -> None:
    shop.create(clientToken="one")
    asked = {"cluster": "shop", "serviceName": "web", "taskDefinition": "web"}
    assert refusal(shop.client.create_service, **asked) == (
        "InvalidParameterException",
        "Creation of service was not idempotent.",
    )
    again = shop.client.create_service(**asked, clientToken="one")["service"]
    assert again["serviceArn"] == shop.service()["serviceArn"]


def test_a_service_is_deleted_when_it_is_scaled_to_zero_and_stays_inactive(shop: Serving) -> None:
    shop.serve()
    delete = shop.client.delete_service
    assert refusal(delete, cluster="shop", service="web") == (
        "InvalidParameterException",
        "The service cannot be stopped while it is scaled above 0.",
    )
    shop.client.update_service(cluster="shop", service="web", desiredCount=0)
    shop.tick()
    assert delete(cluster="shop", service="web")["service"]["status"] == "DRAINING"
    shop.tick()
    assert shop.service()["status"] == "INACTIVE"
    assert shop.client.list_services(cluster="shop")["serviceArns"] == []
    assert refusal(delete, cluster="shop", service="web")[0] == "ServiceNotActiveException"


def test_a_service_is_deleted_by_force_and_may_be_created_again(shop: Serving) -> None:
    shop.serve()
    code, message = refusal(shop.client.delete_cluster, cluster="shop")
    assert code == "ClusterContainsServicesException"
    assert message == "The Cluster cannot be deleted while Services are active."
    shop.client.delete_service(cluster="shop", service="web", force=True)
    shop.tick()
    assert shop.service()["status"] == "INACTIVE"
    assert shop.runtime.containers == {}
    asked = {"cluster": "shop", "serviceName": "web", "taskDefinition": "web", "desiredCount": 1}
    shop.client.create_service(**asked)
    shop.tick()
    assert shop.service()["status"] == "ACTIVE"
    assert shop.service()["runningCount"] == 1
    shop.client.delete_service(cluster="shop", service="web", force=True)
    shop.tick()
    assert shop.client.delete_cluster(cluster="shop")["cluster"]["status"] == "INACTIVE"
    assert shop.client.list_clusters()["clusterArns"] == []


def test_the_same_cause_gets_the_same_result(shop: Serving) -> None:
    shop.serve()

    def twice(operation: str, **asked: Any) -> list[Any]:
        return [shop.run(shop.aws.call("ecs", operation, "us-east-1", cause="step:7", **asked)) for _ in range(2)]

    container = {"name": "app", "image": "x", "memory": 64, "portMappings": [{"containerPort": 80}]}
    first, second = twice("RegisterTaskDefinition", family="web", containerDefinitions=[container])
    assert first["taskDefinition"]["taskDefinitionArn"] == second["taskDefinition"]["taskDefinitionArn"]
    green = {"cluster": "shop", "service": "web", "taskDefinition": "web", "loadBalancers": [balanced(shop.green)]}
    first, second = twice("CreateTaskSet", **green)
    assert first["taskSet"]["taskSetArn"] == second["taskSet"]["taskSetArn"]
    first, second = twice("RunTask", cluster="shop", taskDefinition="web", count=2)
    assert [t["taskArn"] for t in first["tasks"]] == [t["taskArn"] for t in second["tasks"]]


def test_task_sets_that_drain_do_not_hold_up_the_next_one(shop: Serving) -> None:
    shop.serve()
    for _ in range(6):
        green = shop.add_green()
        shop.client.delete_task_set(cluster="shop", service="web", taskSet=green["id"], force=True)
    assert sum(one["status"] == "DRAINING" for one in shop.service()["taskSets"]) == 6
    for _ in range(4):
        shop.add_green()
    with pytest.raises(ClientError, match="LimitExceededException"):
        shop.add_green()


def test_a_task_set_pins_its_images_for_good(shop: Serving) -> None:
    shop.runtime.digests["shop:latest"] = "shop@sha256:old"
    shop.serve(desiredCount=1)
    assert shop.tasks()[0]["containers"][0]["imageDigest"] == "sha256:old"
    assert shop.tasks()[0]["containers"][0]["image"] == "shop:latest"
    shop.runtime.digests["shop:latest"] = "shop@sha256:new"
    shop.runtime.end(name_of(shop.tasks()[0]), 1)
    shop.tick(1)
    (task,) = shop.tasks()
    assert task["containers"][0]["imageDigest"] == "sha256:old"
    green = shop.add_green()
    shop.tick()
    (new,) = [task for task in shop.tasks() if task["startedBy"] == green["id"]]
    assert new["containers"][0]["imageDigest"] == "sha256:new"


def test_a_set_whose_image_was_missing_is_pinned_by_its_first_task(shop: Serving) -> None:
    shop.runtime.missing.add("shop:latest")
    shop.create(desiredCount=1)
    shop.tick()
    shop.runtime.missing.clear()
    shop.runtime.digests["shop:latest"] = "shop@sha256:one"
    shop.tick(1)
    shop.runtime.digests["shop:latest"] = "shop@sha256:two"
    shop.runtime.end(name_of(shop.tasks()[0]), 1)
    shop.tick(2)
    assert shop.tasks()[0]["containers"][0]["imageDigest"] == "sha256:one"


def test_task_sets_of_an_external_controller_follow_their_scale(shop: Serving) -> None:
    shop.create("EXTERNAL", desiredCount=4)
    made = shop.add_green(scale={"value": 50, "unit": "PERCENT"})
    assert "startedBy" not in made
    shop.tick()
    names = {"cluster": "shop", "service": "web", "taskSet": made["id"]}
    assert shop.client.describe_task_sets(cluster="shop", service="web")["taskSets"][0]["runningCount"] == 2
    shop.client.update_task_set(**names, scale={"value": 75, "unit": "PERCENT"})
    shop.tick()
    assert shop.service()["runningCount"] == 3
    code, message = refusal(shop.client.delete_task_set, **names)
    assert code == "InvalidParameterException"
    assert "use force" in message
    shop.client.update_task_set(**names, scale={"value": 0, "unit": "PERCENT"})
    shop.client.delete_task_set(**names)
    shop.tick()
    answer = shop.client.describe_task_sets(cluster="shop", service="web", taskSets=[made["taskSetArn"]])
    assert answer["failures"] == [{"arn": made["taskSetArn"], "reason": "MISSING"}]


def test_task_definitions_are_numbered_for_ever(shop: Serving) -> None:
    client = shop.client
    assert [shop.register().rsplit(":", 1)[1] for _ in range(3)] == ["1", "2", "3"]
    described = client.describe_task_definition(taskDefinition="web")["taskDefinition"]
    assert described["revision"] == 3
    assert described["containerDefinitions"][0]["portMappings"] == [
        {"containerPort": 80, "hostPort": 0, "protocol": "tcp"}
    ]
    assert refusal(client.deregister_task_definition, taskDefinition="web")[0] == "ClientException"
    answer = client.delete_task_definitions(taskDefinitions=["web:3"])
    assert answer["failures"][0]["reason"] == "TASK_DEFINITION_ACTIVE"
    for revision in (1, 2, 3):
        client.deregister_task_definition(taskDefinition=f"web:{revision}")
    listed = client.list_task_definitions(familyPrefix="web", status="INACTIVE", sort="DESC")["taskDefinitionArns"]
    assert [arn.rsplit(":", 1)[1] for arn in listed] == ["3", "2", "1"]
    assert client.list_task_definition_families(status="ACTIVE")["families"] == []
    assert client.list_task_definition_families(status="INACTIVE")["families"] == ["web"]
    deleted = client.delete_task_definitions(taskDefinitions=listed)["taskDefinitions"]
    assert {one["status"] for one in deleted} == {"DELETE_IN_PROGRESS"}
    assert client.list_task_definition_families()["families"] == []
    assert shop.register().endswith("web:4")


def test_a_revision_in_use_is_deleted_when_its_last_task_has_stopped(shop: Serving) -> None:
    shop.serve()
    client = shop.client
    client.deregister_task_definition(taskDefinition="web:1")
    client.delete_task_definitions(taskDefinitions=["web:1"])
    shop.runtime.end(name_of(shop.tasks()[0]), 1)
    shop.tick(1)
    assert len(shop.tasks()) == 2
    assert client.describe_task_definition(taskDefinition="web:1")["taskDefinition"]["status"] == "DELETE_IN_PROGRESS"
    client.delete_service(cluster="shop", service="web", force=True)
    shop.tick()
    assert refusal(client.describe_task_definition, taskDefinition="web:1")[0] == "ClientException"


def test_lists_have_pages(shop: Serving) -> None:
    shop.create()
    for number in range(12):
        shop.client.create_service(cluster="shop", serviceName=f"s{number:02}", taskDefinition="web", desiredCount=0)
    first = shop.client.list_services(cluster="shop")
    assert len(first["serviceArns"]) == 10
    pages = shop.client.get_paginator("list_services").paginate(cluster="shop", PaginationConfig={"PageSize": 4})
    assert len([arn for one in pages for arn in one["serviceArns"]]) == 13
    assert refusal(shop.client.list_services, cluster="shop", nextToken="x!")[0] == "InvalidParameterException"
    code, message = refusal(shop.client.describe_services, cluster="shop", services=["web"] * 11)
    assert (code, message) == ("InvalidParameterException", "Services cannot be greater than 10.")


def test_tasks_are_started_one_to_ten_at_a_time(shop: Serving) -> None:
    shop.create(desiredCount=0)
    job = {"cluster": "shop", "taskDefinition": shop.register("job")}
    for count in (-1, 0, 11):
        code, message = refusal(shop.client.run_task, **job, count=count)
        assert (code, message) == ("InvalidParameterException", f"count must be between 1 and 10, not {count}.")
    for instances in ([], ["here"] * 11):
        code, message = refusal(shop.client.start_task, **job, containerInstances=instances)
        assert (code, message) == ("InvalidParameterException", "Between 1 and 10 containerInstances can be named.")
    assert len(shop.client.run_task(**job, count=10)["tasks"]) == 10


def test_a_task_is_run_once_and_tells_how_it_ended(shop: Serving) -> None:
    shop.create(desiredCount=0)
    ran = shop.client.run_task(
        cluster="shop",
        taskDefinition=shop.register("job"),
        startedBy="me",
        overrides={"containerOverrides": [{"name": "app", "command": ["migrate"]}]},
        tags=[{"key": "kind", "value": "job"}],
    )
    (task,) = ran["tasks"]
    assert (task["lastStatus"], task["group"], task["startedBy"]) == ("PROVISIONING", "family:job", "me")
    shop.tick()
    name = name_of(task)
    assert shop.runtime.containers[name].workload.command == ("migrate",)
    shop.runtime.end(name, 0)
    shop.tick()
    assert shop.tasks(family="job") == []
    (task,) = shop.tasks("STOPPED", startedBy="me")
    assert (task["lastStatus"], task["containers"][0]["exitCode"]) == ("STOPPED", 0)
    shop.tick(60)
    assert shop.tasks(family="job") == []
    tags = shop.client.list_tags_for_resource(resourceArn=task["taskArn"])["tags"]
    assert tags == [{"key": "kind", "value": "job"}]


def test_this_machine_is_the_container_instance_of_every_cluster(shop: Serving) -> None:
    shop.serve()
    (arn,) = shop.client.list_container_instances(cluster="shop")["containerInstanceArns"]
    answer = shop.client.describe_container_instances(cluster="shop", containerInstances=[arn])
    (instance,) = answer["containerInstances"]
    assert instance["ec2InstanceId"].startswith("i-0")
    assert instance["runningTasksCount"] == 2
    assert {task["containerInstanceArn"] for task in shop.tasks()} == {arn}
    shop.reboot()
    (again,) = shop.client.describe_container_instances(cluster="shop", containerInstances=[arn])["containerInstances"]
    assert again["ec2InstanceId"] == instance["ec2InstanceId"]


def instance_of(shop: Serving) -> str:
    (arn,) = shop.client.list_container_instances(cluster="shop")["containerInstanceArns"]
    answer = shop.client.describe_container_instances(cluster="shop", containerInstances=[arn])
    return str(answer["containerInstances"][0]["ec2InstanceId"])


def test_this_machine_is_the_oldest_ec2_instance_whose_user_data_names_the_cluster(shop: Serving) -> None:
    today, later = datetime(2026, 11, 26, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC)
    shop.logs.instances = {
        "i-2": (later, "#!/bin/bash\necho ECS_CLUSTER=shop >> /etc/ecs/ecs.config"),
        "i-1": (today, "#!/bin/bash\necho ECS_CLUSTER=shop >> /etc/ecs/ecs.config"),
        "i-0": (today, "#!/bin/bash\necho ECS_CLUSTER=another >> /etc/ecs/ecs.config"),
    }
    shop.serve(desiredCount=1)
    assert instance_of(shop) == "i-1"
    (target,) = shop.balancer.targets[shop.blue]
    assert target[0] == "i-1"


def test_a_cluster_keeps_its_instance_while_tasks_live_there(shop: Serving) -> None:
    shop.client.create_cluster(clusterName="shop")
    own = instance_of(shop)
    shop.serve(desiredCount=1)
    shop.logs.instances = {"i-1": (datetime(2026, 11, 26, tzinfo=UTC), "ECS_CLUSTER='shop'")}
    assert instance_of(shop) == own
    shop.client.update_service(cluster="shop", service="web", desiredCount=0)
    shop.tick(60)
    assert instance_of(shop) == "i-1"
    shop.logs.instances = {}
    assert instance_of(shop) == own


def test_a_cluster_tells_its_statistics_settings_and_tags_when_asked(shop: Serving) -> None:
    shop.serve()
    shop.client.tag_resource(
        resourceArn="arn:aws:ecs:us-east-1:000000000000:cluster/shop", tags=[{"key": "team", "value": "a"}]
    )
    (bare,) = shop.client.describe_clusters(clusters=["shop"])["clusters"]
    assert (bare["runningTasksCount"], bare["activeServicesCount"]) == (2, 1)
    assert (bare["statistics"], bare["settings"], bare["tags"]) == ([], [], [])
    include = ["STATISTICS", "SETTINGS", "TAGS"]
    (full,) = shop.client.describe_clusters(clusters=["shop"], include=include)["clusters"]
    assert {"name": "runningEC2TasksCount", "value": "2"} in full["statistics"]
    assert full["tags"] == [{"key": "team", "value": "a"}]
    shop.client.untag_resource(resourceArn="arn:aws:ecs:us-east-1:000000000000:cluster/shop", tagKeys=["team"])
    assert shop.client.describe_clusters(clusters=["shop"], include=["TAGS"])["clusters"][0]["tags"] == []


def test_capacity_providers_and_settings_are_records(shop: Serving) -> None:
    client = shop.client
    group = "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:1:autoScalingGroupName/a"
    client.create_capacity_provider(name="own", autoScalingGroupProvider={"autoScalingGroupArn": group})
    client.create_cluster(clusterName="shop")
    strategy = [{"capacityProvider": "own", "weight": 1, "base": 0}]
    cluster = client.put_cluster_capacity_providers(
        cluster="shop", capacityProviders=["own", "FARGATE"], defaultCapacityProviderStrategy=strategy
    )["cluster"]
    assert cluster["capacityProviders"] == ["own", "FARGATE"]
    described = client.describe_capacity_providers()["capacityProviders"]
    assert {one["name"] for one in described} == {"FARGATE", "FARGATE_SPOT", "own"}
    client.put_account_setting_default(name="containerInsights", value="enabled")
    (setting,) = client.list_account_settings(name="containerInsights")["settings"]
    assert setting["value"] == "enabled"


def test_output_reaches_the_log_group_and_nothing_is_told_twice_after_a_restart(shop: Serving) -> None:
    shop.serve(desiredCount=1)
    (task,) = shop.tasks()
    task_id = task["taskArn"].rsplit("/", 1)[1]
    shop.runtime.say(name_of(task), "hello")
    shop.run(shop.room.output.collect())
    shop.reboot()
    shop.runtime.say(name_of(task), "again")
    shop.run(shop.room.output.collect())
    lines = shop.logs.lines["/turnout/ecs/shop/web", f"ecs/app/{task_id}"]
    assert [text for _, text in lines] == ["hello", "again"]
    shop.runtime.say(name_of(task), "last words")
    shop.runtime.end(name_of(task), 1)
    shop.tick()
    assert [text for _, text in lines] == ["hello", "again", "last words"]
    assert shop.store.one("SELECT count(*) AS n FROM ecs_output WHERE workload = ?", (name_of(task),))["n"] == 0


def test_a_log_group_that_does_not_exist_fails_the_task_unless_it_may_be_created(shop: Serving) -> None:
    shop.create(desiredCount=0)
    for create in ("false", "true"):
        options = {"awslogs-group": "/web", "awslogs-stream-prefix": "p", "awslogs-create-group": create}
        arn = shop.register("job", logConfiguration={"logDriver": "awslogs", "options": options})
        shop.client.run_task(cluster="shop", taskDefinition=arn)
        shop.tick()
    (failed,) = shop.tasks("STOPPED", family="job")
    assert failed["stoppedReason"].startswith("ResourceInitializationError: failed to validate logger args")
    assert len(shop.tasks(family="job")) == 1


def test_what_happens_is_announced(shop: Serving) -> None:
    shop.serve(desiredCount=1)
    shop.client.delete_service(cluster="shop", service="web", force=True)
    shop.tick()
    states = [e.detail["lastStatus"] for e in shop.events if e.detail_type == "ECS Task State Change"]
    assert states == ["PROVISIONING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPED"]
    steady = [e for e in shop.events if e.detail_type == "ECS Service Action"]
    assert steady[0].detail["eventName"] == "SERVICE_STEADY_STATE"
    assert steady[0].resources == ("arn:aws:ecs:us-east-1:000000000000:service/shop/web",)


@pytest.mark.parametrize("operation", ["describe_task_definition", "deregister_task_definition"])
@pytest.mark.parametrize("revision", ["9" * 20, "²"])
def test_a_revision_beyond_every_number_is_refused(world: World, operation: str, revision: str) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(world.boto("ecs"), operation)(taskDefinition=f"web:{revision}")
    assert refused.value.response["Error"]["Code"] == "ClientException"


def test_a_tag_without_a_key_is_refused(world: World) -> None:
    ecs = world.boto("ecs")
    arn = ecs.create_cluster(clusterName="web")["cluster"]["clusterArn"]
    for tags in ([{}], [{"key": "a", "value": "b"}, {"value": "c"}]):
        with pytest.raises(ClientError) as refused:
            ecs.tag_resource(resourceArn=arn, tags=tags)
        assert refused.value.response["Error"]["Code"] == "InvalidParameterException"
    assert ecs.list_tags_for_resource(resourceArn=arn)["tags"] == []
