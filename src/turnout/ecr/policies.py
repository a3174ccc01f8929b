"""Policies of repositories and registries, and who may use a registry. Policies are kept, and not enforced.

There is one principal here, whose keys (if there are any) are asked of everybody who wants an authorization token.
"""

from __future__ import annotations

import base64
import json

from turnout.aws import Answer, Call
from turnout.ecr.operations import Operations
from turnout.errors import AwsError
from turnout.names import ACCOUNT
from turnout.registry import USER
from turnout.store import Shelf

REGISTRY_POLICY = "registry policy"


class Policies(Operations):
    @property
    def _shelf(self) -> Shelf:
        return Shelf(self.store, "ecr.registries")

    def get_authorization_token(self, call: Call) -> Answer:
        """One token for every registry here: they have one address."""
        token, until = self.tokens.mint(self.clock.now())
        data = {
            "authorizationToken": base64.b64encode(f"{USER}:{token}".encode()).decode(),
            "expiresAt": until,
            "proxyEndpoint": self.config.endpoint,
        }
        return {"authorizationData": [data]}

    def set_repository_policy(self, call: Call) -> Answer:
        repository, text = self.of(call), call["policyText"]
        _check_policy(text, "Invalid repository policy provided")
        with self.store.transaction() as tx:
            self.records.change(tx, repository, policyText=text)
        return _of_repository(repository.name, text)

    def get_repository_policy(self, call: Call) -> Answer:
        repository = self.of(call)
        text = repository.settings.get("policyText")
        if text is None:
            raise AwsError(
                "RepositoryPolicyNotFoundException",
                f"Repository policy does not exist for the repository with name '{repository.name}' in the registry"
                f" with id '{ACCOUNT}'",
            )
        return _of_repository(repository.name, text)

    def delete_repository_policy(self, call: Call) -> Answer:
        answer = self.get_repository_policy(call)
        with self.store.transaction() as tx:
            self.records.change(tx, self.of(call), policyText=None)
        return answer

    def put_registry_policy(self, call: Call) -> Answer:
        _check_policy(call["policyText"], "Invalid registry policy provided")
        with self.store.transaction() as tx:
            self._shelf.put(tx, call.region, REGISTRY_POLICY, {"policyText": call["policyText"]})
        return {"registryId": ACCOUNT, "policyText": call["policyText"]}

    def get_registry_policy(self, call: Call) -> Answer:
        found = self._shelf.find(call.region, REGISTRY_POLICY)
        if found is None:
            raise AwsError(
                "RegistryPolicyNotFoundException", f"Registry policy does not exist in the registry with id '{ACCOUNT}'"
            )
        return {"registryId": ACCOUNT, "policyText": found["policyText"]}

    def delete_registry_policy(self, call: Call) -> Answer:
        answer = self.get_registry_policy(call)
        with self.store.transaction() as tx:
            self._shelf.delete(tx, call.region, REGISTRY_POLICY)
        return answer

    def describe_registry(self, call: Call) -> Answer:
        return {"registryId": ACCOUNT, "replicationConfiguration": {"rules": []}}

    def get_registry_scanning_configuration(self, call: Call) -> Answer:
        return {"registryId": ACCOUNT, "scanningConfiguration": {"scanType": "BASIC", "rules": []}}


def _of_repository(name: str, text: str) -> Answer:
    return {"registryId": ACCOUNT, "repositoryName": name, "policyText": text}


def _check_policy(text: str, why: str) -> None:
    """Raises InvalidParameterException unless it is a policy document with statements."""
    try:
        document = json.loads(text)
        statements = document["Statement"]
        statements = [statements] if isinstance(statements, dict) else statements
        is_right = bool(statements) and all(
            one["Effect"] in ("Allow", "Deny") and ("Action" in one or "NotAction" in one) for one in statements
        )
    except (ValueError, TypeError, KeyError):
        is_right = False
    if not is_right:
        raise AwsError(
            "InvalidParameterException",
            f"Invalid parameter at 'PolicyText' failed to satisfy constraint: '{why}'",
        )
