"""What is changed in moto, each with its reason."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

from turnout.gateway.models import LOADER
from turnout.gateway.moto.interfaces import end_with_instances, end_with_nat_gateways
from turnout.gateway.moto.offerings import lazily
from turnout.names import ACCOUNT

log = logging.getLogger(__name__)

ENVIRONMENT = {
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",  # roles are given AWS's own policies by their ARNs
}
"""Unless the environment says otherwise."""


@cache
def tune() -> None:
    """Once per process, before any of moto's backends is imported."""
    os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import moto.core
    import moto.core.models
    from moto import settings
    from moto.core.base_backend import AccountSpecificBackend
    from moto.core.common_models import BaseModel
    from moto.utilities import utils

    moto.core.DEFAULT_ACCOUNT_ID = moto.core.models.DEFAULT_ACCOUNT_ID = ACCOUNT
    settings.ACM_VALIDATION_WAIT = 0
    # moto would read a service's model anew wherever it asks for one, or for the regions of a service.
    moto.core.utils.create_loader = lambda: LOADER
    AccountSpecificBackend.get_session = _session
    utils.load_resource = lazily(utils.load_resource)
    # moto keeps every object it ever made for its dashboard, deleted ones too.
    BaseModel.__new__ = lambda cls, *args, **kwargs: object.__new__(cls)


def import_tuned(name: str) -> Any:
    """Import a module of moto's. Modules import each other, so whatever has come along is tuned, too."""
    boto3: Any = importlib.import_module("boto3")
    real, boto3.Session = boto3.Session, _session
    try:
        found = importlib.import_module(name)
    finally:
        boto3.Session = real
    for name, change in _CHANGES.items():
        if (module := sys.modules.get(name)) is not None and name not in _changed:
            _changed.add(name)
            change(module)
    return found


@cache
def _session() -> Any:
    """What moto asks for regions."""
    import boto3.session
    import botocore.session

    session = botocore.session.Session()
    session.register_component("data_loader", LOADER)
    return boto3.session.Session(botocore_session=session)


def _s3(models: Any) -> None:
    from turnout.gateway.moto.bodies import Body

    models.tempfile = SimpleNamespace(SpooledTemporaryFile=Body)
    key = models.FakeKey
    # An object that goes with its bucket, or with the engine, is nobody's mistake: no warning.
    key.__del__ = lambda self: None
    # moto would pickle the whole body.
    key.__getstate__ = lambda self: {name: value for name, value in vars(self).items() if name != "lock"}
    key.__setstate__ = lambda self, state: self.__dict__.update(state, lock=threading.Lock())
    permission = models.FakeBucket.get_permission

    def unconditional(self: Any, action: str, resource: str) -> Any:
        # moto knows nothing of a request but its action, and would refuse all that "unless it comes by TLS" is said of.
        if self.policy is None:
            return permission(self, action, resource)
        return permission(SimpleNamespace(policy=without_conditions(self.policy)), action, resource)

    models.FakeBucket.get_permission = unconditional


def without_conditions(policy: bytes) -> bytes:
    """A bucket's policy but for the statements that hold under a condition, which nobody here can judge. Pure."""
    document = json.loads(policy)
    statements = document.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    document["Statement"] = [one for one in statements if not one.get("Condition")]
    return json.dumps(document).encode()


def _sqs(models: Any) -> None:
    receive = models.SQSBackend.receive_message

    def at_once(self: Any, queue: str, count: int, wait_s: int, visible_s: int, names: Any = None) -> Any:
        # moto would hold everything up for as long as the caller is ready to wait.
        return receive(self, queue, count, 0, visible_s, names)

    models.SQSBackend.receive_message = at_once


def _lambda(models: Any) -> None:
    def not_run(self: Any, event: str | None = None) -> tuple[str, bool, str]:
        """(answer, whether it failed, log): a message whose function failed stays in its queue."""
        log.warning("%s was not run: turnout keeps functions, and does not run them", self.function_arn)
        return "", True, ""

    # moto would start a container for each event, hold everything up meanwhile, and again at every replay.
    models.LambdaFunction._invoke_lambda = not_run


def _export(models: Any) -> None:
    # In a thread it would draw its names beside the request that it belongs to.
    models.TableExport.start = models.TableExport.run


def _import(models: Any) -> None:
    models.TableImport.start = models.TableImport.run  # the same


def _vpcs(vpcs: Any) -> None:
    from turnout.gateway.moto.births import Births

    # To list endpoint services, moto would import half of itself, and packages that we do without.
    ours = ["dynamodb", "ecr", "s3"]
    vpcs.IMPLEMENTED_ENDPOINT_SERVICES[:] = ours
    vpcs.COVERED_ENDPOINT_SERVICES[:] = [*ours, "ecr.api", "ecr.dkr"]
    collect = vpcs.VPCBackend._collect_default_endpoint_services

    def alike(account: str, region: str) -> Any:
        with Births.drawing(f"endpoint services/{region}"):
            return collect(account, region)

    vpcs.VPCBackend._collect_default_endpoint_services = staticmethod(alike)


def _account(attributes: Any) -> None:
    describe = attributes.AccountAttributes.describe_account_attributes

    def without_classic(self: Any) -> Any:
        # EC2-Classic is gone. Where it is said to be there, old Terraform providers ask for addresses outside of VPCs.
        answer = describe(self)
        for attribute in answer.result["AccountAttributes"]:
            if attribute["AttributeName"] == "supported-platforms":
                attribute["AttributeValues"] = [{"AttributeValue": "VPC"}]
        return answer

    attributes.AccountAttributes.describe_account_attributes = without_classic


def _ssm(models: Any) -> None:
    from turnout.gateway.moto.births import Births

    # AWS's own parameters are loaded when they are first read, and dated then.
    load = models.ParameterDict._load_tree_parameters

    def alike(self: Any, path: str) -> None:
        with Births.drawing(path):
            load(self, path)

    models.ParameterDict._load_tree_parameters = alike


_CHANGES: dict[str, Callable[[Any], None]] = {
    "moto.awslambda.models": _lambda,
    "moto.dynamodb.models.table_export": _export,
    "moto.dynamodb.models.table_import": _import,
    "moto.s3.models": _s3,
    "moto.sqs.models": _sqs,
    "moto.ssm.models": _ssm,
    "moto.ec2.models.instances": end_with_instances,
    "moto.ec2.models.nat_gateways": end_with_nat_gateways,
    "moto.ec2.models.vpcs": _vpcs,
    "moto.ec2.responses.account_attributes": _account,
}
_changed: set[str] = set()
