"""Targets: registered, checked, drained, gone.

    registering ──► listed ──► draining ──► gone
         ▲             │           │
         └─────────────┴───────────┘  registered again

`registering` until the port accepts connections (at most one interval of the check): so the first check meets an
application that listens. `listed`: Envoy knows the target, and its checks decide. `draining`: Envoy has forgotten it,
so no new request goes there, and what is in flight goes on; shown for the whole deregistration delay, as ELB does.
Each change of a state wakes the topic elbv2.health/<region>/<target group ARN>.
"""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.loadbalancer.mirror import host_of, region_of
from turnout.loadbalancer.plans import DEREGISTRATION, REGISTRATION
from turnout.loadbalancer.proxy import Health
from turnout.loadbalancer.records import Document
from turnout.loadbalancer.room import Room
from turnout.names import new_uuid
from turnout.runs import StepSpec
from turnout.store import Transaction


class Targets(Room):
    """RegisterTargets, DeregisterTargets, DescribeTargetHealth."""

    def register_targets(self, call: Call) -> Answer:
        group = self.records.group(call.region, call["TargetGroupArn"])
        targets = [_target(target, group) for target in call["Targets"]]
        for target_id, _, _ in targets:
            _check_id(target_id, group["TargetType"])
        arn, now = group["TargetGroupArn"], self.clock.now()
        with self.store.transaction() as tx:
            for target_id, port, zone in targets:
                row = self._find(arn, target_id, port)
                if row is not None and row["stage"] != "draining":
                    continue
                row_id = tx.execute(
                    "INSERT INTO elbv2_targets (region, target_group_arn, target_id, port, zone, stage, state,"
                    " registered_at) VALUES (?, ?, ?, ?, ?, 'registering', 'initial', ?)"
                    " ON CONFLICT (target_group_arn, target_id, port) DO UPDATE SET stage = 'registering',"
                    " state = 'initial', reason = NULL, description = NULL, registered_at = excluded.registered_at,"
                    " drained_at = NULL RETURNING id",
                    (call.region, arn, target_id, port, zone, now),
                ).fetchone()["id"]
                self._insert_run(tx, REGISTRATION, "Register", arn, row_id)
            self.wake(tx, call.region, arn)
        return {}

    def deregister_targets(self, call: Call) -> Answer:
        group = self.records.group(call.region, call["TargetGroupArn"])
        arn = group["TargetGroupArn"]
        delay_s = int(self.attributes_of(call.region, arn)["deregistration_delay.timeout_seconds"])
        drained_at = self.clock.now() + self.clock.scaled_s(delay_s)
        with self.store.transaction() as tx:
            for target in call["Targets"]:
                for row in self._meant(arn, target, group):
                    if row["stage"] == "draining":
                        continue
                    tx.execute(
                        "UPDATE elbv2_targets SET stage = 'draining', drained_at = ? WHERE id = ?",
                        (drained_at, row["id"]),
                    )
                    self._insert_run(tx, DEREGISTRATION, "Drain", arn, row["id"])
            self.tell(tx, groups=(arn,))
            self.wake(tx, call.region, arn)
        return {}

    def describe_target_health(self, call: Call) -> Answer:
        group = self.records.group(call.region, call["TargetGroupArn"])
        arn = group["TargetGroupArn"]
        is_used = bool(self.records.balancers_of(arn))
        if not call.get("Targets"):
            rows = self.store.all("SELECT * FROM elbv2_targets WHERE target_group_arn = ? ORDER BY id", (arn,))
            return {"TargetHealthDescriptions": [_described(row, group, is_used) for row in rows]}
        descriptions = []
        for target in call["Targets"]:
            if found := self._meant(arn, target, group):
                descriptions += [_described(row, group, is_used) for row in found]
            else:
                target_id, port, _ = _target(target, group)
                health = {
                    "State": "unused",
                    "Reason": "Target.NotRegistered",
                    "Description": "Target is not registered to the target group",
                }
                descriptions.append({"Target": {"Id": target_id, "Port": port}, "TargetHealth": health})
        return {"TargetHealthDescriptions": descriptions}

    def take_in(self, healths: Sequence[Health]) -> None:
        """Take in what the proxy's checks say. Nothing is written unless a state has changed."""
        news: list[tuple[sqlite3.Row, Health]] = []
        for health in healths:
            arn = self.mirror.arns.get(health.group)
            for row in self._listed_at(arn, health.address) if arn else []:
                if health.state == "initial" and row["state"] != "initial":
                    continue  # an Envoy that was started again has yet to find out what we know
                if (row["state"], row["reason"], row["description"]) != (
                    health.state,
                    health.reason,
                    health.description,
                ):
                    news.append((row, health))
        if not news:
            return
        with self.store.transaction() as tx:
            for row, health in news:
                tx.execute(
                    "UPDATE elbv2_targets SET state = ?, reason = ?, description = ? WHERE id = ?",
                    (health.state, health.reason, health.description, row["id"]),
                )
                self.wake(tx, row["region"], row["target_group_arn"])

    def _listed_at(self, arn: str, address: str) -> list[sqlite3.Row]:
        host, _, port = address.rpartition(":")
        rows = self.store.all(
            "SELECT * FROM elbv2_targets WHERE target_group_arn = ? AND port = ? AND stage = 'listed'", (arn, int(port))
        )
        return [row for row in rows if host_of(row["target_id"]) == host]

    def _find(self, arn: str, target_id: str, port: int) -> sqlite3.Row | None:
        return self.store.one(
            "SELECT * FROM elbv2_targets WHERE target_group_arn = ? AND target_id = ? AND port = ?",
            (arn, target_id, port),
        )

    def _meant(self, arn: str, target: Mapping[str, Any], group: Document) -> list[sqlite3.Row]:
        """The rows that a description means; without a port, every port of that target."""
        if "Port" in target:
            row = self._find(arn, target["Id"], target["Port"])
            return [row] if row else []
        return self.store.all(
            "SELECT * FROM elbv2_targets WHERE target_group_arn = ? AND target_id = ? ORDER BY id", (arn, target["Id"])
        )

    def _insert_run(self, tx: Transaction, kind: str, step: str, arn: str, row_id: int) -> None:
        steps = [StepSpec(step, 1)]
        self.runs.insert(tx, kind, region_of(arn), new_uuid(), {"target": row_id, "group": arn}, steps, lane=arn)


def _target(target: Mapping[str, Any], group: Document) -> tuple[str, int, str | None]:
    return target["Id"], target.get("Port") or group["Port"], target.get("AvailabilityZone")


def _check_id(target_id: str, kind: str) -> None:
    if kind == "instance":
        if not target_id.startswith("i-"):
            raise AwsError(
                "InvalidTarget", f"The target '{target_id}' is not an instance id, as this group's type asks for"
            )
        return
    try:
        address = ipaddress.ip_address(target_id)
    except ValueError:
        raise AwsError("ValidationError", f"The IP address '{target_id}' is not a valid IPv4 address") from None
    if address.version != 4:
        raise AwsError("ValidationError", f"The IP address '{target_id}' is not a valid IPv4 address")


REGISTERING = ("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING = ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
DRAINING = ("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
NOT_IN_USE = (
    "unused",
    "Target.NotInUse",
    "Target group is not configured to receive traffic from the load balancer",
)


def _described(row: sqlite3.Row, group: Document, is_used: bool) -> Document:
    if row["stage"] == "draining":
        state, reason, description = DRAINING
    elif not is_used:
        state, reason, description = NOT_IN_USE
    elif row["stage"] == "registering":
        state, reason, description = REGISTERING
    elif row["state"] == "initial":
        state, reason, description = CHECKING
    else:
        state, reason, description = row["state"], row["reason"], row["description"]
    health = {"State": state, "Reason": reason, "Description": description}
    target = {"Id": row["target_id"], "Port": row["port"], "AvailabilityZone": row["zone"]}
    check_port = group["HealthCheckPort"]
    return {
        "Target": {member: value for member, value in target.items() if value is not None},
        "HealthCheckPort": str(row["port"]) if check_port == "traffic-port" else check_port,
        "TargetHealth": {member: value for member, value in health.items() if value is not None},
    }
