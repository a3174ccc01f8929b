"""ECS and a load balancer as far as CodeDeploy sees them: two rooms of rows without hands, and the traffic.

They outlive the engine of a test, as the real ones do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnout.aws import Answer, Call
from turnout.clock import Clock
from turnout.errors import AwsError, TurnoutError
from turnout.traffic import Drained, Flow, Mark

CLUSTER, SERVICE = "prod", "web"
SERVICE_ARN = "arn:aws:ecs:us-east-1:000000000000:service/prod/web"
A, B, OTHER = (f"arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/{name}/1" for name in ("a", "b", "x"))
PROD, TEST = (f"arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/lb/1/{n}" for n in ("prod", "test"))
RULE = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener-rule/app/lb/1/prod/r"


def forward(*target_groups: str) -> list[dict[str, Any]]:
    """The actions of a listener as `create-listener` makes them."""
    groups = [{"TargetGroupArn": arn, "Weight": 1} for arn in target_groups]
    return [{"Type": "forward", "TargetGroupArn": target_groups[0], "ForwardConfig": {"TargetGroups": groups}}]


class FakeEcs:
    """One service. `fate` is what becomes of the next task set: healthy, starting, crashing, unhealthy, refused."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.fate = "healthy"
        self.controller = "CODE_DEPLOY"
        self.drain_s = 20.0
        self.last_status = "STOPPED"
        """Of tasks that have failed."""
        self.grace_s = 0
        self.sets: list[dict[str, Any]] = []
        self.fates: dict[str, str] = {}
        self.gone_at: dict[str, float] = {}
        self.calls: list[str] = []
        self.desired = 2
        self.capacity = 100
        """The most tasks of a task set that start."""
        self.definitions: dict[str, tuple[str | None, dict[str, Any]]] = {}
        self.deregistered: set[str] = set()
        self.hook_tasks: list[dict[str, Any]] = []
        self.hook_takes_s = 20.0
        self.hook_exit = 0
        self.add(A, "PRIMARY", "arn:td/web:1")

    def add(self, target_group: str, status: str, definition: str, **more: Any) -> dict[str, Any]:
        number = len(self.fates) + 1
        task_set = {
            "id": f"ecs-svc/{number}",
            "taskSetArn": f"{SERVICE_ARN}/ecs-svc/{number}",
            "status": status,
            "taskDefinition": definition,
            "launchType": "EC2",
            "computedDesiredCount": 2,
            "loadBalancers": [{"targetGroupArn": target_group, "containerName": "app", "containerPort": 80}],
            **more,
        }
        self.fates[task_set["id"]] = self.fate
        self.sets.append(task_set)
        return task_set

    def alive(self) -> list[dict[str, Any]]:
        now = self.clock.now()
        return [s for s in self.sets if self.gone_at.get(s["id"], now + 1) > now]

    def describe_services(self, call: Call) -> Answer:
        sets = []
        for task_set in self.alive():
            is_up = self.fates[task_set["id"]] == "healthy"
            running = min(self.desired, self.capacity) if is_up else 0
            counts = {"runningCount": running, "pendingCount": self.desired - running}
            is_steady = running == self.desired
            stability = "STEADY_STATE" if is_steady else "STABILIZING"
            sets.append({**task_set, "computedDesiredCount": self.desired, **counts, "stabilityStatus": stability})
        service = {
            "serviceArn": SERVICE_ARN,
            "status": "ACTIVE",
            "desiredCount": self.desired,
            "healthCheckGracePeriodSeconds": self.grace_s,
        }
        service |= {"deploymentController": {"type": self.controller}, "taskSets": sets}
        return {"services": [service] if call["services"] == [SERVICE] else []}

    def create_task_set(self, call: Call) -> Answer:
        known = next((s for s in self.sets if s.get("cause") == call.cause), None)
        if known is None:
            if self.fate == "refused":
                raise AwsError("InvalidParameterException", "The container app does not exist in the task definition.")
            self.calls.append("CreateTaskSet")
            (balancer,) = call["loadBalancers"]
            assert call["scale"] == {"value": 100.0, "unit": "PERCENT"}
            more = {"externalId": call["externalId"], "cause": call.cause, "launchType": call.get("launchType")}
            known = self.add(balancer["targetGroupArn"], "ACTIVE", call["taskDefinition"], **more)
        return {"taskSet": known}

    def update_service_primary_task_set(self, call: Call) -> Answer:
        self.calls.append("UpdateServicePrimaryTaskSet")
        for task_set in self.alive():
            if task_set["taskSetArn"] == call["primaryTaskSet"]:
                task_set["status"] = "PRIMARY"
            elif task_set["status"] == "PRIMARY":
                task_set["status"] = "ACTIVE"
        return {}

    def delete_task_set(self, call: Call) -> Answer:
        assert call["force"] is True
        (task_set,) = (s for s in self.alive() if s["taskSetArn"] == call["taskSet"])
        assert task_set["status"] == "ACTIVE"
        self.calls.append(f"DeleteTaskSet {task_set['id']}")
        task_set["status"] = "DRAINING"
        self.gone_at[task_set["id"]] = self.clock.now() + self.drain_s
        return {"taskSet": task_set}

    def list_tasks(self, call: Call) -> Answer:
        return {"taskArns": [f"{s['id']}/{n}/{call['desiredStatus']}" for s in self.alive() for n in range(3)]}

    def describe_tasks(self, call: Call) -> Answer:
        tasks = [self._hook_task(arn) or self._task(*arn.rsplit("/", 2)) for arn in call["tasks"]]
        return {"tasks": [task for task in tasks if task]}

    def _task(self, set_id: str, number: str, status: str) -> dict[str, Any] | None:
        fate = self.fates[set_id]
        task: dict[str, Any] = {"taskArn": f"arn:task/{CLUSTER}/{set_id[-1]}{number}", "startedBy": set_id}
        task["taskDefinitionArn"] = "arn:td/web:2"
        container: dict[str, Any] = {"name": "app", "image": "app:latest", "imageDigest": f"sha256:{set_id[-1]}"}
        if status == "STOPPED" and fate == "crashing":
            return task | {
                "stopCode": "EssentialContainerExited",
                "lastStatus": self.last_status,
                "stoppedReason": "Essential container in task exited",
                "stoppedAt": float(number),
                "containers": [container | {"exitCode": 3}],
            }
        if status == "RUNNING" and fate in ("healthy", "unhealthy") and number in "01":
            bindings = [{"hostPort": int(set_id[-1]) * 10 + int(number)}]
            return task | {
                "startedAt": self.clock.now() - 30,
                "containers": [container | {"networkBindings": bindings}],
            }
        return None

    def describe_task_definition(self, call: Call) -> Answer:
        if call["taskDefinition"] in self.definitions:
            own = self.definitions[call["taskDefinition"]][1]
            return {"taskDefinition": {"taskDefinitionArn": call["taskDefinition"], **own}}
        if not call["taskDefinition"].startswith("arn:td/web"):
            raise AwsError("ClientException", "Unable to describe task definition.")
        log = {"logDriver": "awslogs", "options": {"awslogs-group": "/web", "awslogs-stream-prefix": "ecs"}}
        container = {"name": "app", "portMappings": [{"containerPort": 80}], "logConfiguration": log}
        arn = call["taskDefinition"]
        return {"taskDefinition": {"taskDefinitionArn": arn, "status": "ACTIVE", "containerDefinitions": [container]}}

    # A task of its own: the container of a hook

    def register_task_definition(self, call: Call) -> Answer:
        known = {cause: arn for arn, (cause, _) in self.definitions.items()}
        arn = known.get(call.cause) or f"arn:td/hook:{len(self.definitions) + 1}"
        self.definitions[arn] = (call.cause, call.input)
        return {"taskDefinition": {"taskDefinitionArn": arn}}

    def deregister_task_definition(self, call: Call) -> Answer:
        self.deregistered.add(call["taskDefinition"])
        return {}

    def run_task(self, call: Call) -> Answer:
        task = next((task for task in self.hook_tasks if task["cause"] == call.cause), None)
        if task is None:
            task = {"taskArn": f"arn:task/{CLUSTER}/hook{len(self.hook_tasks)}", "cause": call.cause}
            task |= {"taskDefinitionArn": call["taskDefinition"], "asked": call.input, "begun_at": self.clock.now()}
            self.hook_tasks.append(task)
        return {"tasks": [task], "failures": []}

    def stop_task(self, call: Call) -> Answer:
        (task,) = (task for task in self.hook_tasks if task["taskArn"] == call["task"])
        task["stopped_at"] = self.clock.now()
        return {"task": task}

    def _hook_task(self, arn: str) -> dict[str, Any] | None:
        """It takes 20 s, and ends with `hook_exit`; 137 once it has been stopped."""
        task = next((task for task in self.hook_tasks if task["taskArn"] == arn), None)
        if task is None or self.clock.now() < min(task["begun_at"] + self.hook_takes_s, task.get("stopped_at", 1e12)):
            return task and {**task, "lastStatus": "RUNNING"}
        code = 137 if "stopped_at" in task else self.hook_exit
        return {**task, "lastStatus": "STOPPED", "containers": [{"name": "app", "exitCode": code}]}


class FakeBalancer:
    """Two listeners and the pair of target groups; and the traffic over them."""

    def __init__(self, clock: Clock, ecs: FakeEcs) -> None:
        self.clock = clock
        self.ecs = ecs
        self.listeners = {PROD: forward(A), TEST: forward(A)}
        self.rules = {RULE: forward(A)}
        self.changes: list[dict[str, Any]] = []
        self.is_drained = True
        self.is_quiet = True
        """Whether no new request arrives at the side that was left."""
        self.has_traffic = True
        self.is_silent = False
        self.interruptions: list[dict[str, Any]] = []
        self.policy = ""
        self.shares: list[tuple[str, float]] = []
        """(cause, share) of every goodbye."""
        self.addresses = {PROD: "http://127.0.0.1:1", TEST: "http://127.0.0.1:2"}

    def weights(self, listener: str = PROD) -> dict[str, int]:
        actions = self.rules[listener] if listener in self.rules else self.listeners[listener]
        return {g["TargetGroupArn"]: g["Weight"] for g in actions[-1]["ForwardConfig"]["TargetGroups"]}

    def describe_target_groups(self, call: Call) -> Answer:
        known = {"a": A, "b": B, "x": OTHER}
        if not set(call["Names"]) <= known.keys():
            raise AwsError("TargetGroupNotFound", "One or more target groups not found")
        settings = {"UnhealthyThresholdCount": 2, "HealthCheckIntervalSeconds": 10}
        groups = [{"TargetGroupArn": known[name], "TargetGroupName": name, **settings} for name in call["Names"]]
        return {"TargetGroups": groups}

    def describe_target_group_attributes(self, call: Call) -> Answer:
        return {"Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "15"}]}

    def describe_tags(self, call: Call) -> Answer:
        (arn,) = call["ResourceArns"]
        tags = [{"Key": "turnout:long-connections", "Value": self.policy}] if self.policy else []
        return {"TagDescriptions": [{"ResourceArn": arn, "Tags": tags}]}

    def describe_listeners(self, call: Call) -> Answer:
        (arn,) = call["ListenerArns"]
        if arn not in self.listeners:
            raise AwsError("ListenerNotFound", "One or more listeners not found")
        return {"Listeners": [{"ListenerArn": arn, "DefaultActions": self.listeners[arn]}]}

    def describe_rules(self, call: Call) -> Answer:
        rules = [{"RuleArn": arn, "IsDefault": False, "Actions": actions} for arn, actions in self.rules.items()]
        default = {"RuleArn": "default", "IsDefault": True, "Actions": self.listeners[call["ListenerArn"]]}
        return {"Rules": [*(rules if call["ListenerArn"] == PROD else []), default]}

    def modify_listener(self, call: Call) -> Answer:
        self.listeners[call["ListenerArn"]] = call["DefaultActions"]
        if call["ListenerArn"] == PROD:
            self.changes.append({"at": self.clock.now(), "weights": self.weights()})
        return {}

    def modify_rule(self, call: Call) -> Answer:
        self.rules[call["RuleArn"]] = call["Actions"]
        return {}

    def describe_target_health(self, call: Call) -> Answer:
        found = []
        for task_set in self.ecs.alive():
            fate = self.ecs.fates[task_set["id"]]
            if task_set["loadBalancers"][0]["targetGroupArn"] != call["TargetGroupArn"]:
                continue
            for number in range(2 if fate in ("healthy", "unhealthy") else 0):
                port = int(task_set["id"][-1]) * 10 + number
                health = {"State": fate, "Description": "Health checks failed with these codes: [500]"}
                found.append({"Target": {"Id": "127.0.0.1", "Port": port}, "TargetHealth": health})
        return {"TargetHealthDescriptions": found}

    # Traffic

    def _speak(self) -> None:
        if self.is_silent:
            raise TurnoutError("Envoy does not answer")

    async def mark(self, region: str, listener_arns: Sequence[str], target_group_arns: Sequence[str]) -> Mark:
        self._speak()
        return {"groups": list(target_group_arns), "spans": 0}

    async def since(self, marks: Sequence[Mark]) -> list[tuple[dict[str, Flow], Mark]]:
        """Ten requests per group and span, at 2.5 ms but for one at 9."""
        self._speak()
        flow = Flow(10, 0, 1, ((2.5, 9), (9.0, 1)), in_flight=2)
        return [
            (dict.fromkeys(mark["groups"], flow) | {"": Flow(0, 0, 0)}, {**mark, "spans": mark["spans"] + 1})
            for mark in marks
        ]

    async def first_answer_at(self, region: str, target_group_arn: str, after: float, within_s: float) -> float | None:
        self._speak()
        return after + 0.004 if self.has_traffic else None

    def address_of(self, region: str, listener_arn: str) -> str | None:
        return self.addresses.get(listener_arn)

    async def connections(self, region: str, listener_arn: str) -> int | None:
        self._speak()
        return 10

    async def prove_drained(self, region: str, target_group_arn: str) -> Drained:
        self._speak()
        if not self.is_quiet:
            return Drained(False, True, "5 requests in 260 ms", 5, 3, "12")
        reason = "no request in 260 ms, 0 in flight" if self.is_drained else "3 requests in flight"
        return Drained(self.is_drained, True, reason, 0, 0 if self.is_drained else 3, "12", True)

    async def goodbyes(self, region: str, listener_arn: str) -> int | None:
        self._speak()
        return len(self.shares)

    async def announce(self, region: str, listener_arn: str, cause: str, share: float) -> None:
        if (cause, share) not in self.shares:
            self.shares.append((cause, share))

    def interruptions_since(self, at: float) -> list[dict[str, Any]]:
        return [one for one in self.interruptions if one["servesAgainAt"] >= at]

    def weights_since(self, region: str, listener_arn: str, at: float) -> list[dict[str, Any]]:
        return [change for change in self.changes if change["at"] >= at]
