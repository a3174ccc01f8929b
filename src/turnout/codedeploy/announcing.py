"""What CodeDeploy tells EventBridge ("CodeDeploy Deployment State-change Notification") and its triggers.

https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-cloudwatch-events.html
"""

from __future__ import annotations

from turnout.aws import Aws, Event
from turnout.codedeploy.triggers import pull_triggers
from turnout.names import arn
from turnout.runs import Run, Runs
from turnout.store import Transaction


def announce(tx: Transaction, aws: Aws, runs: Runs, run: Run, state: str) -> None:
    """Tell everybody, in the transaction in which it happened."""
    aws.announce(tx, state_change(run, state, runs.clock.now()))
    pull_triggers(tx, runs, run, state)


def state_change(run: Run, state: str, at: float) -> Event:
    """`state` is START, SUCCESS, FAILURE, STOP or READY."""
    application, group = run.spec["application"], run.spec["deployment_group"]
    return Event(
        source="aws.codedeploy",
        detail_type="CodeDeploy Deployment State-change Notification",
        region=run.region,
        resources=(
            arn("codedeploy", run.region, f"application:{application}"),
            arn("codedeploy", run.region, f"deploymentgroup:{application}/{group}"),
        ),
        detail={
            "instanceGroupId": run.spec["deployment_group_id"],
            "region": run.region,
            "application": application,
            "deploymentId": run.name,
            "state": state,
            "deploymentGroup": group,
        },
        at=at,
    )
