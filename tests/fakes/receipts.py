"""Receipts as an engine writes them, for what reads them."""

from __future__ import annotations

import copy
from typing import Any

BEGAN = 1_790_000_000.0


def receipt(**more: Any) -> dict[str, Any]:
    """A canary of 100 s whose green failed twice and erred thrice: 50 samples. `more` replaces members."""
    side = {
        "targetGroup": {"name": "shop-blue", "arn": "arn:blue"},
        "taskSet": "arn:set/1",
        "serviceRevision": None,
        "taskDefinition": "arn:task-definition/shop:1",
        "images": [{"container": "app", "image": "shop:1", "digest": "sha256:" + "1" * 64}],
    }
    document: dict[str, Any] = {
        "version": 1,
        "controller": "CODE_DEPLOY",
        "deploymentId": "d-ABCDEF123",
        "region": "us-east-1",
        "applicationName": "shop",
        "deploymentGroupName": "live",
        "deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes",
        "serviceDeploymentArn": None,
        "description": "the second version",
        "creator": "user",
        "status": "Succeeded",
        "isFinal": True,
        "error": None,
        "createdAt": BEGAN - 0.2,
        "startedAt": BEGAN,
        "endedAt": BEGAN + 100,
        "speed": 1.0,
        "commitId": "0123456789abcdef0123456789abcdef01234567",
        "revision": None,
        "service": {"cluster": "prod", "name": "web"},
        "listener": {"arn": "arn:listener", "testArn": None},
        "blue": side,
        "green": {**side, "targetGroup": {"name": "shop-green", "arn": "arn:green"}},
        "steps": [
            _step("Preflight", 0, 0.1, is_ours=True),
            _step("Install", 0.1, 20, [(1, "0 of 2 tasks running"), (8, "2 of 2 tasks running, 0 of 2 healthy")]),
            _step("AllowTraffic", 20, 80, [(20, "10 % of the traffic goes to green")]),
            _step("TerminateBlue", 80, 100, is_ours=True),
        ],
        "weights": [
            {"at": BEGAN, "blue": 100, "green": 0},
            {"at": BEGAN + 20, "blue": 90, "green": 10},
            {"at": BEGAN + 80, "blue": 0, "green": 100},
        ],
        "traffic": {"blue": _flow(8000), "green": _flow(2200, 2, 3), "unrouted": _flow(0)},
        "trafficNote": None,
        "samples": [_sample(number) for number in range(50)],
        "switch": {"at": BEGAN + 20, "firstAnswerAt": BEGAN + 20.004, "ms": 4.0, "note": None},
        "drained": {
            "colour": "blue", "isProven": True, "deadlineReached": False, "reason": "no request in 251 ms",
            "at": BEGAN + 81, "requests": 0, "inFlight": 0, "weightsVersion": "12",
        },
        "alarms": [],
        "longConnections": {"policy": "cut", "moved": 7, "left": 3, "cut": 0},
        "rollback": None,
    }  # fmt: skip
    return copy.deepcopy(document) | more


def native(**more: Any) -> dict[str, Any]:
    """The first deployment of a service that ECS itself deploys: no application, no blue, nothing sampled."""
    return receipt(
        controller="ECS",
        deploymentId="V3ryL0ngIdOfADeployme",
        serviceDeploymentArn="arn:aws:ecs:us-east-1:000000000000:service-deployment/prod/web/V3ryL0ngIdOfADeployme",
        applicationName=None,
        deploymentGroupName=None,
        deploymentConfigName="BLUE_GREEN",
        status="SUCCESSFUL",
        listener=None,
        blue=None,
        green={"targetGroup": None, "taskSet": None, "serviceRevision": "r", "taskDefinition": None, "images": []},
        commitId=None,
        weights=[],
        traffic=None,
        samples=[],
        switch=None,
        drained=None,
        longConnections=None,
        **more,
    )


def _step(name: str, began: float, ended: float, waits: Any = (), *, is_ours: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "isLifecycleEvent": not is_ours,
        "status": "Succeeded",
        "startedAt": BEGAN + began,
        "endedAt": BEGAN + ended,
        "waits": [{"at": BEGAN + at, "why": why} for at, why in waits],
        "error": None,
    }


def _flow(requests: int, failed: int = 0, errors: int = 0) -> dict[str, Any]:
    latency = {"p50Ms": 2.5, "p99Ms": 9.5} if requests else {"p50Ms": None, "p99Ms": None}
    return {"requests": requests, "failed": failed, "errors": errors, **latency, "isWhole": True}


def _sample(number: int) -> dict[str, Any]:
    green = 0 if number < 10 else 20 if number < 40 else 200
    blue = {**_flow(200 - green), "inFlight": number % 3, "running": 2, "desired": 2, "healthy": 2}
    failed, errors = (2, 3) if number == 30 else (0, 0)
    brought = {**_flow(green, failed, errors), "inFlight": 1, "running": 2, "desired": 2, "healthy": min(2, number)}
    ends = {"startedAt": BEGAN + 2 * number, "endedAt": BEGAN + 2 * number + 2}
    return {**ends, "blue": blue, "green": brought, "unrouted": _flow(0)}
