"""The Lambda function that a hook of turnout.yml is on AWS: `turnout init` puts this file, and hook.json, into its zip.

It stands alone: Python's library, and boto3, which Lambda's Python runtimes have. It does what the hook says, with the
variables that docs/hooks.md lists, and reports the outcome by PutLifecycleEventHookExecutionStatus.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SPARE_S = 10.0
"""Of the time that the function has: to report."""
WITHOUT_BODY = ("GET", "HEAD", "DELETE")


class Refused(Exception):
    """The hook says no, and why."""


def handler(event: dict[str, Any], context: Any) -> None:
    import boto3

    hook = json.loads((HERE / "hook.json").read_text())
    codedeploy, status = boto3.client("codedeploy"), "Failed"
    try:
        variables = variables_of(event, hook, boto3.client)
        left_s = context.get_remaining_time_in_millis() / 1000 - SPARE_S
        {"script": run_script, "http": call}[hook["kind"]](hook, variables, left_s)
        status = "Succeeded"
    except Exception as error:
        print(error if isinstance(error, Refused) else f"{type(error).__name__}: {error}")
    codedeploy.put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=status,
    )


def variables_of(event: dict[str, Any], hook: dict[str, Any], client: Any) -> dict[str, str]:
    """What AWS tells of the deployment; PRODUCTION_URL and TEST_URL of the function's environment win."""
    codedeploy, deployment = client("codedeploy"), event["DeploymentId"]
    info = codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
    names = {
        "applicationName": info["applicationName"],
        "deploymentGroupName": info["deploymentGroupName"],
    }
    group = codedeploy.get_deployment_group(**names)["deploymentGroupInfo"]
    service = group["ecsServices"][0]
    found = {
        "APPLICATION_NAME": info["applicationName"],
        "DEPLOYMENT_ID": deployment,
        "DEPLOYMENT_GROUP_NAME": info["deploymentGroupName"],
        "DEPLOYMENT_GROUP_ID": group["deploymentGroupId"],
        "LIFECYCLE_EVENT_HOOK_EXECUTION_ID": event["LifecycleEventHookExecutionId"],
        "CLUSTER_NAME": service["clusterName"],
        "SERVICE_NAME": service["serviceName"],
    }
    target = codedeploy.get_deployment_target(
        deploymentId=deployment, targetId=f"{service['clusterName']}:{service['serviceName']}"
    )["deploymentTarget"]["ecsTarget"]
    running = [one["lifecycleEventName"] for one in target["lifecycleEvents"] if one["status"] == "InProgress"]
    if running:
        found["LIFECYCLE_EVENT"] = running[0]
    if commit := re.search(r"\b[0-9a-f]{40}\b", info.get("description", "")):
        found["COMMIT_ID"] = commit[0]
    pair = group["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    for name, route in (("PRODUCTION_URL", "prodTrafficRoute"), ("TEST_URL", "testTrafficRoute")):
        if name in os.environ:
            found[name] = os.environ[name]
        elif route in pair and (hook["kind"] == "script" or f"${{{name}}}" in json.dumps(hook)):
            found[name] = url_of(client("elbv2"), pair[route]["listenerArns"][0])
    return found


def url_of(elb: Any, listener_arn: str) -> str:
    (listener,) = elb.describe_listeners(ListenerArns=[listener_arn])["Listeners"]
    (balancer,) = elb.describe_load_balancers(LoadBalancerArns=[listener["LoadBalancerArn"]])["LoadBalancers"]
    return f"{listener['Protocol'].lower()}://{balancer['DNSName']}:{listener['Port']}"


def run_script(hook: dict[str, Any], variables: dict[str, str], left_s: float) -> None:
    """In a copy of the files, as the function's own folder cannot be written. Raises Refused."""
    timeout_s = min(hook["timeout_s"], left_s)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        shutil.copytree(HERE / "files", work, symlinks=True)
        environment = {**os.environ, "HOME": folder, **hook["settings"]["environment"], **variables}
        argv = ["/bin/sh", "-e", "-c", "\n".join(hook["settings"]["commands"])]
        try:
            ended = subprocess.run(
                argv, cwd=work, env=environment, timeout=timeout_s, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        except subprocess.TimeoutExpired as late:
            print((late.stdout or b"").decode("utf-8", "replace"))
            raise Refused(f"the script {hook['name']} did not end within {timeout_s:g} s") from None
    print(ended.stdout.decode("utf-8", "replace"))
    if ended.returncode:
        raise Refused(f"the script {hook['name']} failed: exit code {ended.returncode}")


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def call(hook: dict[str, Any], variables: dict[str, str], left_s: float) -> None:
    """Flagger's payload; the status decides. Raises Refused."""
    settings, deadline = hook["settings"], time.monotonic() + left_s
    url = filled(settings["url"], variables)
    headers = {name: filled(text, variables) for name, text in settings["headers"].items()}
    payload = {
        "name": variables["SERVICE_NAME"],
        "namespace": variables["CLUSTER_NAME"],
        "phase": "Progressing",
        "checksum": hashlib.sha256(json.dumps(hook, sort_keys=True).encode()).hexdigest()[:10],
        "metadata": {
            **variables,
            **{name: filled(text, variables) for name, text in settings["metadata"].items()},
        },
    }
    body = None if settings["method"] in WITHOUT_BODY else json.dumps(payload).encode()
    for number in range(1, settings["retries"] + 2):
        headers = {"User-Agent": "turnout", "Content-Type": "application/json", **headers}
        said = _status(urllib.request.Request(url, body, headers, method=settings["method"]), hook["timeout_s"])
        print(f"call {number}: {settings['method']} {url.partition('?')[0]}: {said}")
        if said in settings["expect"] if settings["expect"] else str(said).startswith("2"):
            return
        if time.monotonic() + settings["interval_s"] > deadline:
            break
        if number <= settings["retries"]:
            time.sleep(settings["interval_s"])
    raise Refused(f"the hook {hook['name']} got no answer that was expected in {number} calls; the last: {said}")


def _status(request: urllib.request.Request, timeout_s: float) -> int | str:
    """The status of an answer, or why there was none."""
    try:
        with urllib.request.build_opener(NoRedirects).open(request, timeout=timeout_s) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def filled(text: str, variables: dict[str, str]) -> str:
    """Raises Refused for a variable that is not known."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in variables:
            raise Refused(f"{found[1]} is not known here")
        return variables[found[1]]

    return re.sub(r"\$\{([^}]*)\}", value, text)
