"""The role by which ECS moves the weights of a load balancer, and asks the functions of lifecycle hooks.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AmazonECSInfrastructureRolePolicyForLoadBalancers.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from turnout.cli.clients import Clients, is_missing
from turnout.errors import SetupError

POLICY = "arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
KNOWN_AFTER_S = 10.0
"""IAM is eventually consistent: a service may not know a role in its first seconds."""


def find_role(clients: Clients, name: str) -> str | None:
    """Its ARN. Raises SetupError if ECS may not assume it."""
    try:
        role = clients("iam").get_role(RoleName=name.rpartition("/")[2])["Role"]
    except Exception as error:
        if is_missing(error, "NoSuchEntity"):
            return None
        raise
    trusted = role.get("AssumeRolePolicyDocument", {})
    if "ecs.amazonaws.com" not in json.dumps(trusted):
        raise SetupError(f"the role {name} does not trust ecs.amazonaws.com: ECS could not assume it.")
    return str(role["Arn"])


def create_role(clients: Clients, name: str, functions: Sequence[str]) -> str:
    """A role with AWS's own policy for it, and leave to invoke the functions of hooks; its ARN."""
    iam = clients("iam")
    role = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Description="ECS moves the weights of the load balancer during deployments",
    )["Role"]
    iam.attach_role_policy(RoleName=name, PolicyArn=POLICY)
    if functions:
        allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": list(functions)}
        document = {"Version": "2012-10-17", "Statement": [allowed]}
        iam.put_role_policy(RoleName=name, PolicyName="lifecycle-hooks", PolicyDocument=json.dumps(document))
    if not clients.is_engine:
        time.sleep(KNOWN_AFTER_S)
    return str(role["Arn"])
