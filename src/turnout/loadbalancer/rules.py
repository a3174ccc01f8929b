"""Rules of listeners, by priority."""

from __future__ import annotations

from collections import Counter

from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.loadbalancer.actions import normal_actions
from turnout.loadbalancer.conditions import normal_conditions
from turnout.loadbalancer.forwarding import Forwarding
from turnout.loadbalancer.records import Document, balancer_of, child_arn, listener_of, page
from turnout.loadbalancer.tags import merged


class Rules(Forwarding):
    """CreateRule and what follows from it."""

    def create_rule(self, call: Call) -> Answer:
        listener_arn, priority = call["ListenerArn"], call["Priority"]
        self.records.listener(call.region, listener_arn)
        _refuse_transforms(call)
        conditions, actions = normal_conditions(call["Conditions"]), normal_actions(call["Actions"])
        if not conditions:
            raise AwsError("ValidationError", "A rule must have at least one condition")
        _check_priority(priority)
        self.check_groups(call.region, balancer_of(listener_arn), actions)
        with self.store.transaction() as tx:
            if self._with_priority(call.region, listener_arn, priority) is not None:
                raise AwsError("PriorityInUse", f"Priority '{priority}' is currently in use")
            rule: Document = {
                "RuleArn": child_arn(listener_arn, "listener", "listener-rule"),
                "Priority": str(priority),
                "Conditions": conditions,
                "Actions": actions,
                "IsDefault": False,
            }
            self.put_forwarding(tx, call.region, listener_arn, rule)
            if tags := merged(rule["RuleArn"], {}, call.get("Tags") or []):
                self.records.tags.put(tx, call.region, rule["RuleArn"], tags)
        return {"Rules": [rule]}

    def describe_rules(self, call: Call) -> Answer:
        if call.get("RuleArns") and call.get("ListenerArn"):
            raise AwsError(
                "ValidationError", "Listener rule ARNs and a listener ARN cannot be specified at the same time"
            )
        if arns := call.get("RuleArns"):
            found = [self.records.rule(call.region, arn) for arn in arns]
        elif listener_arn := call.get("ListenerArn"):
            self.records.listener(call.region, listener_arn)
            found = self.records.rules_of(call.region, listener_arn)
        else:
            raise AwsError("ValidationError", "You must specify either listener rule ARNs or a listener ARN")
        return page(call, "Rules", found)

    async def modify_rule(self, call: Call) -> Answer:
        """What is not given stays; conditions and actions are replaced as a whole."""
        _refuse_transforms(call)
        self.records.rule(call.region, call["RuleArn"])
        if not call.get("Conditions") and not call.get("Actions"):
            raise AwsError("ValidationError", "Either conditions or actions must be specified")
        actions = normal_actions(call["Actions"]) if call.get("Actions") else None
        before = await self.before_rise(call["RuleArn"], actions or [])
        rule = self.records.rule(call.region, call["RuleArn"])
        _refuse_default(rule, "modified")
        listener_arn = listener_of(rule["RuleArn"])
        modified = dict(rule)
        if call.get("Conditions"):
            modified["Conditions"] = normal_conditions(call["Conditions"])
        if actions:
            modified["Actions"] = actions
            self.check_groups(call.region, balancer_of(listener_arn), modified["Actions"])
        with self.store.transaction() as tx:
            self.put_forwarding(tx, call.region, listener_arn, modified, before)
        return {"Rules": [modified]}

    def delete_rule(self, call: Call) -> Answer:
        rule = self.records.rule(call.region, call["RuleArn"])
        _refuse_default(rule, "deleted")
        with self.store.transaction() as tx:
            self.forget_forwarding(tx, call.region, listener_of(rule["RuleArn"]), [rule])
        return {}

    def set_rule_priorities(self, call: Call) -> Answer:
        """All of them at once: two rules may change places."""
        for pair in call["RulePriorities"]:
            if "RuleArn" not in pair or "Priority" not in pair:
                raise AwsError("ValidationError", "Each of RulePriorities must have a RuleArn and a Priority")
        for priority, count in Counter(pair["Priority"] for pair in call["RulePriorities"]).items():
            if count > 1:
                raise AwsError("ValidationError", f"Priority '{priority}' was provided multiple times")
        wanted = {pair["RuleArn"]: pair["Priority"] for pair in call["RulePriorities"]}
        rules = {arn: self.records.rule(call.region, arn) for arn in wanted}
        for rule in rules.values():
            _refuse_default(rule, "given a priority")
        changed: list[Document] = []
        with self.store.transaction() as tx:
            for listener_arn in sorted({listener_of(arn) for arn in wanted}):
                taken: set[str] = set()
                for rule in self.records.rules_of(call.region, listener_arn):
                    priority = str(wanted.get(rule["RuleArn"], rule["Priority"]))
                    if priority in taken:
                        raise AwsError("PriorityInUse", f"Priority '{priority}' is currently in use")
                    taken.add(priority)
            for arn, priority in wanted.items():
                _check_priority(priority)
                rule = {**rules[arn], "Priority": str(priority)}
                self.put_forwarding(tx, call.region, listener_of(arn), rule)
                changed.append(rule)
        return {"Rules": changed}

    def _with_priority(self, region: str, listener_arn: str, priority: int) -> Document | None:
        return next((r for r in self.records.rules_of(region, listener_arn) if r["Priority"] == str(priority)), None)


def _check_priority(priority: int) -> None:
    if not 1 <= priority <= 50000:
        raise AwsError("ValidationError", f"Priority {priority} must be between 1 and 50000")


def _refuse_transforms(call: Call) -> None:
    if call.get("Transforms"):
        raise AwsError("InvalidConfigurationRequest", "turnout does not implement transforms of rules yet")


def _refuse_default(rule: Document, verb: str) -> None:
    if rule["IsDefault"]:
        raise AwsError("OperationNotPermitted", f"Default rule '{rule['RuleArn']}' cannot be {verb}")
