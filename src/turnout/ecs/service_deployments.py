"""Service deployments and service revisions: list, describe, stop, continue."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.ecs.deployment_describing import describe_brief, describe_deployment, status_of
from turnout.ecs.deployment_hooks import kind_of
from turnout.ecs.deployment_starting import is_cleaning_up, lane_of, rollback_of
from turnout.ecs.deployment_steps import KIND
from turnout.ecs.pages import page_of
from turnout.ecs.revisions import Revisions, with_digests
from turnout.ecs.room import Room, short_name, unsupported
from turnout.errors import AwsError
from turnout.names import is_arn, resource_of
from turnout.runs import Run, Status

MOST_DESCRIBED = 20


class ServiceDeployments(Room):
    def list_service_deployments(self, call: Call) -> Answer:
        """Newest first."""
        text = call["service"]
        parts = resource_of(text).split("/") if is_arn(text) else []
        cluster = parts[1] if len(parts) == 3 else short_name(call.get("cluster") or "default")
        if self.find_cluster(call.region, cluster) is None:
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        service = self.services.find(call.region, cluster, short_name(text))
        if service is None:
            raise AwsError("ServiceNotFoundException", "Service not found.")
        span, statuses = call.get("createdAt") or {}, call.get("status")
        runs = [
            run
            for run in self.runs.of_lane(KIND, call.region, lane_of(service))
            if run.created_at < span.get("before", run.created_at + 1)
            and run.created_at > span.get("after", run.created_at - 1)
            and (not statuses or status_of(self, run) in statuses)
        ]
        return page_of(call, "serviceDeployments", runs, lambda run: describe_brief(self, run), default=20)

    def describe_service_deployments(self, call: Call) -> Answer:
        found, failures = [], []
        for arn in _some(call["serviceDeploymentArns"], "serviceDeploymentArns"):
            run = self._find_run(call.region, arn)
            if run is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                found.append(describe_deployment(self, run))
        return {"serviceDeployments": found, "failures": failures}

    def describe_service_revisions(self, call: Call) -> Answer:
        revisions, found, failures = Revisions(self.store), [], []
        for arn in _some(call["serviceRevisionArns"], "serviceRevisionArns"):
            document = revisions.find(call.region, arn)
            if document is None:
                failures.append({"arn": arn, "reason": "MISSING"})
                continue
            one = self.sets.find(f"ecs-svc/{arn.rsplit('/', 1)[-1]}")
            found.append(with_digests(document, one.pins) if one else document)
        return {"serviceRevisions": found, "failures": failures}

    def stop_service_deployment(self, call: Call) -> Answer:
        """Roll a deployment back. It is another run that does so, in the transaction that ends this one."""
        run = self._run(call)
        if call.get("stopType", "ROLLBACK") != "ROLLBACK":
            raise unsupported(f"the stopType {call['stopType']} (AWS neither: ROLLBACK is the valid value)")
        if run.status.is_over or rollback_of(self, run) or run.stop is not None:
            raise _conflict(call, f"its status is {status_of(self, run)}")
        if run.spec["source"] is None:
            raise _conflict(call, "it is the first of its service: there is no revision to roll back to")
        with self.store.transaction() as tx:
            if is_cleaning_up(self, run):
                raise _conflict(call, "it is in CLEAN_UP: the former revision is being stopped")
            self.runs.request_stop(tx, run.id, code="ROLLBACK", message="A rollback was requested by the user.")
        return {"serviceDeploymentArn": run.spec["arn"]}

    def continue_service_deployment(self, call: Call) -> Answer:
        """The answer that a PAUSE hook waits for."""
        run = self._run(call)
        step = next((step for step in self.runs.steps(run.id) if step.spec.get("hookId") == call["hookId"]), None)
        if step is None or kind_of(step) != "PAUSE":
            raise AwsError(
                "InvalidParameterException", f"The deployment {run.spec['arn']} has no PAUSE hook {call['hookId']}."
            )
        if step.status is not Status.IN_PROGRESS or run.stop is not None or step.answer is not None:
            raise AwsError(
                "InvalidParameterException",
                f"The lifecycle hook {call['hookId']} is not awaiting an action: it is {step.status}.",
            )
        with self.store.transaction() as tx:
            self.runs.signal(tx, step.id, {"action": call.get("action", "CONTINUE")})
        return {"serviceDeploymentArn": run.spec["arn"]}

    def _run(self, call: Call) -> Run:
        run = self._find_run(call.region, call["serviceDeploymentArn"])
        if run is None:
            raise AwsError("ServiceDeploymentNotFoundException", "Service deployment not found.")
        return run

    def _find_run(self, region: str, arn: str) -> Run | None:
        run = self.runs.find(KIND, region, arn.rsplit("/", 1)[-1])
        return run if run and run.spec["arn"] == arn else None


def _some(arns: list[Any], member: str) -> list[Any]:
    if not 1 <= len(arns) <= MOST_DESCRIBED:
        raise AwsError("InvalidParameterException", f"{member} must have between 1 and {MOST_DESCRIBED} entries.")
    return arns


def _conflict(call: Call, why: str) -> AwsError:
    arn = call["serviceDeploymentArn"]
    return AwsError("ConflictException", f"The service deployment {arn} cannot be stopped: {why}.")
