"""How a release is going to move the traffic, in words: by CodeDeploy's configuration or a service's strategy. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
ALL_AT_ONCE, CANARY, LINEAR = "AllAtOnce", "TimeBasedCanary", "TimeBasedLinear"
STRATEGIES = {ALL_AT_ONCE: "BLUE_GREEN", CANARY: "CANARY", LINEAR: "LINEAR"}
"""CodeDeploy's word → ECS's."""


@dataclass(frozen=True)
class Shift:
    """`kind` is CodeDeploy's word. Of a canary `percent` is the first share, of a linear shift each step."""

    kind: str
    percent: float = 100.0
    minutes: int = 0

    @classmethod
    def of_config(cls, routing: Document) -> Shift:
        """From the trafficRoutingConfig of a deployment configuration."""
        kind = str(routing.get("type", ALL_AT_ONCE))
        if kind == CANARY:
            canary = routing["timeBasedCanary"]
            return cls(kind, float(canary["canaryPercentage"]), canary["canaryInterval"])
        if kind == LINEAR:
            linear = routing["timeBasedLinear"]
            return cls(kind, float(linear["linearPercentage"]), linear["linearInterval"])
        return cls(ALL_AT_ONCE)

    @classmethod
    def of_service(cls, configuration: Document) -> Shift:
        """From the deploymentConfiguration of a service under BLUE_GREEN, CANARY or LINEAR."""
        if configuration["strategy"] == "CANARY":
            canary = configuration["canaryConfiguration"]
            return cls(CANARY, canary["canaryPercent"], canary["canaryBakeTimeInMinutes"])
        if configuration["strategy"] == "LINEAR":
            linear = configuration["linearConfiguration"]
            return cls(LINEAR, linear["stepPercent"], linear["stepBakeTimeInMinutes"])
        return cls(ALL_AT_ONCE)

    @property
    def configuration(self) -> dict[str, Any]:
        """The members of a service's deploymentConfiguration that do the same."""
        found: dict[str, Any] = {"strategy": STRATEGIES[self.kind]}
        if self.kind == CANARY:
            found["canaryConfiguration"] = {"canaryPercent": self.percent, "canaryBakeTimeInMinutes": self.minutes}
        if self.kind == LINEAR:
            found["linearConfiguration"] = {"stepPercent": self.percent, "stepBakeTimeInMinutes": self.minutes}
        return found

    @property
    def words(self) -> str:
        if self.kind == ALL_AT_ONCE:
            return "all of the traffic goes to green at once"
        first = f"{self.percent:g} % of the traffic goes to green"
        if self.kind == CANARY:
            return f"{first}, {self.minutes} min later all of it"
        steps = -(-100 // self.percent)  # AWS is silent on what does not divide 100: the last step is what is left
        return f"{first}, as much again every {self.minutes} min, all of it after {(steps - 1) * self.minutes:g} min"


def shift_of_group(group: Document, shift: Shift, hooks: Sequence[tuple[str, str]]) -> list[str]:
    """The steps of a deployment of a group, as GetDeploymentGroup has it; `hooks`: (lifecycle event, function)."""
    options = group.get("blueGreenDeploymentConfiguration", {})
    has_test = any(
        pair.get("testTrafficRoute", {}).get("listenerArns")
        for pair in group.get("loadBalancerInfo", {}).get("targetGroupPairInfoList", [])
    )

    def hooked(event: str) -> Iterator[str]:
        yield from (f"{event}: {function} decides" for named, function in hooks if named == event)

    steps = [*hooked("BeforeInstall"), "Install: green's tasks start beside blue's, until every one is healthy"]
    steps += hooked("AfterInstall")
    if has_test:
        steps += ["AllowTestTraffic: the test listener leads to green", *hooked("AfterAllowTestTraffic")]
    ready = options.get("deploymentReadyOption", {})
    if ready.get("actionOnTimeout") == "STOP_DEPLOYMENT":
        steps.append(f"Ready: waits up to {ready['waitTimeInMinutes']} min for `turnout promote`, else it is stopped")
    steps += [*hooked("BeforeAllowTraffic"), f"AllowTraffic: {shift.words}", *hooked("AfterAllowTraffic")]
    ending = options.get("terminateBlueInstancesOnDeploymentSuccess", {})
    minutes = ending.get("terminationWaitTimeInMinutes", 0)
    if ending.get("action") == "KEEP_ALIVE":
        steps.append("blue's tasks are kept")
    else:
        steps.append(f"{f'blue is kept for {minutes} min, then' if minutes else 'blue is'} drained and stopped")
    rollback = group.get("autoRollbackConfiguration", {})
    when = {"DEPLOYMENT_FAILURE": "if it fails", "DEPLOYMENT_STOP_ON_ALARM": "on an alarm"}
    backs = [when[event] for event in rollback.get("events", []) if event in when] if rollback.get("enabled") else []
    steps.append(f"back to blue by itself: {' and '.join(backs) or 'never'}")
    return steps


def shift_of_service(service: Document) -> list[str]:
    """The steps of a deployment that ECS makes by itself, of a service as DescribeServices has it."""
    configuration = service["deploymentConfiguration"]
    strategy = configuration.get("strategy", "ROLLING")
    if strategy == "ROLLING":
        least, most = configuration.get("minimumHealthyPercent", 100), configuration.get("maximumPercent", 200)
        return [f"tasks are replaced in place: {least} % of them at least, {most} % at most at a time"]
    has_test = any(b.get("advancedConfiguration", {}).get("testListenerRule") for b in service.get("loadBalancers", []))

    def hooked(stage: str) -> Iterator[str]:
        for hook in configuration.get("lifecycleHooks", []):
            if stage in hook["lifecycleStages"]:
                is_pause = hook.get("targetType") == "PAUSE"
                yield f"{stage}: " + ("waits for `turnout promote`" if is_pause else f"{hook['hookTargetArn']} decides")

    steps = [*hooked("PRE_SCALE_UP"), "SCALE_UP: green's tasks start beside blue's, until every one is healthy"]
    steps += hooked("POST_SCALE_UP")
    if has_test:
        steps.append("TEST_TRAFFIC_SHIFT: the test rule leads to green")
    steps += [*hooked("TEST_TRAFFIC_SHIFT"), *hooked("POST_TEST_TRAFFIC_SHIFT")]
    steps += hooked("PRE_PRODUCTION_TRAFFIC_SHIFT")
    steps += [f"PRODUCTION_TRAFFIC_SHIFT: {Shift.of_service(configuration).words}", *hooked("PRODUCTION_TRAFFIC_SHIFT")]
    steps += hooked("POST_PRODUCTION_TRAFFIC_SHIFT")
    minutes = configuration.get("bakeTimeInMinutes") or 0
    return [*steps, f"{f'blue is kept for {minutes} min, then' if minutes else 'blue is'} drained and stopped"]
