"""Alarms of a deployment: watched beside it for as long as there is a way back, and one that is active stops it.

The watch is a run of its own with a step per alarm. Each is woken at the change of its alarm (the topic
cloudwatch.alarm/{region}/{name}), looks by DescribeAlarms, and asks the deployment to stop. After a crash it looks
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.aws import Aws
from turnout.codedeploy.lifecycle import TERMINATE_BLUE
from turnout.errors import AwsError, StepStopped
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Runs, Step, StepSpec
from turnout.store import Transaction

WATCH = "codedeploy.alarms"
MOST_ALARMS = 10
LOOK_AGAIN_S = 3600.0
"""The topic wakes the watch; this is for nothing but peace of mind."""

Document = dict[str, Any]


def check_alarms(given: Mapping[str, Any]) -> Document:
    """A complete AlarmConfiguration. Raises AwsError."""
    names = [alarm.get("name") for alarm in given.get("alarms") or ()]
    if None in names or len(set(names)) < len(names):
        message = "alarmConfiguration: each alarm must have a name, and be listed once."
        raise AwsError("InvalidAlarmConfigException", message)
    if len(names) > MOST_ALARMS:
        message = f"alarmConfiguration lists {len(names)} alarms; at most {MOST_ALARMS} are allowed."
        raise AwsError("AlarmsLimitExceededException", message)
    if given.get("enabled") and not names:
        raise AwsError("InvalidAlarmConfigException", "alarmConfiguration is enabled, but lists no alarms.")
    return {
        "enabled": bool(given.get("enabled")),
        "ignorePollAlarmFailure": bool(given.get("ignorePollAlarmFailure")),
        "alarms": [{"name": name} for name in names],
    }


def insert_watch(tx: Transaction, runs: Runs, deployment: Run) -> None:
    """Begin to watch, in the transaction that begins the deployment."""
    if names := deployment.spec.get("alarms"):
        steps = [StepSpec(name, 0) for name in names]
        runs.insert(tx, WATCH, deployment.region, deployment.name, {}, steps)


def end_watch(tx: Transaction, runs: Runs, deployment: Run) -> None:
    watch = runs.find(WATCH, deployment.region, deployment.name)
    if watch is not None and not watch.status.is_over:
        runs.request_stop(tx, watch.id)


class Alarms:
    """What the alarms of a deployment say now."""

    def __init__(self, aws: Aws, runs: Runs) -> None:
        self._aws = aws
        self._runs = runs

    async def problem(self, deployment: Run) -> tuple[str, list[Document]] | None:
        """(AWS's message, [{name, at, reason}]) if a deployment must not go on; None while all is well."""
        names: Sequence[str] = deployment.spec.get("alarms") or ()
        if not names:
            return None
        why = ""
        found: dict[str, Any] = {}
        try:
            answer = await self._aws.call("cloudwatch", "DescribeAlarms", deployment.region, AlarmNames=list(names))
            found = {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}
        except AwsError as error:
            why = f": {error.message}"
        active = [found[name] for name in names if name in found and found[name]["StateValue"] == "ALARM"]
        if active:
            message = (
                "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and"
                " the affected deployments have been stopped. Activated alarms:"
                f" {' '.join(alarm['AlarmName'] for alarm in active)}"
            )
            told = [
                {"name": a["AlarmName"], "at": a["StateTransitionedTimestamp"], "reason": a["StateReason"]}
                for a in active
            ]
            return message, told
        missing = [name for name in names if name not in found]
        if missing and not deployment.spec["ignores_poll_alarm_failure"]:
            message = (
                "The status of one or more alarms could not be retrieved from Amazon CloudWatch, and the affected"
                f" deployments have been stopped. Missing alarms: {' '.join(missing)}{why}"
            )
            now = self._runs.clock.now()
            return message, [{"name": name, "at": now, "reason": f"could not be retrieved{why}"} for name in missing]
        return None

    async def check_at_start(self, deployment: Run) -> None:
        """Raise StepStopped if an alarm is active already: then nothing has been created yet."""
        if (problem := await self.problem(deployment)) is not None:
            message, told = problem
            with self._runs.store.transaction() as tx:
                self._runs.remember(tx, deployment.id, alarmed=told)
            raise StepStopped("ALARM_ACTIVE", message)


class AlarmWatch(StraightPlan):
    """A step per alarm, under the alarm's name; they end with the deployment."""

    kind = WATCH

    def __init__(self, alarms: Alarms, runs: Runs, deployment_kind: str) -> None:
        self._alarms = alarms
        self._runs = runs
        self._deployment_kind = deployment_kind

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        if (deployment := self._stoppable(run)) is None:
            return Done()
        problem = await self._alarms.problem(deployment)
        if problem is None:
            return Wait(LOOK_AGAIN_S, "no alarm is active", on=f"cloudwatch.alarm/{run.region}/{step.name}")
        message, told = problem
        with self._runs.store.transaction() as tx:
            if self._stoppable(run) is not None:  # it may have ended while we asked
                self._runs.remember(tx, deployment.id, alarmed=told)
                self._runs.request_stop(
                    tx,
                    deployment.id,
                    code="ALARM_ACTIVE",
                    message=message,
                    rollback="DEPLOYMENT_STOP_ON_ALARM" in deployment.spec["rollback_events"],
                )
        return Done()

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self._runs.forget(tx, run.id)

    def _stoppable(self, run: Run) -> Run | None:
        """The deployment, while it runs, was not asked to stop, and blue is not being terminated."""
        deployment = self._runs.find(self._deployment_kind, run.region, run.name)
        if deployment is None or deployment.status.is_over or deployment.stop is not None:
            return None
        terminating = self._runs.find_step(deployment.id, TERMINATE_BLUE)
        return None if terminating is not None and terminating.started_at is not None else deployment
