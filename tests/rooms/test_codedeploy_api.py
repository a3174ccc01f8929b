"""Applications, deployment groups, configs, revisions, tags and lists of the room codedeploy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes.bluegreen import PROD, TEST
from tests.rooms.deploying import APPSPEC, Deploying, content, group
from turnout.codedeploy import records


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Deploying]:
    shop = Deploying(tmp_path)
    yield shop
    shop.close()


def refused(act: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        act(**params)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_application_is_created_read_renamed_and_deleted(shop: Deploying) -> None:
    client = shop.client
    created = client.create_application(applicationName="shop", computePlatform="ECS")
    application = client.get_application(applicationName="shop")["application"]
    assert application["applicationId"] == created["applicationId"]
    assert application["computePlatform"] == "ECS"
    assert application["linkedToGitHub"] is False
    assert refused(client.create_application, applicationName="shop", computePlatform="ECS")[0] == (
        "ApplicationAlreadyExistsException"
    )
    client.create_deployment_group(**group())
    client.update_application(applicationName="shop", newApplicationName="store")
    assert client.list_applications()["applications"] == ["store"]
    assert client.list_deployment_groups(applicationName="store")["deploymentGroups"] == ["live"]
    assert refused(client.get_application, applicationName="shop") == (
        "ApplicationDoesNotExistException",
        "No application found for name: shop",
    )
    client.delete_application(applicationName="store")
    client.delete_application(applicationName="store")
    assert client.list_applications()["applications"] == []


@pytest.mark.parametrize("platform", [{}, {"computePlatform": "Server"}, {"computePlatform": "Lambda"}])
def test_only_ecs_is_deployed_to(shop: Deploying, platform: dict[str, str]) -> None:
    code, message = refused(shop.client.create_application, applicationName="shop", **platform)
    assert code == "InvalidComputePlatformException"
    assert "Amazon ECS only" in message


def test_regions_have_nothing_in_common(shop: Deploying) -> None:
    shop.client.create_application(applicationName="shop", computePlatform="ECS")
    assert shop.boto("codedeploy", "eu-central-1").list_applications()["applications"] == []


def test_lists_come_in_pages(shop: Deploying) -> None:
    names = [f"app-{number:03}" for number in range(records.PAGE + 5)]
    for name in names:
        shop.client.create_application(applicationName=name, computePlatform="ECS")
    pages = list(shop.client.get_paginator("list_applications").paginate())
    assert [len(page["applications"]) for page in pages] == [records.PAGE, 5]
    assert [name for page in pages for name in page["applications"]] == names
    assert len(shop.client.batch_get_applications(applicationNames=names[:2])["applicationsInfo"]) == 2
    assert refused(shop.client.list_applications, nextToken="nonsense")[0] == "InvalidNextTokenException"
    assert refused(shop.client.batch_get_applications, applicationNames=names)[0] == "BatchLimitExceededException"


def test_a_group_is_described_complete(shop: Deploying) -> None:
    """`aws ecs deploy` reads both waits without asking whether they are there."""
    given = group(has_test=True, blueGreenDeploymentConfiguration={})
    shop.client.create_application(applicationName="shop", computePlatform="ECS")
    created = shop.client.create_deployment_group(**given)
    info = shop.client.get_deployment_group(applicationName="shop", deploymentGroupName="live")["deploymentGroupInfo"]
    assert info == {
        "applicationName": "shop",
        "deploymentGroupId": created["deploymentGroupId"],
        "deploymentGroupName": "live",
        "deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce",
        "serviceRoleArn": given["serviceRoleArn"],
        "autoRollbackConfiguration": given["autoRollbackConfiguration"],
        "deploymentStyle": given["deploymentStyle"],
        "outdatedInstancesStrategy": "UPDATE",
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 0},
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
        },
        "loadBalancerInfo": given["loadBalancerInfo"],
        "computePlatform": "ECS",
        "ecsServices": given["ecsServices"],
    }


def pair(**change: Any) -> dict[str, Any]:
    """loadBalancerInfo with one pair that differs from a right one."""
    right: dict[str, Any] = {
        "targetGroups": [{"name": "a"}, {"name": "b"}],
        "prodTrafficRoute": {"listenerArns": [PROD]},
    }
    return {"targetGroupPairInfoList": [{**right, **change}]}


STYLE = (
    "For ECS deployment, the deployment type must be BLUE_GREEN, and deployment option must be WITH_TRAFFIC_CONTROL."
)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"deploymentStyle": None}, "InvalidDeploymentStyleException", STYLE),
        (
            {"deploymentStyle": {"deploymentType": "IN_PLACE", "deploymentOption": "WITH_TRAFFIC_CONTROL"}},
            "InvalidDeploymentStyleException",
            STYLE,
        ),
        (
            {"loadBalancerInfo": None},
            "InvalidLoadBalancerInfoException",
            "For ECS deployment group, loadBalancerInfo must be specified",
        ),
        ({"loadBalancerInfo": {"elbInfoList": [{"name": "x"}]}}, "InvalidLoadBalancerInfoException", "only target"),
        ({"loadBalancerInfo": pair(targetGroups=[{"name": "a"}])}, "InvalidTargetGroupPairException", "two different"),
        (
            {"loadBalancerInfo": pair(targetGroups=[{"name": "a"}, {"name": "z"}])},
            "InvalidTargetGroupPair",
            "not found",
        ),
        ({"loadBalancerInfo": pair(prodTrafficRoute={"listenerArns": []})}, "InvalidLoadBalancerInfo", "exactly one"),
        ({"loadBalancerInfo": pair(prodTrafficRoute={"listenerArns": ["x"]})}, "InvalidLoadBalancerInfo", "not found"),
        ({"loadBalancerInfo": pair(testTrafficRoute={"listenerArns": [PROD]})}, "InvalidLoadBalancer", "different"),
        ({"loadBalancerInfo": pair(testTrafficRoute={"listenerArns": [TEST, PROD]})}, "InvalidLoadBal", "exactly one"),
        (
            {"blueGreenDeploymentConfiguration": None},
            "InvalidBlueGreenDeploymentConfigurationException",
            "For ECS deployment group, blueGreenDeploymentConfiguration must be specified",
        ),
        (
            {
                "blueGreenDeploymentConfiguration": {
                    "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 5}
                }
            },
            "InvalidBlueGreenDeploymentConfigurationException",
            "Deployment ready action cannot be set to 'CONTINUE_DEPLOYMENT' when timeout is specified",
        ),
        (
            {"blueGreenDeploymentConfiguration": {"deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT"}}},
            "InvalidBlueGreenDeploymentConfigurationException",
            "at least 1 minute",
        ),
        ({"ecsServices": []}, "InvalidECSServiceException", "exactly one ECS service"),
        ({"ecsServices": [{"serviceName": "none", "clusterName": "prod"}]}, "InvalidECSService", "does not exist"),
        ({"deploymentConfigName": "none"}, "DeploymentConfigDoesNotExistException", "No Deployment Configuration"),
        ({"autoScalingGroups": ["x"]}, "InvalidAutoScalingGroupException", "can not be specified"),
        ({"autoRollbackConfiguration": {"enabled": True}}, "InvalidAutoRollbackConfigException", "no events"),
    ],
)
def test_a_group_is_refused_with_awss_words(shop: Deploying, change: dict[str, Any], code: str, message: str) -> None:
    shop.client.create_application(applicationName="shop", computePlatform="ECS")
    params = {member: value for member, value in {**group(), **change}.items() if value is not None}
    said = refused(shop.client.create_deployment_group, **params)
    assert said[0].startswith(code)
    assert message in said[1]
    assert shop.client.list_deployment_groups(applicationName="shop")["deploymentGroups"] == []


def test_the_service_must_leave_its_deployments_to_codedeploy(shop: Deploying) -> None:
    shop.client.create_application(applicationName="shop", computePlatform="ECS")
    shop.ecs.controller = "ECS"
    assert refused(shop.client.create_deployment_group, **group()) == (
        "InvalidECSServiceException",
        "Deployment group's ECS service must be configured for a CODE_DEPLOY deployment controller.",
    )


def test_a_service_has_one_group(shop: Deploying) -> None:
    shop.create_group()
    assert refused(shop.client.create_deployment_group, **group())[0] == "DeploymentGroupAlreadyExistsException"
    assert refused(shop.client.create_deployment_group, **group(deploymentGroupName="two"))[0] == (
        "ECSServiceMappingLimitExceededException"
    )


def test_a_group_is_updated_in_the_members_that_are_given(shop: Deploying) -> None:
    shop.create_group()
    client, names = shop.client, {"applicationName": "shop", "currentDeploymentGroupName": "live"}
    client.update_deployment_group(
        **names,
        newDeploymentGroupName="main",
        deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes",
    )
    info = client.get_deployment_group(applicationName="shop", deploymentGroupName="main")["deploymentGroupInfo"]
    assert info["deploymentConfigName"] == "CodeDeployDefault.ECSCanary10Percent5Minutes"
    assert info["loadBalancerInfo"] == group()["loadBalancerInfo"]
    assert client.list_deployment_groups(applicationName="shop")["deploymentGroups"] == ["main"]
    assert refused(client.update_deployment_group, **names)[0] == "DeploymentGroupDoesNotExistException"
    names["currentDeploymentGroupName"] = "main"
    assert refused(client.update_deployment_group, **names, autoScalingGroups=["x"])[0] == (
        "InvalidAutoScalingGroupException"
    )


def test_a_renamed_group_keeps_its_deployments(shop: Deploying) -> None:
    shop.create_group()
    deployment_id = shop.deploy()
    shop.tick(60)
    shop.client.update_deployment_group(
        applicationName="shop", currentDeploymentGroupName="live", newDeploymentGroupName="main"
    )
    listed = shop.client.list_deployments(applicationName="shop", deploymentGroupName="main")["deployments"]
    assert listed == [deployment_id]


def test_groups_are_read_together_and_deleted(shop: Deploying) -> None:
    shop.create_group()
    answer = shop.client.batch_get_deployment_groups(applicationName="shop", deploymentGroupNames=["live", "none"])
    assert [info["deploymentGroupName"] for info in answer["deploymentGroupsInfo"]] == ["live"]
    assert "none" in answer["errorMessage"]
    shop.client.delete_deployment_group(applicationName="shop", deploymentGroupName="live")
    assert shop.client.delete_deployment_group(applicationName="shop", deploymentGroupName="live") is not None
    assert refused(shop.client.get_deployment_group, applicationName="shop", deploymentGroupName="live") == (
        "DeploymentGroupDoesNotExistException",
        "No Deployment Group found for name: live",
    )


def test_the_predefined_configs_say_how_traffic_is_shifted(shop: Deploying) -> None:
    names = shop.client.list_deployment_configs()["deploymentConfigsList"]
    assert names == [
        "CodeDeployDefault.ECSAllAtOnce",
        "CodeDeployDefault.ECSLinear10PercentEvery1Minutes",
        "CodeDeployDefault.ECSLinear10PercentEvery3Minutes",
        "CodeDeployDefault.ECSCanary10Percent5Minutes",
        "CodeDeployDefault.ECSCanary10Percent15Minutes",
    ]
    info = shop.client.get_deployment_config(deploymentConfigName=names[2])["deploymentConfigInfo"]
    assert info["trafficRoutingConfig"] == {
        "type": "TimeBasedLinear",
        "timeBasedLinear": {"linearPercentage": 10, "linearInterval": 3},
    }
    assert info["computePlatform"] == "ECS"


def test_a_config_of_ones_own_is_created_used_and_deleted(shop: Deploying) -> None:
    routing = {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 25, "canaryInterval": 2}}
    client = shop.client
    client.create_deployment_config(deploymentConfigName="mine", computePlatform="ECS", trafficRoutingConfig=routing)
    info = client.get_deployment_config(deploymentConfigName="mine")["deploymentConfigInfo"]
    assert info["trafficRoutingConfig"] == routing
    assert client.list_deployment_configs()["deploymentConfigsList"][-1] == "mine"
    shop.create_group(deploymentConfigName="mine")
    assert refused(client.delete_deployment_config, deploymentConfigName="mine")[0] == "DeploymentConfigInUseException"
    client.delete_deployment_group(applicationName="shop", deploymentGroupName="live")
    client.delete_deployment_config(deploymentConfigName="mine")
    assert refused(client.get_deployment_config, deploymentConfigName="mine") == (
        "DeploymentConfigDoesNotExistException",
        "No Deployment Configuration found for name: mine",
    )


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"deploymentConfigName": "CodeDeployDefault.Mine"}, "InvalidDeploymentConfigNameException"),
        ({"computePlatform": "Lambda"}, "InvalidComputePlatformException"),
        ({"trafficRoutingConfig": {"type": "TimeBasedCanary"}}, "InvalidTrafficRoutingConfigurationException"),
        (
            {"trafficRoutingConfig": {"type": "AllAtOnce", "timeBasedLinear": {"linearPercentage": 1}}},
            "InvalidTrafficRoutingConfigurationException",
        ),
        (
            {
                "trafficRoutingConfig": {
                    "type": "TimeBasedLinear",
                    "timeBasedLinear": {"linearPercentage": 100, "linearInterval": 1},
                }
            },
            "InvalidTrafficRoutingConfigurationException",
        ),
        (
            {"minimumHealthyHosts": {"type": "HOST_COUNT", "value": 1}},
            "InvalidMinimumHealthyHostValueException",
        ),
    ],
)
def test_a_wrong_config_is_refused(shop: Deploying, params: dict[str, Any], code: str) -> None:
    right = {"deploymentConfigName": "mine", "computePlatform": "ECS", "trafficRoutingConfig": {"type": "AllAtOnce"}}
    assert refused(shop.client.create_deployment_config, **{**right, **params})[0] == code


def test_deployments_are_listed_newest_first_by_status_and_time(shop: Deploying) -> None:
    shop.create_group()
    first = shop.deploy()
    shop.tick(100)
    second = shop.deploy()
    client, of = shop.client, {"applicationName": "shop", "deploymentGroupName": "live"}
    assert client.list_deployments(**of)["deployments"] == [second, first]
    assert client.list_deployments(**of, includeOnlyStatuses=["Succeeded"])["deployments"] == [first]
    assert client.list_deployments(**of, includeOnlyStatuses=["Created", "InProgress"])["deployments"] == [second]
    middle = shop.clock.now() - 50
    assert client.list_deployments(createTimeRange={"start": middle})["deployments"] == [second]
    assert client.list_deployments(createTimeRange={"end": middle})["deployments"] == [first]
    assert refused(client.list_deployments, createTimeRange={"start": 5, "end": 1})[0] == "InvalidTimeRangeException"
    assert refused(client.list_deployments, applicationName="shop")[0] == "DeploymentGroupNameRequiredException"
    both = client.batch_get_deployments(deploymentIds=[first, second, "d-NOTTHERE1"])["deploymentsInfo"]
    assert [info["deploymentId"] for info in both] == [first, second]


def test_an_unknown_deployment_is_named(shop: Deploying) -> None:
    assert refused(shop.client.get_deployment, deploymentId="d-NOTTHERE1") == (
        "DeploymentDoesNotExistException",
        "The deployment d-NOTTHERE1 could not be found",
    )
    assert refused(shop.client.get_deployment, deploymentId="42")[0] == "InvalidDeploymentIdException"


def test_targets_are_found_by_cluster_and_service(shop: Deploying) -> None:
    shop.create_group()
    deployment_id = shop.deploy()
    client = shop.client
    assert refused(client.get_deployment_target, deploymentId=deployment_id, targetId="x:y")[0] == (
        "DeploymentTargetDoesNotExistException"
    )
    both = client.batch_get_deployment_targets(deploymentId=deployment_id, targetIds=["prod:web"])["deploymentTargets"]
    assert both[0]["deploymentTargetType"] == "ECSTarget"
    pending = {"TargetStatus": ["Pending"]}
    assert client.list_deployment_targets(deploymentId=deployment_id, targetFilters=pending)["targetIds"]
    failed = {"TargetStatus": ["Failed"]}
    assert client.list_deployment_targets(deploymentId=deployment_id, targetFilters=failed)["targetIds"] == []


def test_the_revision_of_a_deployment_counts_as_registered(shop: Deploying) -> None:
    shop.create_group()
    other = {"revisionType": "S3", "s3Location": {"bucket": "b", "key": "a/x.yaml", "bundleType": "YAML"}}
    shop.client.register_application_revision(applicationName="shop", revision=other, description="by hand")
    shop.deploy()
    used = shop.client.get_application_revision(applicationName="shop", revision=content(APPSPEC))["revisionInfo"]
    assert used["deploymentGroups"] == ["live"]
    assert used["firstUsedTime"] == used["lastUsedTime"]
    listed = shop.client.list_application_revisions(applicationName="shop", sortBy="registerTime")["revisions"]
    assert listed == [other, content(APPSPEC)] or listed == [content(APPSPEC), other]
    by_key = shop.client.list_application_revisions(applicationName="shop", s3Bucket="b", s3KeyPrefix="a/")
    assert by_key["revisions"] == [other]
    unused = shop.client.list_application_revisions(applicationName="shop", deployed="exclude")["revisions"]
    assert unused == [other]
    both = shop.client.batch_get_application_revisions(applicationName="shop", revisions=[other, content("x")])
    assert both["revisions"][0]["genericRevisionInfo"]["description"] == "by hand"
    assert "not registered" in both["errorMessage"]
    assert refused(shop.client.get_application_revision, applicationName="shop", revision=content("x"))[0] == (
        "RevisionDoesNotExistException"
    )


def test_applications_and_groups_have_tags(shop: Deploying) -> None:
    shop.client.create_application(applicationName="shop", computePlatform="ECS", tags=[{"Key": "team", "Value": "a"}])
    shop.client.create_deployment_group(**group(tags=[{"Key": "stage", "Value": "live"}]))
    arn = "arn:aws:codedeploy:us-east-1:000000000000:"
    for resource, first in (("application:shop", "team"), ("deploymentgroup:shop/live", "stage")):
        shop.client.tag_resource(ResourceArn=arn + resource, Tags=[{"Key": "more", "Value": "1"}])
        tags = shop.client.list_tags_for_resource(ResourceArn=arn + resource)["Tags"]
        assert [tag["Key"] for tag in tags] == [first, "more"]
        shop.client.untag_resource(ResourceArn=arn + resource, TagKeys=[first])
        tags = shop.client.list_tags_for_resource(ResourceArn=arn + resource)["Tags"]
        assert tags == [{"Key": "more", "Value": "1"}]
    assert refused(shop.client.list_tags_for_resource, ResourceArn="shop")[0] == "InvalidArnException"
    assert refused(shop.client.list_tags_for_resource, ResourceArn=arn + "instance:x")[0] == "ArnNotSupportedException"


def test_what_is_not_implemented_says_so(shop: Deploying) -> None:
    assert refused(shop.client.list_on_premises_instances) == (
        "NotImplementedException",
        "codedeploy.ListOnPremisesInstances is not implemented by turnout. See docs/operations.md for what is.",
    )
