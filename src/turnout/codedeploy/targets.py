"""Deployment targets: an ECS deployment has one, its service. The lifecycle events are read here."""

from __future__ import annotations

from turnout.aws import Answer, Call
from turnout.codedeploy.colours import task_sets_info
from turnout.codedeploy.describing import describe_target, target_id_of, target_status_of
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.records import Document, deployment
from turnout.codedeploy.starting import KIND
from turnout.errors import AwsError, StepFailed
from turnout.runs import Run, Runs


class Targets:
    _runs: Runs
    _reach: Reach

    async def get_deployment_target(self, call: Call) -> Answer:
        run = deployment(self._runs, KIND, call.region, call["deploymentId"])
        return {"deploymentTarget": await self._describe_target(run, call["targetId"])}

    async def batch_get_deployment_targets(self, call: Call) -> Answer:
        run = deployment(self._runs, KIND, call.region, call["deploymentId"])
        if len(call["targetIds"]) > 25:
            message = "At most 25 targets can be asked for at once."
            raise AwsError("DeploymentTargetListSizeExceededException", message)
        return {"deploymentTargets": [await self._describe_target(run, target) for target in call["targetIds"]]}

    def list_deployment_targets(self, call: Call) -> Answer:
        run = deployment(self._runs, KIND, call.region, call["deploymentId"])
        filters = call.get("targetFilters") or {}
        if foreign := filters.keys() - {"TargetStatus"}:
            message = f"An ECS deployment cannot be filtered by {', '.join(sorted(foreign))}."
            raise AwsError("InvalidTargetFilterNameException", message)
        status = target_status_of(run, self._runs.steps(run.id))
        is_wanted = "TargetStatus" not in filters or status in filters["TargetStatus"]
        return {"targetIds": [target_id_of(run)] if is_wanted else []}

    async def _describe_target(self, run: Run, target_id: str) -> Document:
        if target_id != target_id_of(run):
            message = f"The deployment {run.name} has no target {target_id}; it has {target_id_of(run)}."
            raise AwsError("DeploymentTargetDoesNotExistException", message)
        return describe_target(run, self._runs.steps(run.id), await self._task_sets(run))

    async def _task_sets(self, run: Run) -> list[Document]:
        """As they are while the deployment runs, and as they were when it ended."""
        seen: list[Document] = run.facts.get("task_sets", [])
        if run.status.is_over or "blue" not in run.facts:
            return seen
        try:
            service = await self._reach.service(run.region, run.spec["cluster"], run.spec["service"])
            routes = await self._reach.routes(run.region, run.spec["listener_arn"])
        except StepFailed:  # the service or the listener has been deleted meanwhile
            return seen
        return task_sets_info(service, routes, run.facts)
