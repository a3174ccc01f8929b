"""Operations on repositories as a whole: making, describing, deleting, their settings and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.aws import Answer, Call
from turnout.ecr.lifecycle_policies import LifecyclePolicies
from turnout.ecr.mutability import check_mutability
from turnout.ecr.pages import page
from turnout.ecr.records import Repository
from turnout.errors import AwsError
from turnout.names import ACCOUNT, arn, is_arn, resource_of
from turnout.registry import is_region_part

MOST_TAGS = 50
ENCRYPTED_BY_DEFAULT = {"encryptionType": "AES256"}


class Repositories(LifecyclePolicies):
    def create_repository(self, call: Call) -> Answer:
        name = call["repositoryName"]
        self._check_account(call)
        first, slash, _ = name.partition("/")
        if slash and is_region_part(first):
            raise AwsError(
                "InvalidParameterException",
                f"turnout keeps names that begin with a region, as {name} does, for the repositories of that region:"
                f" create {name.partition('/')[2]} there, or choose another name",
            )
        mutability = call.get("imageTagMutability", "MUTABLE")
        filters = call.get("imageTagMutabilityExclusionFilters")
        check_mutability(mutability, filters)
        settings = {
            "imageTagMutability": mutability,
            "scanOnPush": call.get("imageScanningConfiguration", {}).get("scanOnPush", False),
            "encryption": _encryption(call.region, call.get("encryptionConfiguration")),
            "tags": _checked_tags({}, call.get("tags", [])),
        }
        if filters:
            settings["imageTagMutabilityExclusionFilters"] = filters
        if self.records.find(call.region, name) is not None:
            raise AwsError(
                "RepositoryAlreadyExistsException",
                f"The repository with name '{name}' already exists in the registry with id '{ACCOUNT}'",
            )
        with self.store.transaction() as tx:
            self.records.add(tx, call.region, name, settings, self.clock.now())
            self.ensure_swept(tx)
        return {"repository": self._describe(self.records.get(call.region, name))}

    def describe_repositories(self, call: Call) -> Answer:
        names = call.get("repositoryNames")
        if names is not None:
            account = call.get("registryId", ACCOUNT)
            found = [self.records.get(call.region, name, account) for name in dict.fromkeys(names)]
            return {"repositories": [self._describe(repository) for repository in found]}
        self._check_account(call)
        every = self.records.repositories(call.region)
        given, token = page(every, lambda repository: repository.name, call)
        return {"repositories": [self._describe(repository) for repository in given], "nextToken": token}

    def delete_repository(self, call: Call) -> Answer:
        repository = self.of(call)
        if self.records.has_images(repository) and not call.get("force", False):
            raise AwsError(
                "RepositoryNotEmptyException",
                f"The repository with name '{repository.name}' in registry with id '{ACCOUNT}' cannot be deleted"
                " because it still contains images",
            )
        described = self._describe(repository)
        with self.store.transaction() as tx:
            self.end_lifecycle(tx, repository)
            self.records.delete(tx, repository)
        return {"repository": described}

    def put_image_tag_mutability(self, call: Call) -> Answer:
        repository = self.of(call)
        mutability = call["imageTagMutability"]
        filters = call.get("imageTagMutabilityExclusionFilters")
        check_mutability(mutability, filters)
        with self.store.transaction() as tx:
            self.records.change(
                tx, repository, imageTagMutability=mutability, imageTagMutabilityExclusionFilters=filters
            )
        return {
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageTagMutability": mutability,
            "imageTagMutabilityExclusionFilters": filters,
        }

    def put_image_scanning_configuration(self, call: Call) -> Answer:
        """Nothing scans here, and the images of a repository that wants it say so."""
        repository = self.of(call)
        is_wanted = call["imageScanningConfiguration"].get("scanOnPush", False)
        with self.store.transaction() as tx:
            self.records.change(tx, repository, scanOnPush=is_wanted)
        return {
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageScanningConfiguration": {"scanOnPush": is_wanted},
        }

    def tag_resource(self, call: Call) -> Answer:
        repository = self._of_arn(call)
        tags = _checked_tags(repository.settings["tags"], call["tags"])
        with self.store.transaction() as tx:
            self.records.change(tx, repository, tags=tags)
        return {}

    def untag_resource(self, call: Call) -> Answer:
        repository = self._of_arn(call)
        left = {key: value for key, value in repository.settings["tags"].items() if key not in call["tagKeys"]}
        with self.store.transaction() as tx:
            self.records.change(tx, repository, tags=left)
        return {}

    def list_tags_for_resource(self, call: Call) -> Answer:
        tags = self._of_arn(call).settings["tags"]
        return {"tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _describe(self, repository: Repository) -> dict[str, Any]:
        """AWS's Repository. repositoryUri is where docker finds it here."""
        settings = repository.settings
        return {
            "repositoryArn": repository.arn,
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "repositoryUri": self.config.registry.uri(repository.region, repository.name),
            "createdAt": repository.created_at,
            "imageTagMutability": settings["imageTagMutability"],
            "imageTagMutabilityExclusionFilters": settings.get("imageTagMutabilityExclusionFilters"),
            "imageScanningConfiguration": {"scanOnPush": settings["scanOnPush"]},
            "encryptionConfiguration": settings["encryption"],
        }

    def _of_arn(self, call: Call) -> Repository:
        resource = call["resourceArn"]
        kind, _, name = resource_of(resource).partition("/") if is_arn(resource) else ("", "", "")
        if kind != "repository" or resource.split(":")[2] != "ecr":
            raise AwsError(
                "InvalidParameterException",
                f"Invalid parameter at 'resourceArn' failed to satisfy constraint: '{resource} is no repository'",
            )
        return self.records.get(resource.split(":")[3], name, resource.split(":")[4])

    def _check_account(self, call: Call) -> None:
        """Nobody may look into, or make something in, the registry of an account that is not there."""
        account = call.get("registryId", ACCOUNT)
        if account != ACCOUNT:
            raise AwsError("InvalidParameterException", f"The registry with id '{account}' is not here: {ACCOUNT} is")


def _encryption(region: str, given: Mapping[str, str] | None) -> dict[str, str]:
    """As it is described afterwards: with a key, also where AWS's own is meant."""
    if given is None:
        return ENCRYPTED_BY_DEFAULT
    if given["encryptionType"].startswith("KMS"):
        return {"kmsKey": arn("kms", region, "alias/aws/ecr"), **given}
    if "kmsKey" in given:
        raise AwsError("InvalidParameterException", "kmsKey is for the encryption types KMS and KMS_DSSE")
    return dict(given)


def _checked_tags(was: Mapping[str, str], given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    tags = {**was, **{tag["Key"]: tag["Value"] for tag in given}}
    if any(key.lower().startswith("aws:") for key in tags):
        raise AwsError("InvalidTagParameterException", "Tag keys that start with aws: are reserved")
    if len(tags) > MOST_TAGS:
        raise AwsError("TooManyTagsException", f"A repository has at most {MOST_TAGS} tags, this makes {len(tags)}")
    return tags
