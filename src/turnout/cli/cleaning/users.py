"""Who uses a task definition: services, task sets, tasks, deployments under way, the last deployments, schedules.

Everything of a region is looked through: a revision may be used by a service of any cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from turnout.cli import appspec
from turnout.cli.cleaning import Reasons, note
from turnout.cli.clients import Clients, pages
from turnout.cli.controllers.revisions import spec_of
from turnout.cli.place import groups
from turnout.cli.serving import services
from turnout.cli.view import SHIFTING, UNDER_WAY
from turnout.errors import SetupError

MOST_TASKS = 100
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html"""
MOST_REVISIONS = 20
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServiceRevisions.html"""
MOST_DEPLOYMENTS = 25
"""https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_BatchGetDeployments.html"""


@dataclass
class Users:
    definitions: Reasons = field(default_factory=dict)
    """By ARN of a task definition."""
    digests: Reasons = field(default_factory=dict)
    """By digest of an image that tasks run, whatever its tag means by now."""


def users(clients: Clients, keep: int) -> Users:
    """Whoever uses something now, and the last `keep` deployments that succeeded of each service, with all since.

    Raises SetupError when that cannot be found out: nothing may be deleted then.
    """
    found = Users()
    for service in services(clients):
        if service["status"] != "INACTIVE":
            _of_service(clients, service, keep, found)
    for cluster in pages(clients("ecs"), "list_clusters", "clusterArns"):
        _of_tasks(clients, cluster, found)
    for group in groups(clients):
        _of_deployments(clients, group, keep, found)
    for arn, why in _schedules(clients):
        note(found.definitions, arn, why)
    return found


def _of_service(clients: Clients, service: Mapping[str, Any], keep: int, found: Users) -> None:
    name = f"{_last(service['clusterArn'])}/{service['serviceName']}"
    if "taskDefinition" in service:
        note(found.definitions, service["taskDefinition"], f"service {name}")
    for task_set in service.get("taskSets", []):
        note(found.definitions, task_set["taskDefinition"], f"{task_set['status']} task set of {name}")
    for deployment in service.get("deployments", []):
        if deployment["status"] != "PRIMARY":
            note(found.definitions, deployment["taskDefinition"], f"{deployment['status']} deployment of {name}")
    why = {one["arn"]: f"service {name}" for one in service.get("currentServiceRevisions", []) if "arn" in one}
    if service.get("deploymentController", {}).get("type", "ECS") == "ECS":
        why |= _service_deployments(clients, service, name, keep)
    revisions = list(why)
    for start in range(0, len(revisions), MOST_REVISIONS):
        answer = clients("ecs").describe_service_revisions(
            serviceRevisionArns=revisions[start : start + MOST_REVISIONS]
        )
        for revision in answer["serviceRevisions"]:
            reason = why[revision["serviceRevisionArn"]]
            note(found.definitions, revision["taskDefinition"], reason)
            for image in revision.get("containerImages", []):
                if "imageDigest" in image:
                    note(found.digests, image["imageDigest"], reason)


def _service_deployments(clients: Clients, service: Mapping[str, Any], name: str, keep: int) -> dict[str, str]:
    """ARN of a service revision → which deployment of ECS it is of."""
    why: dict[str, str] = {}
    succeeded = 0
    token: dict[str, str] = {}
    while True:  # it has no paginator
        answer = clients("ecs").list_service_deployments(
            cluster=service["clusterArn"], service=service["serviceArn"], **token
        )
        for brief in answer["serviceDeployments"]:
            number = _last(brief["serviceDeploymentArn"])
            if brief["status"] in SHIFTING:
                why.setdefault(brief["targetServiceRevisionArn"], f"deployment {number} of {name} is under way")
            elif succeeded < keep:
                why.setdefault(brief["targetServiceRevisionArn"], f"deployment {number} of {name}")
            succeeded += brief["status"] == "SUCCESSFUL"
        if succeeded >= keep or "nextToken" not in answer:
            return why
        token = {"nextToken": answer["nextToken"]}


def _of_tasks(clients: Clients, cluster: str, found: Users) -> None:
    """Tasks that have not stopped. Those that are stopping are asked for as STOPPED."""
    ecs = clients("ecs")
    arns = [
        arn
        for status in ("RUNNING", "STOPPED")
        for arn in pages(ecs, "list_tasks", "taskArns", cluster=cluster, desiredStatus=status)
    ]
    counts: Counter[str] = Counter()
    for start in range(0, len(arns), MOST_TASKS):
        for task in ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + MOST_TASKS])["tasks"]:
            if task["lastStatus"] != "STOPPED":
                counts[task["taskDefinitionArn"]] += 1
                for container in task.get("containers", []):
                    if "imageDigest" in container:
                        note(found.digests, container["imageDigest"], f"a task in {_last(cluster)}")
    for arn, count in counts.items():
        note(found.definitions, arn, f"{count} task{'s' * (count > 1)} in {_last(cluster)}")


def _of_deployments(clients: Clients, group: Mapping[str, Any], keep: int, found: Users) -> None:
    """What deployments of CodeDeploy bring, or brought."""
    name = f"{group['applicationName']}/{group['deploymentGroupName']}"
    where = {"applicationName": group["applicationName"], "deploymentGroupName": group["deploymentGroupName"]}
    codedeploy = clients("codedeploy")
    under_way = pages(codedeploy, "list_deployments", "deployments", **where, includeOnlyStatuses=sorted(UNDER_WAY))
    for info in _described(clients, under_way):
        if arn := _brings(clients, info):
            note(found.definitions, arn, f"deployment {info['deploymentId']} is under way")
    if keep == 0:
        return
    succeeded = 0
    for info in _described(clients, pages(codedeploy, "list_deployments", "deployments", **where)):
        if arn := _brings(clients, info):
            note(found.definitions, arn, f"deployment {info['deploymentId']} of {name}")
        # A rollback brings nothing: what it put back has a deployment of its own.
        succeeded += info["status"] == "Succeeded" and info.get("creator") != "codeDeployRollback"
        if succeeded >= keep:
            return


def _described(clients: Clients, ids: list[str]) -> Iterator[dict[str, Any]]:
    """deploymentInfo of each, in the order of the ids."""
    for start in range(0, len(ids), MOST_DEPLOYMENTS):
        some = ids[start : start + MOST_DEPLOYMENTS]
        answer = clients("codedeploy").batch_get_deployments(deploymentIds=some)["deploymentsInfo"]
        yield from sorted(answer, key=lambda info: some.index(info["deploymentId"]))


def _brings(clients: Clients, info: Mapping[str, Any]) -> str | None:
    """The task definition that a deployment's AppSpec names; None if it names none, and never brought one."""
    try:
        document = spec_of(clients, info)
    except SetupError:
        return None  # no AppSpec: the deployment has failed of it
    if document is None:
        place = info.get("revision", {}).get("s3Location", {})
        raise SetupError(
            f"the AppSpec of the deployment {info['deploymentId']} of {info['applicationName']} cannot be read from"
            f" s3://{place.get('bucket')}/{place.get('key')}, so what it uses is not known, and nothing is deleted."
            " Let this user read it; if it is gone, a lower --keep does not look at that deployment."
        )
    return appspec.task_definition_of(document)


def _schedules(clients: Clients) -> Iterator[tuple[str, str]]:
    """(task definition, who starts it by the clock, or upon an event)."""
    events = clients("events")
    for rule in pages(events, "list_rules", "Rules"):
        for target in pages(events, "list_targets_by_rule", "Targets", Rule=rule["Name"]):
            if arn := target.get("EcsParameters", {}).get("TaskDefinitionArn"):
                yield arn, f"rule {rule['Name']}"
    scheduler = clients("scheduler")
    for summary in pages(scheduler, "list_schedules", "Schedules"):
        target = scheduler.get_schedule(Name=summary["Name"], GroupName=summary["GroupName"])["Target"]
        if arn := target.get("EcsParameters", {}).get("TaskDefinitionArn"):
            yield arn, f"schedule {summary['Name']}"


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]
