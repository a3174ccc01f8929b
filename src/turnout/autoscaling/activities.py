"""Scaling activities: what was decided, why, and what became of it.

InProgress ──► Successful    so many tasks run
     ├───────► Overridden    another count was set meanwhile
     └───────► Failed        ECS refused it
"""

from __future__ import annotations

from turnout.autoscaling.deciding import Wish
from turnout.autoscaling.room import DIMENSION, Document, Room, is_ours, page
from turnout.aws import Answer, Call
from turnout.names import new_uuid
from turnout.store import Transaction

KEPT_S = 6 * 7 * 86_400.0
"""AWS keeps them for six weeks."""
OURS = ("to", "former", "isOut", "isSet")
WAITING = "Successfully set desired count to {to}. Waiting for change to be fulfilled by ecs."
FULFILLED = "Successfully set desired count to {to}. Change successfully fulfilled by ecs."


class Activities(Room):
    def describe_scaling_activities(self, call: Call) -> Answer:
        """Newest first; those that scaled nothing only if they are asked for."""
        if not is_ours(call):
            return self.others.call("application-autoscaling", call.operation, call.region, call.input)
        resource = call.get("ResourceId")
        found = self.activities.list(call.region, f"{resource}\t" if resource else "")
        if not call.get("IncludeNotScaledActivities"):
            found = [activity for activity in found if "NotScaledReasons" not in activity]
        found.sort(key=lambda activity: float(activity["StartTime"]), reverse=True)
        shown = [{member: value for member, value in one.items() if member not in OURS} for one in found]
        return page(call, "ScalingActivities", shown)


class Book:
    """The activities of one target."""

    def __init__(self, room: Room, region: str, resource: str) -> None:
        self._room = room
        self._region = region
        self._resource = resource

    def all(self) -> list[Document]:
        """Newest first."""
        found = self._room.activities.list(self._region, f"{self._resource}\t")
        return sorted(found, key=lambda activity: float(activity["StartTime"]), reverse=True)

    def last(self, *, is_out: bool | None = None) -> Document | None:
        """The newest that set a count."""
        for activity in self.all():
            if "NotScaledReasons" not in activity and is_out in (None, activity["isOut"]):
                return activity
        return None

    def begin(self, tx: Transaction, wish: Wish, former: int) -> Document:
        """The decision, before it is carried out."""
        now = self._room.clock.now()
        activity = self._activity(wish, now) | {
            "Description": f"Setting desired count to {wish.to}.",
            "StatusCode": "InProgress",
            "StatusMessage": WAITING.format(to=wish.to),
            "to": wish.to,
            "former": former,
            "isOut": wish.is_out,
            "isSet": False,
        }
        for old in self.all():
            if old["StartTime"] < now - KEPT_S:
                self._room.activities.delete(tx, self._region, _key(old))
            elif old["StatusCode"] == "InProgress":
                self.end(tx, old, "Overridden", f"Another desired count was set: {wish.to}.")
        self.put(tx, activity)
        return activity

    def note_unscaled(self, tx: Transaction, wish: Wish, code: str, current: int, limit: int) -> None:
        """Nothing to do: told once, until something else happens."""
        newest = next(iter(self.all()), None)
        if newest is not None and newest.get("NotScaledReasons", [{}])[0].get("Code") == code:
            return
        now = self._room.clock.now()
        name = "MaxCapacity" if code == "AlreadyAtMaxCapacity" else "MinCapacity"
        activity = self._activity(wish, now) | {
            "Description": "Attempting to scale due to alarm triggered",
            "EndTime": now,
            "StatusCode": "Unfulfilled",
            "StatusMessage": f"The desired count is {current} already, which is the {name} of the target.",
            "NotScaledReasons": [{"Code": code, name: limit, "CurrentCapacity": current}],
        }
        self.put(tx, activity)

    def end(self, tx: Transaction, activity: Document, status: str, message: str) -> None:
        self.put(tx, {**activity, "StatusCode": status, "StatusMessage": message, "EndTime": self._room.clock.now()})

    def put(self, tx: Transaction, activity: Document) -> None:
        self._room.activities.put(tx, self._region, _key(activity), activity)

    def _activity(self, wish: Wish, now: float) -> Document:
        return {
            "ActivityId": new_uuid(),
            "ServiceNamespace": "ecs",
            "ResourceId": self._resource,
            "ScalableDimension": DIMENSION,
            "Cause": f"monitor alarm {wish.alarm} in state ALARM triggered policy {wish.policy}",
            "StartTime": now,
        }


def _key(activity: Document) -> str:
    return f"{activity['ResourceId']}\t{activity['StartTime']:.6f}\t{activity['ActivityId']}"
