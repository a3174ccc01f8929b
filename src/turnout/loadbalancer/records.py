"""The room's memory: documents in AWS's shape by ARN, and the tables derived from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnout.aws import Answer, Call
from turnout.clock import Clock
from turnout.errors import AwsError
from turnout.names import new_hex, resource_of
from turnout.store import Shelf, Store, Transaction

Document = dict[str, Any]


class Records:
    """Load balancers, listeners, rules, target groups: kept under their ARNs, listed in the order of their creation."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.balancers = Shelf(store, "elbv2.load-balancer")
        self.listeners = Shelf(store, "elbv2.listener")
        self.rules = Shelf(store, "elbv2.rule")
        self.groups = Shelf(store, "elbv2.target-group")
        self.attributes = Shelf(store, "elbv2.attributes")
        self.tags = Shelf(store, "elbv2.tags")
        self.goodbyes = Shelf(store, "elbv2.goodbyes")
        self.certificates = Shelf(store, "elbv2.certificates")
        """Of listeners, beside their default ones."""

    # One

    def balancer(self, region: str, arn: str) -> Document:
        return self._one(self.balancers, region, arn, "LoadBalancerNotFound", f"Load balancer '{arn}' not found")

    def listener(self, region: str, arn: str) -> Document:
        return self._one(self.listeners, region, arn, "ListenerNotFound", f"Listener '{arn}' not found")

    def rule(self, region: str, arn: str) -> Document:
        return self._one(self.rules, region, arn, "RuleNotFound", f"Rule '{arn}' not found")

    def group(self, region: str, arn: str) -> Document:
        return self._one(self.groups, region, arn, "TargetGroupNotFound", f"Target group '{arn}' not found")

    def _one(self, shelf: Shelf, region: str, arn: str, code: str, message: str) -> Document:
        found = shelf.find(region, arn)
        if found is None:
            raise AwsError(code, message)
        return found

    # Many

    def listeners_of(self, region: str, balancer_arn: str) -> list[Document]:
        return self.listeners.list(region, child_prefix(balancer_arn, "loadbalancer", "listener"))

    def rules_of(self, region: str, listener_arn: str) -> list[Document]:
        """In the order in which they are tried; the default rule is the last."""
        rules = self.rules.list(region, child_prefix(listener_arn, "listener", "listener-rule"))
        return sorted(rules, key=rule_order)

    def groups_of(self, region: str, balancer_arn: str) -> list[str]:
        """The ARNs of the target groups that a load balancer leads to."""
        prefix = child_prefix(balancer_arn, "loadbalancer", "listener")
        rows = self.store.all(
            "SELECT DISTINCT target_group_arn AS arn FROM elbv2_forwards"
            " WHERE listener_arn >= ? AND listener_arn < ? ORDER BY 1",
            (prefix, prefix + "\U0010ffff"),
        )
        return [row["arn"] for row in rows]

    def balancers_of(self, group_arn: str) -> list[str]:
        """The ARNs of the load balancers that lead to a target group."""
        rows = self.store.all(
            "SELECT DISTINCT listener_arn FROM elbv2_forwards WHERE target_group_arn = ?", (group_arn,)
        )
        return sorted({balancer_of(row["listener_arn"]) for row in rows})

    def weights_of(self, rule_arn: str) -> dict[str, int]:
        """Target group ARN → weight of what a rule forwards to."""
        rows = self.store.all("SELECT * FROM elbv2_forwards WHERE rule_arn = ?", (rule_arn,))
        return {row["target_group_arn"]: row["weight"] for row in rows}

    # Writing

    def put_rule(self, tx: Transaction, region: str, listener_arn: str, rule: Document) -> None:
        """Keep a rule; its forwards follow, and a change of weights is recorded with its time."""
        arn = rule["RuleArn"]
        self.rules.put(tx, region, arn, rule)
        was, now = self.weights_of(arn), forward_weights(rule["Actions"])
        if was != now:
            tx.execute("DELETE FROM elbv2_forwards WHERE rule_arn = ?", (arn,))
            for group_arn, weight in now.items():
                tx.execute(
                    "INSERT INTO elbv2_forwards VALUES (?, ?, ?, ?, ?)", (region, listener_arn, arn, group_arn, weight)
                )
            self._record_weights(tx, region, listener_arn, arn, now)

    def delete_rule(self, tx: Transaction, region: str, listener_arn: str, rule: Document) -> None:
        arn = rule["RuleArn"]
        self.rules.delete(tx, region, arn)
        self.tags.delete(tx, region, arn)
        if self.weights_of(arn):
            tx.execute("DELETE FROM elbv2_forwards WHERE rule_arn = ?", (arn,))
            self._record_weights(tx, region, listener_arn, arn, {})

    def delete_listener(self, tx: Transaction, region: str, listener_arn: str) -> None:
        for rule in self.rules_of(region, listener_arn):
            self.delete_rule(tx, region, listener_arn, rule)
        for shelf in (self.listeners, self.attributes, self.tags, self.goodbyes, self.certificates):
            shelf.delete(tx, region, listener_arn)

    def _record_weights(
        self, tx: Transaction, region: str, listener_arn: str, rule_arn: str, weights: Mapping[str, int]
    ) -> None:
        tx.execute(
            "INSERT INTO elbv2_weights (region, listener_arn, rule_arn, at, weights) VALUES (?, ?, ?, ?, ?)",
            (region, listener_arn, rule_arn, self.clock.now(), json.dumps(weights)),
        )


def forward_weights(actions: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Target group ARN → weight of the forward action among these, if there is one."""
    for action in actions:
        if action["Type"] == "forward":
            return {group["TargetGroupArn"]: group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]}
    return {}


def rule_order(rule: Mapping[str, Any]) -> int:
    return 1 << 20 if rule["IsDefault"] else int(rule["Priority"])


def child_prefix(arn: str, parent: str, child: str) -> str:
    """What the ARNs of an ARN's children begin with: loadbalancer/app/web/1 → listener/app/web/1/"""
    return arn.replace(f":{parent}/", f":{child}/", 1) + "/"


def child_arn(arn: str, parent: str, child: str) -> str:
    """A new ARN below another."""
    return child_prefix(arn, parent, child) + new_hex(16)


def balancer_of(listener_arn: str) -> str:
    """The ARN of the load balancer that a listener belongs to."""
    return listener_arn.replace(":listener/", ":loadbalancer/", 1).rpartition("/")[0]


def listener_of(rule_arn: str) -> str:
    """The ARN of the listener that a rule belongs to."""
    return rule_arn.replace(":listener-rule/", ":listener/", 1).rpartition("/")[0]


def served_by(listener: Mapping[str, Any], more: Iterable[str]) -> list[str]:
    """The ARNs of a listener's certificates, the default one first; `more` are those that were added."""
    default = [certificate["CertificateArn"] for certificate in listener.get("Certificates", ())]
    return list(dict.fromkeys([*default, *more])) if default else []


def kind_of(arn: str) -> str:
    """loadbalancer, listener, listener-rule or targetgroup."""
    return resource_of(arn).partition("/")[0] if arn.count(":") >= 5 else ""


def page(call: Call, member: str, items: Iterable[Document], size: int = 400) -> Answer:
    """One page of an answer, and the marker of the next."""
    everything = list(items)
    try:
        start = int(call.get("Marker") or 0)
    except ValueError:
        raise AwsError("ValidationError", "The specified marker is not valid") from None
    end = start + (call.get("PageSize") or size)
    answer: Answer = {member: everything[start:end]}
    if end < len(everything):
        answer["NextMarker"] = str(end)
    return answer
