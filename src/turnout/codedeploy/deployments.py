"""Deployments: created, read, listed, stopped and told to go on. What happens in between is the plan's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from turnout.aws import Answer, Aws, Call
from turnout.clock import Clock
from turnout.codedeploy import source
from turnout.codedeploy.alarms import check_alarms
from turnout.codedeploy.appspec import AppSpec, invalid, parse
from turnout.codedeploy.configs import find_config
from turnout.codedeploy.describing import describe_deployment, status_of
from turnout.codedeploy.group_rules import check_auto_rollback, listener_of, pair_of
from turnout.codedeploy.hooks.bundles import Bundles
from turnout.codedeploy.hooks.resolving import resolve
from turnout.codedeploy.hooks.script import ScriptHook
from turnout.codedeploy.lifecycle import READY_WAIT, TERMINATE_BLUE, TERMINATE_GREEN, TERMINATION_WAIT
from turnout.codedeploy.records import Document, Records, check_batch, deployment, page
from turnout.codedeploy.revisions import remember_use
from turnout.codedeploy.starting import KIND, History, Starting
from turnout.codedeploy.tags import ignores_target_health
from turnout.errors import AwsError
from turnout.runs import Exclusive, Run, Runs, Status, Step

SERVER_ONLY = {
    "fileExistsBehavior": ("InvalidFileExistsBehaviorException", "For Lambda, ECS and Kubernetes deployment"),
    "targetInstances": ("InvalidTargetInstancesException", "For ECS deployment"),
    "updateOutdatedInstancesOnly": ("InvalidUpdateOutdatedInstancesOnlyValueException", "For ECS deployment"),
    "ignoreApplicationStopFailures": ("InvalidIgnoreApplicationStopFailuresValueException", "For ECS deployment"),
    "ec2DeploymentOptions": ("InvalidInputException", "For ECS deployment"),
}
"""Members of server deployments → the error of an ECS deployment that has one, and how its message begins."""

OPEN_STATUSES = frozenset({"Created", "Queued", "InProgress", "Baking", "Ready"})


class Deployments:
    _records: Records
    _clock: Clock
    _aws: Aws
    _runs: Runs
    _history: History
    _starting: Starting
    _bundles: Bundles
    _scripts: ScriptHook

    async def create_deployment(self, call: Call) -> Answer:
        """Everything is resolved and validated here; the steps read only what is frozen now."""
        cause = f"{call.cause}/CreateDeployment" if call.cause else None
        if (caused := self._runs.caused_by(cause)) is not None:
            return {"deploymentId": caused.name}
        application = self._records.application(call.region, call["applicationName"])
        group_name = call.get("deploymentGroupName")
        if group_name is None:
            raise AwsError("DeploymentGroupNameRequiredException", "deploymentGroupName is required.")
        group = self._records.group(call.region, call["applicationName"], group_name)
        _check_options(call)
        revision = source.checked(call.get("revision"))
        text = await source.read(self._aws, call.region, revision)
        appspec = parse(text, (revision.get("appSpecContent") or {}).get("sha256"))
        config = find_config(
            self._records, call.region, call.get("deploymentConfigName", group["deploymentConfigName"])
        )
        alarms = check_alarms(call.get("overrideAlarmConfiguration") or group.get("alarmConfiguration") or {})
        task_definition, containers = await self._resolve(call.region, appspec)
        file = await self._bundles.find(call.region, revision, text) if appspec.hooks else None
        has_test_listener = listener_of(group, "testTrafficRoute") is not None
        hooks = resolve(appspec.hooks, file, has_test_listener=has_test_listener, containers=containers)
        spec = self._freeze(call, application, group, config, revision, {**asdict(appspec), **task_definition}) | {
            "hooks": hooks,
            "alarms": [alarm["name"] for alarm in alarms["alarms"]] if alarms["enabled"] else [],
            "ignores_poll_alarm_failure": alarms["ignorePollAlarmFailure"],
            "ignores_target_health": ignores_target_health(group, config),
        }
        with self._records.store.transaction() as tx:
            if (caused := self._runs.caused_by(cause)) is not None:
                return {"deploymentId": caused.name}
            try:
                run = self._starting.start(tx, call.region, spec, cause)
            except Exclusive as busy:
                raise AwsError(
                    "DeploymentLimitExceededException",
                    f"The Deployment Group '{group_name}' already has an active Deployment '{busy.holder.name}'",
                ) from busy
            remember_use(self._records, tx, run)
        if hooks:
            self._forget_old_hooks()
        return {"deploymentId": run.name}

    def get_deployment(self, call: Call) -> Answer:
        run = deployment(self._runs, KIND, call.region, call["deploymentId"])
        return {"deploymentInfo": describe_deployment(run, self._runs.steps(run.id))}

    def batch_get_deployments(self, call: Call) -> Answer:
        check_batch(call["deploymentIds"], 25, "deployments")
        found = [self._runs.find(KIND, call.region, deployment_id) for deployment_id in call["deploymentIds"]]
        return {"deploymentsInfo": [describe_deployment(run, self._runs.steps(run.id)) for run in found if run]}

    def list_deployments(self, call: Call) -> Answer:
        """Newest first."""
        application, group_name = call.get("applicationName"), call.get("deploymentGroupName")
        if application is not None and group_name is None:
            raise AwsError(
                "DeploymentGroupNameRequiredException", "deploymentGroupName is needed with applicationName."
            )
        if application is None and group_name is not None:
            raise AwsError("ApplicationNameRequiredException", "applicationName is needed with deploymentGroupName.")
        # Clients ask for the open ones before and during each deployment: the former thousands are left unread.
        statuses = call.get("includeOnlyStatuses")
        is_open = bool(statuses) and OPEN_STATUSES.issuperset(statuses)
        if application is None:
            runs = self._runs.of_kind(KIND, call.region, is_open=is_open)
        else:
            group = self._records.group(call.region, application, group_name or "")
            runs = self._runs.of_lane(KIND, call.region, group["deploymentGroupId"], is_open=is_open)
        if call.get("externalId") is not None:  # the id of a CloudFormation stack: none of ours has one
            runs = []
        some, token = page([run.name for run in self._matching(call, runs)], call.get("nextToken"))
        return {"deployments": some, "nextToken": token}

    def stop_deployment(self, call: Call) -> Answer:
        """A request, not an act: the step in progress ends at its next look. `autoRollbackEnabled` beats the group."""
        run, steps = self._open(call.region, call["deploymentId"])
        if any(s.name in (TERMINATE_BLUE, TERMINATE_GREEN) and s.started_at is not None for s in steps):
            raise AwsError(
                "DeploymentAlreadyCompletedException",
                f"The deployment {run.name} has moved all traffic and is terminating what served before:"
                " it can no longer be stopped.",
            )
        configured = "DEPLOYMENT_STOP_ON_REQUEST" in run.spec["rollback_events"]
        with self._records.store.transaction() as tx:
            self._runs.request_stop(
                tx,
                run.id,
                code="MANUAL_STOP",
                message="The deployment was stopped by request.",
                rollback=bool(call.get("autoRollbackEnabled", configured)),
            )
        if self._runs.get(run.id).status.is_over:
            return {"status": "Succeeded", "statusMessage": f"The deployment {run.name} was stopped."}
        return {"status": "Pending", "statusMessage": f"The deployment {run.name} is being stopped."}

    def continue_deployment(self, call: Call) -> Answer:
        if call.get("deploymentId") is None:
            raise AwsError("DeploymentIdRequiredException", "deploymentId is required.")
        run, steps = self._open(call.region, call["deploymentId"])
        kind = call.get("deploymentWaitType", "READY_WAIT")
        name = {"READY_WAIT": READY_WAIT, "TERMINATION_WAIT": TERMINATION_WAIT}.get(kind)
        if name is None:
            message = f"deploymentWaitType must be READY_WAIT or TERMINATION_WAIT, not {kind}."
            raise AwsError("InvalidDeploymentWaitTypeException", message)
        waits = [step for step in steps if step.name == name and step.status is Status.IN_PROGRESS]
        if not waits:
            code = "DeploymentIsNotInReadyStateException" if name == READY_WAIT else "InvalidDeploymentStatusException"
            raise AwsError(
                code, f"The deployment {run.name} is not in its {kind}: its status is {status_of(run, steps)}."
            )
        with self._records.store.transaction() as tx:
            self._runs.signal(tx, waits[0].id, {"continue": kind})
        return {}

    def _forget_old_hooks(self) -> None:
        """What hooks have left on the disk is needed while their deployments run."""
        is_open = self._runs.of_kind(KIND, is_open=True)
        self._bundles.forget_all_but(
            hook["bundle"] for run in is_open for hook in run.spec.get("hooks", {}).values() if hook.get("bundle")
        )
        self._scripts.forget_old({run.name for run in is_open})

    def _open(self, region: str, deployment_id: str) -> tuple[Run, list[Step]]:
        run = deployment(self._runs, KIND, region, deployment_id)
        if run.status.is_over:
            message = f"The deployment {deployment_id} is already completed: {run.status}."
            raise AwsError("DeploymentAlreadyCompletedException", message)
        return run, self._runs.steps(run.id)

    def _matching(self, call: Call, runs: list[Run]) -> list[Run]:
        statuses, span = call.get("includeOnlyStatuses"), call.get("createTimeRange") or {}
        start, end = span.get("start"), span.get("end")
        if start is not None and end is not None and start > end:
            raise AwsError("InvalidTimeRangeException", "The start of createTimeRange is after its end.")
        return [
            run
            for run in runs
            if (start is None or run.created_at >= start)
            and (end is None or run.created_at <= end)
            and (not statuses or status_of(run, () if run.status.is_over else self._runs.steps(run.id)) in statuses)
        ]

    async def _resolve(self, region: str, appspec: AppSpec) -> tuple[Document, list[str]]:
        """The task definition as an ARN with its revision, and its containers; what the AppSpec says must be true."""
        try:
            answer = await self._aws.call(
                "ecs", "DescribeTaskDefinition", region, taskDefinition=appspec.task_definition
            )
        except AwsError as error:
            raise invalid(f"The task definition {appspec.task_definition} cannot be used: {error.message}") from error
        found = answer["taskDefinition"]
        if found.get("status") == "INACTIVE":
            raise invalid(f"The task definition {found['taskDefinitionArn']} is INACTIVE: it has been deregistered.")
        containers = {container["name"]: container for container in found["containerDefinitions"]}
        name, port = appspec.container_name, appspec.container_port
        if name not in containers:
            raise invalid(f"ContainerName {name}: {found['taskDefinitionArn']} has only {', '.join(containers)}.")
        ports = [mapping.get("containerPort") for mapping in containers[name].get("portMappings", [])]
        if port not in ports:
            listed = ", ".join(map(str, ports)) or "none"
            raise invalid(f"ContainerPort {port}: container {name} of {found['taskDefinitionArn']} maps {listed}.")
        return {"task_definition": found["taskDefinitionArn"]}, list(containers)

    def _freeze(
        self,
        call: Call,
        application: Document,
        group: Document,
        config: Document,
        revision: Document,
        appspec: dict[str, Any],
    ) -> dict[str, Any]:
        blue_green, service = group["blueGreenDeploymentConfiguration"], group["ecsServices"][0]
        terminate = blue_green["terminateBlueInstancesOnDeploymentSuccess"]
        ready = blue_green["deploymentReadyOption"]
        auto_rollback = group["autoRollbackConfiguration"]
        if call.get("autoRollbackConfiguration") is not None:
            auto_rollback = check_auto_rollback(call["autoRollbackConfiguration"])
        waits_ready = ready["actionOnTimeout"] == "STOP_DEPLOYMENT"
        return {
            "application": application["applicationName"],
            "deployment_group": group["deploymentGroupName"],
            "deployment_group_id": group["deploymentGroupId"],
            "config_name": config["deploymentConfigName"],
            "routing": config["trafficRoutingConfig"],
            "description": call.get("description"),
            "creator": "user",
            "revision": revision,
            "previous_revision": self._history.find(call.region, group["deploymentGroupId"]).get("revision"),
            "commit_id": source.commit_id_of(call.get("description"), revision),
            "appspec": appspec,
            "cluster": service["clusterName"],
            "service": service["serviceName"],
            "target_groups": [target_group["name"] for target_group in pair_of(group)["targetGroups"]],
            "listener_arn": listener_of(group, "prodTrafficRoute"),
            "test_listener_arn": listener_of(group, "testTrafficRoute"),
            "ready_wait_minutes": ready["waitTimeInMinutes"] if waits_ready else None,
            "terminates_blue": terminate["action"] == "TERMINATE",
            "termination_wait_minutes": terminate["terminationWaitTimeInMinutes"],
            "rollback_events": auto_rollback["events"] if auto_rollback["enabled"] else [],
            "rolls_back": None,
            "triggers": group.get("triggerConfigurations", []),
            "auto_rollback_configuration": auto_rollback,
            "blue_green": blue_green,
            "load_balancer_info": group["loadBalancerInfo"],
            "deployment_style": group["deploymentStyle"],
            "speed": self._clock.speed,
        }


def _check_options(call: Call) -> None:
    for member, (code, which) in SERVER_ONLY.items():
        if call.get(member):
            raise AwsError(code, f"{which}, {member} can not be specified")
    if call.get("deploymentMode", "STANDARD") != "STANDARD":
        raise AwsError("InvalidInputException", "For ECS deployment, deploymentMode must be STANDARD")
