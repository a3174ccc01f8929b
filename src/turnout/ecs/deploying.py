"""A new deployment of a service under the ECS controller: what CreateService and UpdateService share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.ecs.deployment_rules import check_rule
from turnout.ecs.deployment_starting import begin, resolved_balancers, source_of
from turnout.ecs.deployment_traffic import DeploymentTraffic, forward_of
from turnout.ecs.revisions import Revisions
from turnout.ecs.service_rows import Service, TaskSet
from turnout.ecs.set_making import SetMaking
from turnout.errors import AwsError
from turnout.store import Transaction

Document = Mapping[str, Any]


class Deploying(SetMaking):
    async def check_shifting(self, region: str, balancers: Sequence[Document], definition: Document) -> None:
        """The alternate target groups exist and fit; the listener rules exist, and forward to the pair alone."""
        routing = DeploymentTraffic(self.aws)
        for balancer in balancers:
            advanced = balancer["advancedConfiguration"]
            pair = (balancer["targetGroupArn"], advanced["alternateTargetGroupArn"])
            alternate = [{"targetGroupArn": pair[1]}]
            await self.check_groups(region, alternate, definition, must_be_in_use=False)
            for member in ("productionListenerRule", "testListenerRule"):
                if not (rule_arn := advanced.get(member)):
                    continue
                rule = await routing.find_rule(region, rule_arn)
                if rule is None:
                    raise AwsError("InvalidParameterException", f"The {member} {rule_arn} does not exist.")
                check_rule(rule_arn, forward_of(rule)[0], pair)

    def deploy(
        self,
        tx: Transaction,
        service: Service,
        definition: Document,
        body: Document,
        pins: dict[str, str],
        configuration: Document | None = None,
    ) -> TaskSet:
        """The task set that is to be PRIMARY, and the run that makes it what serves.

        `configuration`: of this deployment, where it is not the service's own.
        """
        source = source_of(self, service)
        for one in self.sets.of_service(service):
            if one.status == "PRIMARY":
                self.sets.update(tx, one.id, status="ACTIVE", updated_at=self.clock.now())
        asked, scale = body, 100.0
        if service.shifts:
            asked = {**body, "loadBalancers": resolved_balancers(body["loadBalancers"], source)}
            scale = 100.0 if source is None else 0.0
        made = self.add_set(tx, service, definition, asked, "PRIMARY", pins, scale=scale)
        Revisions(self.store).keep(tx, service, made, body, definition)
        begin(self, tx, service, made, source, configuration or service.body["deploymentConfiguration"])
        return made
