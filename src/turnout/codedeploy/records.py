"""What the room keeps as documents: applications by name, deployment groups by their application's id, configs.

A document holds AWS's description of the thing, and its tags beside it under `tags` (never part of an answer).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from turnout.errors import AwsError
from turnout.runs import Run, Runs
from turnout.store import Shelf, Store, Transaction

Document = dict[str, Any]

PAGE = 100
"""Items of one page, of every List operation."""


class Records:
    """Finds, or raises AWS's error."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.applications = Shelf(store, "codedeploy.applications")
        self.groups = Shelf(store, "codedeploy.groups")
        self.configs = Shelf(store, "codedeploy.configs")

    def application(self, region: str, name: str) -> Document:
        found = self.applications.find(region, name)
        if found is None:
            raise AwsError("ApplicationDoesNotExistException", f"No application found for name: {name}")
        return found

    def group(self, region: str, application_name: str, name: str) -> Document:
        application = self.application(region, application_name)
        found = self.groups.find(region, group_key(application, name))
        if found is None:
            raise AwsError("DeploymentGroupDoesNotExistException", f"No Deployment Group found for name: {name}")
        return found

    def groups_of(self, region: str, application: Document) -> list[Document]:
        return self.groups.list(region, group_key(application, ""))

    def put_group(self, tx: Transaction, region: str, application: Document, group: Document) -> None:
        self.groups.put(tx, region, group_key(application, group["deploymentGroupName"]), group)


def group_key(application: Document, name: str) -> str:
    """By the application's id, so that a new name of the application changes nothing."""
    return f"{application['applicationId']}/{name}"


def without_tags(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "tags"}


def deployment(runs: Runs, kind: str, region: str, deployment_id: str) -> Run:
    """The run of a deployment. Raises as AWS does."""
    if not deployment_id.startswith("d-"):
        message = f"Specified DeploymentId is not in the valid format: {deployment_id}"
        raise AwsError("InvalidDeploymentIdException", message)
    run = runs.find(kind, region, deployment_id)
    if run is None:
        raise AwsError("DeploymentDoesNotExistException", f"The deployment {deployment_id} could not be found")
    return run


def page(items: Sequence[str], token: str | None) -> tuple[list[str], str | None]:
    """One page of `items` and the token of the next: it names the last item seen, so that new ones shift nothing."""
    start = 0
    if token is not None:
        try:
            start = items.index(base64.urlsafe_b64decode(token.encode()).decode()) + 1
        except (ValueError, binascii.Error) as error:
            raise AwsError("InvalidNextTokenException", f"The next token is not valid: {token}") from error
    some = list(items[start : start + PAGE])
    has_more = start + PAGE < len(items)
    return some, base64.urlsafe_b64encode(some[-1].encode()).decode() if has_more else None


def check_batch(names: Sequence[str], most: int, what: str) -> None:
    if len(names) > most:
        raise AwsError("BatchLimitExceededException", f"At most {most} {what} can be asked for at once.")
