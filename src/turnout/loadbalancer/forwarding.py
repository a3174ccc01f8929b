"""What every change of a rule brings about: forwards, weights with their time, the health of who joins, the proxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.errors import AwsError
from turnout.loadbalancer.records import Document, forward_weights
from turnout.loadbalancer.room import Room
from turnout.store import Transaction


class Forwarding(Room):
    """Shared by listeners and rules."""

    def check_groups(self, region: str, balancer_arn: str, actions: Sequence[Mapping[str, Any]]) -> None:
        """Raise unless every target group exists and belongs to no other load balancer."""
        for group_arn in forward_weights(actions):
            self.records.group(region, group_arn)
            if others := [arn for arn in self.records.balancers_of(group_arn) if arn != balancer_arn]:
                raise AwsError(
                    "TargetGroupAssociationLimit",
                    "The following target groups cannot be associated with more than one load balancer:"
                    f" {group_arn} (it is associated with {others[0]})",
                )

    async def before_rise(self, rule_arn: str, actions: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """What the groups have answered that these actions would raise from nothing: asked before the commit."""
        was = self.records.weights_of(rule_arn)
        now = forward_weights(actions)
        return await self.rises.before([arn for arn, weight in now.items() if was and weight and not was.get(arn)])

    def put_forwarding(
        self,
        tx: Transaction,
        region: str,
        listener_arn: str,
        rule: Document,
        before: Mapping[str, int] | None = None,
    ) -> None:
        """Keep a rule, and whatever follows from it. `before`: see `before_rise`."""
        was = self.records.weights_of(rule["RuleArn"])
        now = forward_weights(rule["Actions"])
        joining = [group_arn for group_arn in now if not self.records.balancers_of(group_arn)]
        self.records.put_rule(tx, region, listener_arn, rule)
        for group_arn in joining:
            # From now on they are checked: what was known of them is old.
            tx.execute(
                "UPDATE elbv2_targets SET state = 'initial', reason = NULL, description = NULL"
                " WHERE target_group_arn = ?",
                (group_arn,),
            )
        leaving = [group_arn for group_arn in was if not self.records.balancers_of(group_arn)]
        for group_arn in (*joining, *leaving):
            self.wake(tx, region, group_arn)
        self.tell(tx, listeners=(listener_arn,), groups=(*joining, *leaving))
        if before:
            row = tx.execute(
                "SELECT max(id) AS id FROM elbv2_weights WHERE rule_arn = ?", (rule["RuleArn"],)
            ).fetchone()
            for group_arn, completed in before.items():
                self.rises.expect(tx, row["id"], group_arn, completed)

    def forget_forwarding(self, tx: Transaction, region: str, listener_arn: str, rules: Sequence[Document]) -> None:
        """Delete rules, and whatever follows from that."""
        groups = {group_arn for rule in rules for group_arn in forward_weights(rule["Actions"])}
        for rule in rules:
            self.records.delete_rule(tx, region, listener_arn, rule)
        for group_arn in groups:
            self.wake(tx, region, group_arn)
        self.tell(tx, listeners=(listener_arn,), groups=tuple(groups))
