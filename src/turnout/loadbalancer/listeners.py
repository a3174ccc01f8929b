"""Listeners: a port of a load balancer, and where its requests go. Weights are rows here first; Envoy hears of them
after the commit."""

from __future__ import annotations

from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.loadbalancer.actions import normal_actions
from turnout.loadbalancer.attributes import LISTENER, changed, described
from turnout.loadbalancer.records import Document, child_arn, page
from turnout.loadbalancer.securing import Securing
from turnout.loadbalancer.tags import merged

SECURITY = ("Protocol", "Certificates", "SslPolicy", "MutualAuthentication")


class Listeners(Securing):
    """CreateListener and what follows from it. A listener's default actions are its default rule's."""

    def create_listener(self, call: Call) -> Answer:
        balancer_arn, port = call["LoadBalancerArn"], call.get("Port")
        self.records.balancer(call.region, balancer_arn)
        if port is None:
            raise AwsError("ValidationError", "A listener port must be specified")
        security = self.security(call, {})
        actions = normal_actions(call["DefaultActions"])
        self.check_groups(call.region, balancer_arn, actions)
        listener_arn = child_arn(balancer_arn, "loadbalancer", "listener")
        listener: Document = {
            "ListenerArn": listener_arn,
            "LoadBalancerArn": balancer_arn,
            "Port": port,
            **security,
            "DefaultActions": actions,
        }
        with self.store.transaction() as tx:
            for other in self.records.listeners_of(call.region, balancer_arn):
                if other["Port"] == port:
                    if {**other, "ListenerArn": ""} != {**listener, "ListenerArn": ""}:
                        raise AwsError(
                            "DuplicateListener",
                            f"A listener already exists on this port for this load balancer '{balancer_arn}'",
                        )
                    return {"Listeners": [other]}
            self.records.listeners.put(tx, call.region, listener_arn, listener)
            default = {
                "RuleArn": child_arn(listener_arn, "listener", "listener-rule"),
                "Priority": "default",
                "Conditions": [],
                "Actions": actions,
                "IsDefault": True,
            }
            self.put_forwarding(tx, call.region, listener_arn, default)
            if tags := merged(listener_arn, {}, call.get("Tags") or []):
                self.records.tags.put(tx, call.region, listener_arn, tags)
        return {"Listeners": [listener]}

    def describe_listeners(self, call: Call) -> Answer:
        if arns := call.get("ListenerArns"):
            found = [self.records.listener(call.region, arn) for arn in arns]
        elif balancer_arn := call.get("LoadBalancerArn"):
            self.records.balancer(call.region, balancer_arn)
            found = sorted(self.records.listeners_of(call.region, balancer_arn), key=lambda doc: int(doc["Port"]))
        else:
            raise AwsError("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
        return page(call, "Listeners", found)

    async def modify_listener(self, call: Call) -> Answer:
        """What is not given stays; actions are replaced as a whole."""
        arn = call["ListenerArn"]
        self.security(call, self.records.listener(call.region, arn))
        given = normal_actions(call["DefaultActions"]) if call.get("DefaultActions") else None
        before = await self.before_rise(self._default_rule(call.region, arn)["RuleArn"], given or [])
        listener = self.records.listener(call.region, arn)
        balancer_arn = listener["LoadBalancerArn"]
        port, actions = call.get("Port") or listener["Port"], given or listener["DefaultActions"]
        self.check_groups(call.region, balancer_arn, actions)
        others = [doc for doc in self.records.listeners_of(call.region, balancer_arn) if doc["ListenerArn"] != arn]
        if any(other["Port"] == port for other in others):
            raise AwsError(
                "DuplicateListener", f"A listener already exists on this port for this load balancer '{balancer_arn}'"
            )
        kept = {name: value for name, value in listener.items() if name not in SECURITY}
        modified = {**kept, **self.security(call, listener), "Port": port, "DefaultActions": actions}
        with self.store.transaction() as tx:
            self.records.listeners.put(tx, call.region, arn, modified)
            if modified["Protocol"] == "HTTP":
                self.records.certificates.delete(tx, call.region, arn)
            default = self._default_rule(call.region, arn)
            self.put_forwarding(tx, call.region, arn, {**default, "Actions": actions}, before)
        return {"Listeners": [modified]}

    def delete_listener(self, call: Call) -> Answer:
        arn = call["ListenerArn"]
        self.records.listener(call.region, arn)
        with self.store.transaction() as tx:
            self.forget_forwarding(tx, call.region, arn, self.records.rules_of(call.region, arn))
            self.records.delete_listener(tx, call.region, arn)
        return {}

    def describe_listener_attributes(self, call: Call) -> Answer:
        self.records.listener(call.region, call["ListenerArn"])
        return {"Attributes": described(LISTENER, self.records.attributes.find(call.region, call["ListenerArn"]) or {})}

    def modify_listener_attributes(self, call: Call) -> Answer:
        arn = call["ListenerArn"]
        self.records.listener(call.region, arn)
        now = changed(LISTENER, self.records.attributes.find(call.region, arn) or {}, call["Attributes"])
        with self.store.transaction() as tx:
            self.records.attributes.put(tx, call.region, arn, now)
        return {"Attributes": described(LISTENER, now)}

    def _default_rule(self, region: str, listener_arn: str) -> Document:
        return self.records.rules_of(region, listener_arn)[-1]
