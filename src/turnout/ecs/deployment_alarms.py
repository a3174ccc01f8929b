"""The alarms of a deployment: watched beside it for as long as there is a way back; one that goes off ends it.

The watch is a run of kind "ecs.alarms" with a step per alarm. Each is woken at the change of its alarm (the topic
cloudwatch.alarm/{region}/{name}), looks by DescribeAlarms, and asks the deployment to stop. After a crash it looks
again. An alarm that is active when a deployment begins is the reason to deploy: then none is watched, as on AWS.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.ecs.deployment_health import ALARMED
from turnout.ecs.deployment_starting import is_cleaning_up
from turnout.ecs.deployment_steps import KIND, alarms_of
from turnout.ecs.room import Room
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Step, StepSpec
from turnout.store import Transaction

WATCHING = "ecs.alarms"
LOOK_AGAIN_S = 3600.0
"""The topic wakes the watch; this is for nothing but peace of mind."""


async def alarms_now(room: Room, region: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Those of the alarms that exist, in AWS's shape."""
    answer = await room.aws.call("cloudwatch", "DescribeAlarms", region, AlarmNames=list(names))
    return [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]


class DeploymentAlarms:
    def __init__(self, room: Room) -> None:
        self._room = room

    async def ensure_watched(self, run: Run, step: Step) -> Done:
        """The first step of a deployment with alarms: they are watched from here on, or ignored."""
        room, names = self._room, alarms_of(run.spec["configuration"])
        found = await alarms_now(room, run.region, names)
        active = [alarm["AlarmName"] for alarm in found if alarm["StateValue"] == "ALARM"]
        bake_s = max((alarm.get("Period", 60) * alarm.get("EvaluationPeriods", 1) for alarm in found), default=0)
        with room.store.transaction() as tx:
            room.runs.remember(tx, run.id, alarms={"ignored": active, "bake_s": float(bake_s)})
            if not active and room.runs.find(WATCHING, run.region, run.name) is None:
                steps = [StepSpec(name, 0) for name in names]
                room.runs.insert(tx, WATCHING, run.region, run.name, {}, steps, lane=run.lane)
        return Done()

    def bake_s(self, run: Run) -> float:
        """How long a rolling update is watched once it is through: as long as its slowest alarm takes to go off."""
        known = self._room.runs.get(run.id).facts["alarms"]
        return 0.0 if known["ignored"] else float(known["bake_s"])

    def end_watch(self, tx: Transaction, run: Run) -> None:
        watch = self._room.runs.find(WATCHING, run.region, run.name)
        if watch is not None and not watch.status.is_over:
            self._room.runs.request_stop(tx, watch.id)


class AlarmWatch(StraightPlan):
    """A step per alarm, under the alarm's name; they end with the deployment."""

    kind = WATCHING

    def __init__(self, room: Room) -> None:
        self._room = room

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        if self._stoppable(run) is None:
            return Done()
        found = await alarms_now(self._room, run.region, [step.name])
        if not any(alarm["StateValue"] == "ALARM" for alarm in found):
            said = "the alarm is not active" if found else "there is no such alarm"
            return Wait(LOOK_AGAIN_S, said, on=f"cloudwatch.alarm/{run.region}/{step.name}")
        with self._room.store.transaction() as tx:
            if (deployment := self._stoppable(run)) is not None:  # it may have ended while we asked
                message = f"ECS deployment failed: alarm detected. Alarm {step.name}: {found[0]['StateReason']}"
                self._room.runs.request_stop(tx, deployment.id, code=ALARMED, message=message, alarm=step.name)
        return Done()

    def _stoppable(self, run: Run) -> Run | None:
        """The deployment, while it runs, was not asked to stop, and its source is not being stopped."""
        found = self._room.runs.find(KIND, run.region, run.name)
        if found is None or found.status.is_over or found.stop is not None or is_cleaning_up(self._room, found):
            return None
        return found

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self._room.runs.forget(tx, run.id)


def describe_alarms(run: Run) -> Mapping[str, Any]:
    """ServiceDeploymentAlarms."""
    names = alarms_of(run.spec["configuration"])
    if not names or run.facts.get("alarms", {}).get("ignored"):
        return {"status": "DISABLED"}
    if (run.stop or {}).get("code") == ALARMED and run.stop is not None:
        return {"status": "TRIGGERED", "alarmNames": names, "triggeredAlarmNames": [run.stop["alarm"]]}
    return {"status": "MONITORING_COMPLETE" if run.status.is_over else "MONITORING", "alarmNames": names}
