"""What a hook is told of its deployment: ids, and where to reach production, the test listener and green."""

from __future__ import annotations

import os

from turnout.codedeploy.reach import Reach
from turnout.codedeploy.starting import KIND as DEPLOYMENT
from turnout.config import Config
from turnout.errors import AwsError, StepFailed
from turnout.hookfile import Hook
from turnout.runs import Run
from turnout.runtimes.commands import path_with_turnout

THIS_MACHINE = "127.0.0.1"


class Surroundings:
    def __init__(self, reach: Reach, config: Config) -> None:
        self._reach = reach
        self._config = config

    async def variables(self, run: Run) -> dict[str, str]:
        """`file.VARIABLES`; what does not exist (no test listener, no green yet) is left out."""
        deployment = self._reach.runs.find(DEPLOYMENT, run.region, run.spec["deployment"])
        assert deployment is not None
        spec = deployment.spec
        found = {
            "APPLICATION_NAME": spec["application"],
            "DEPLOYMENT_ID": deployment.name,
            "DEPLOYMENT_GROUP_NAME": spec["deployment_group"],
            "DEPLOYMENT_GROUP_ID": spec["deployment_group_id"],
            "LIFECYCLE_EVENT": run.spec["event"],
            "LIFECYCLE_EVENT_HOOK_EXECUTION_ID": run.spec["execution_id"],
            "CLUSTER_NAME": spec["cluster"],
            "SERVICE_NAME": spec["service"],
            "TASK_DEFINITION": spec["appspec"]["task_definition"],
            "COMMIT_ID": spec["commit_id"],
            "PRODUCTION_URL": self._address(run.region, spec["listener_arn"]),
            "TEST_URL": self._address(run.region, spec["test_listener_arn"]),
            "GREEN_URL": await self._green(deployment) if run.spec["event"] != "BeforeInstall" else None,
        }
        return {name: value for name, value in found.items() if value}

    def clients(self, region: str) -> dict[str, str]:
        """What leads AWS clients to this engine."""
        return {"AWS_ENDPOINT_URL": self._config.endpoint, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}

    def host(self, home: str) -> dict[str, str]:
        """What programs need on this machine, and nothing else of the engine's environment."""
        key_id, secret = next(iter(self._config.keys.items()), ("test", "test"))
        return {
            "PATH": path_with_turnout(os.environ.get("PATH", os.defpath)),
            "HOME": home,
            "TMPDIR": home,
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
            "TURNOUT_HOME": str(self._config.home),
        }

    def _address(self, region: str, listener_arn: str | None) -> str | None:
        try:
            return self._reach.traffic.address_of(region, listener_arn) if listener_arn else None
        except AwsError:  # deleted meanwhile
            return None

    async def _green(self, deployment: Run) -> str | None:
        """A healthy task of green, past the load balancer."""
        group = deployment.facts["green"]["target_group"]
        try:
            health = await self._reach.elb("DescribeTargetHealth", deployment.region, TargetGroupArn=group)
        except StepFailed:
            return None
        healthy = [t["Target"] for t in health["TargetHealthDescriptions"] if t["TargetHealth"]["State"] == "healthy"]
        if not healthy:
            return None
        # A target is an address, or a container instance: there is one, this machine.
        host = THIS_MACHINE if healthy[0]["Id"].startswith("i-") else healthy[0]["Id"]
        return f"http://{host}:{healthy[0]['Port']}"


def hook_of(run: Run) -> Hook:
    """The hook that a deployment has frozen."""
    spec = run.spec["hook"]
    return Hook(spec["name"], spec["kind"], spec["timeout_s"], spec["settings"], spec["where"])
