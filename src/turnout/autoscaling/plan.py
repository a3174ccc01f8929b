"""What a scalable target does by itself, as a run for as long as there is it.

Step Scale: its policies' alarms are as they should be; what was decided has been carried out; and while an alarm is in
ALARM, a desired count is decided, written down, and set by UpdateService. After a crash between the last two the
activity says that it was not set, and it is set then.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.autoscaling.activities import FULFILLED, Book
from turnout.autoscaling.deciding import DEFAULT_COOLDOWN_S, Capacity, Wish, choose, stepped, tracked, within
from turnout.autoscaling.live import is_deploying
from turnout.autoscaling.readings import Readings
from turnout.autoscaling.room import TARGET, Document, target_topic
from turnout.autoscaling.targets import Targets
from turnout.autoscaling.tracking import is_high
from turnout.errors import AwsError
from turnout.hindrances import hindrance
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Step
from turnout.store import Transaction

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 60.0
"""As CloudWatch invokes a scaling policy again each minute while its alarm stays."""
FULFILLED_LOOK_S = 5.0


class TargetPlan(StraightPlan):
    kind = TARGET

    def __init__(self, room: Targets) -> None:
        self._room = room
        self._readings = Readings(room.aws, room.clock)

    def stands(self, step: Step) -> bool:
        return True

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        try:
            return await self._scale(run, step)
        except Exception as error:
            if hindrance(error) is not None:
                raise
            # Whatever it was: a step that ends would leave the service as it is for good, and nobody would be told.
            log.exception("scaling %s", run.spec["resource"])
            topic, pause_s = target_topic(run.region, run.spec["resource"]), self._room.clock.scaled_s(LOOK_AGAIN_S)
            return Wait(pause_s, f"trying again after {type(error).__name__}: {error}", on=topic)

    async def _scale(self, run: Run, step: Step) -> Done | Wait:
        room, region, resource = self._room, run.region, run.spec["resource"]
        service = await room.service(region, resource)
        if room.targets.find(region, resource) is None or service is None:
            # ECS takes a service that is deleted off the list.
            await room.forget(region, resource)
            return Done()
        await room.ensure_alarms(region, resource, service)
        book = Book(room, region, resource)
        await self._follow(book, region, resource, service, step)
        target = room.targets.find(region, resource)
        if target is not None and (wish := await self._wish(book, region, target, service)) is not None:
            with room.store.transaction() as tx:
                activity = book.begin(tx, wish, int(service["desiredCount"]))
            await self._set(book, region, resource, activity, step)
        last = book.last()
        is_going = last is not None and last["StatusCode"] == "InProgress"
        pause_s = room.clock.scaled_s(FULFILLED_LOOK_S if is_going else LOOK_AGAIN_S)
        return Wait(pause_s, "for an alarm of a policy", on=target_topic(region, resource))

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self._room.runs.forget(tx, run.id)

    async def _follow(self, book: Book, region: str, resource: str, service: Document, step: Step) -> None:
        """What became of the last activity."""
        last = book.last()
        if last is None or last["StatusCode"] != "InProgress":
            return
        if not last["isSet"]:
            await self._set(book, region, resource, last, step)
            return
        status = None
        if service["desiredCount"] != last["to"]:
            status, message = "Overridden", f"Another desired count was set: {service['desiredCount']}."
        elif (running := _serving(service)) == last["to"] or (last["isOut"] and running > last["to"]):
            status, message = "Successful", FULFILLED.format(to=last["to"])
        if status is not None:
            with self._room.store.transaction() as tx:
                book.end(tx, last, status, message)

    async def _set(self, book: Book, region: str, resource: str, activity: Document, step: Step) -> None:
        _, cluster, name = resource.split("/")
        cause = f"step:{step.id}/{activity['ActivityId']}"
        try:
            await self._room.aws.call(
                "ecs", "UpdateService", region, cause=cause, cluster=cluster, service=name, desiredCount=activity["to"]
            )
        except AwsError as error:
            with self._room.store.transaction() as tx:
                message = f"Failed to set desired count to {activity['to']}: {error.message}"
                book.end(tx, {**activity, "isSet": True}, "Failed", message)
            return
        with self._room.store.transaction() as tx:
            book.put(tx, {**activity, "isSet": True})

    # Deciding

    async def _wish(self, book: Book, region: str, target: Document, service: Document) -> Wish | None:
        room, suspended = self._room, target["SuspendedState"]
        capacity = Capacity(
            int(service["desiredCount"]),
            int(service["runningCount"]),
            int(target["MinCapacity"]),
            int(target["MaxCapacity"]),
        )
        wishes: list[Wish] = []
        holding_back: set[str] = set()
        for policy in room.policies_of(region, target["ResourceId"]):
            found = await self._wanted(book, region, policy, capacity)
            tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
            if tracking and not tracking.get("DisableScaleIn") and not any(not wish.is_out for wish in found):
                holding_back.add(policy["PolicyName"])
            for wish in found:
                if suspended["DynamicScalingOutSuspended" if wish.is_out else "DynamicScalingInSuspended"]:
                    continue
                # Scaling in is turned off while a deployment is in progress, scaling out is not.
                # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-autoscaling-targettracking.html
                if not wish.is_out and is_deploying(service):
                    continue
                wishes.append(wish)
        chosen = choose(wishes, holding_back)
        return chosen and self._allowed(book, region, target["ResourceId"], chosen, capacity)

    async def _wanted(self, book: Book, region: str, policy: Document, capacity: Capacity) -> list[Wish]:
        """What the alarms of a policy that are in ALARM ask for, before any limit."""
        wishes = []
        for alarm in await self._readings.alarms(region, policy):
            if (newest := await self._readings.newest(region, alarm)) is None:
                continue
            value, since = newest
            name = (alarm["AlarmName"], policy["PolicyName"])
            if (tracking := policy.get("TargetTrackingScalingPolicyConfiguration")) is not None:
                is_out = is_high(alarm["AlarmName"])
                base = _base(book, capacity, since) if is_out else capacity.base
                wishes.append(Wish(tracked(base, value, float(tracking["TargetValue"])), is_out, *name))
            else:
                steps = policy["StepScalingPolicyConfiguration"]
                # What the last step has added counts as a part of this one while its cooldown lasts.
                cooldown_s = self._room.clock.scaled_s(_cooldown_s(policy, is_out=True))
                base = _base(book, capacity, self._room.clock.now() - cooldown_s)
                wanted = stepped(base, value - float(alarm["Threshold"]), steps)
                if wanted is not None and wanted != base:
                    wishes.append(Wish(wanted, wanted > base, *name))
        return wishes

    def _allowed(self, book: Book, region: str, resource: str, wish: Wish, capacity: Capacity) -> Wish | None:
        """Within the limits, and past the cooldown."""
        to = within(wish.to, capacity, is_out=wish.is_out)
        if to is None:
            limit = capacity.maximum if wish.is_out else capacity.minimum
            if capacity.desired == limit and (wish.to > limit if wish.is_out else wish.to < limit):
                code = "AlreadyAtMaxCapacity" if wish.is_out else "AlreadyAtMinCapacity"
                with self._room.store.transaction() as tx:
                    book.note_unscaled(tx, wish, code, capacity.desired, limit)
            return None
        last = book.last(is_out=wish.is_out)
        policy = self._room.policies.find(region, f"{resource}\t{wish.policy}")
        if last is not None and policy is not None:
            cooldown_s = self._room.clock.scaled_s(_cooldown_s(policy, is_out=wish.is_out))
            left_s = float(last.get("EndTime") or last["StartTime"]) + cooldown_s - self._room.clock.now()
            if left_s > 0 and not (wish.is_out and to > last["to"]):
                return None
        return Wish(to, wish.is_out, wish.alarm, wish.policy)


def _base(book: Book, capacity: Capacity, since: float) -> int:
    """The tasks that the next count is computed from: without what a scale-out has added since then."""
    last = book.last(is_out=True)
    if last is not None and float(last.get("EndTime") or last["StartTime"]) > since:
        return min(capacity.base, int(last["former"]))
    return capacity.base


def _cooldown_s(policy: Mapping[str, Any], *, is_out: bool) -> float:
    steps = policy.get("StepScalingPolicyConfiguration")
    if steps is not None:
        return float(steps.get("Cooldown", DEFAULT_COOLDOWN_S))
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    return float(tracking.get("ScaleOutCooldown" if is_out else "ScaleInCooldown", DEFAULT_COOLDOWN_S))


def _serving(service: Document) -> int:
    """The tasks that run of what is PRIMARY: a deployment has others besides."""
    sets = service.get("taskSets") or service.get("deployments") or []
    return sum(int(one["runningCount"]) for one in sets if one["status"] == "PRIMARY")
