"""PutLifecycleEventHookExecutionStatus: a Lambda function says what its validation came to."""

from __future__ import annotations

from turnout.aws import Answer, Call
from turnout.codedeploy.appspec import HOOKABLE
from turnout.codedeploy.hooks.plan import KIND, VERDICT
from turnout.codedeploy.lifecycle import is_rollback
from turnout.codedeploy.records import deployment
from turnout.codedeploy.starting import KIND as DEPLOYMENT
from turnout.errors import AwsError
from turnout.hookfile import LAMBDA
from turnout.runs import Run, Runs

VERDICTS = ("Succeeded", "Failed")


class HookStatus:
    _runs: Runs

    def put_lifecycle_event_hook_execution_status(self, call: Call) -> Answer:
        """The first verdict counts."""
        if call.get("deploymentId") is None:
            raise AwsError("DeploymentIdRequiredException", "deploymentId is required.")
        found = deployment(self._runs, DEPLOYMENT, call.region, call["deploymentId"])
        status, execution_id = call.get("status"), call.get("lifecycleEventHookExecutionId")
        if status not in VERDICTS:
            raise AwsError(
                "InvalidLifecycleEventHookExecutionStatusException",
                f"The status of a hook can be set to Succeeded or Failed, not {status}.",
            )
        if is_rollback(found.spec):
            message = f"{found.name} rolls back {found.spec['rolls_back']}: a rollback runs no hooks."
            raise AwsError("UnsupportedActionForDeploymentTypeException", message)
        hook = self._hook(found, execution_id)
        if hook.spec["hook"]["kind"] != LAMBDA:
            raise AwsError(
                "UnsupportedActionForDeploymentTypeException",
                f"{hook.spec['hook']['name']} at {hook.spec['event']} is no Lambda function here, but what"
                f" {hook.spec['hook']['where']} says: its own end decides.",
            )
        with self._runs.store.transaction() as tx:
            verdict = self._runs.find_step(hook.id, VERDICT)
            if verdict is None or verdict.status.is_over or verdict.answer is not None or hook.stop is not None:
                raise AwsError(
                    "LifecycleEventAlreadyCompletedException",
                    f"The lifecycle event {hook.spec['event']} of {found.name} is already completed.",
                )
            self._runs.signal(tx, verdict.id, {"status": status, "at": self._runs.clock.now()})
        return {"lifecycleEventHookExecutionId": execution_id}

    def _hook(self, found: Run, execution_id: str | None) -> Run:
        for event in HOOKABLE:
            hook = self._runs.find(KIND, found.region, f"{found.name}/{event}")
            if hook is not None and execution_id is not None and hook.spec["execution_id"] == execution_id:
                return hook
        raise AwsError(
            "InvalidLifecycleEventHookExecutionIdException",
            f"No hook of the deployment {found.name} has the lifecycleEventHookExecutionId {execution_id}.",
        )
