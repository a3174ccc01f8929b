"""Operations on lifecycle policies, and the run that carries one out for as long as there is it."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.ecr.lifecycle import Candidate, Expiry, expired, parse_policy
from turnout.ecr.operations import Operations
from turnout.ecr.pages import page
from turnout.ecr.records import Repository
from turnout.errors import AwsError
from turnout.names import ACCOUNT, new_uuid
from turnout.runs import StepSpec
from turnout.store import Shelf, Transaction

LIFECYCLE = "ecr.lifecycle"


class LifecyclePolicies(Operations):
    @property
    def previews(self) -> Shelf:
        return Shelf(self.store, "ecr.previews")

    def put_lifecycle_policy(self, call: Call) -> Answer:
        repository, text = self.of(call), call["lifecyclePolicyText"]
        parse_policy(text)
        with self.store.transaction() as tx:
            self.end_lifecycle(tx, repository)
            name = f"{repository.name}/{new_uuid()}"
            self.records.change(tx, repository, lifecycle={"text": text, "run": name})
            step = StepSpec("Expire", 0)
            self.runs.insert(tx, LIFECYCLE, repository.region, name, {}, [step], lane=repository.name)
        return _of_repository(repository, text)

    def get_lifecycle_policy(self, call: Call) -> Answer:
        repository = self.of(call)
        lifecycle = self._lifecycle(repository)
        return {**_of_repository(repository, lifecycle["text"]), "lastEvaluatedAt": lifecycle.get("evaluatedAt", 0.0)}

    def delete_lifecycle_policy(self, call: Call) -> Answer:
        answer = self.get_lifecycle_policy(call)
        repository = self.of(call)
        with self.store.transaction() as tx:
            self.end_lifecycle(tx, repository)
            self.records.change(tx, repository, lifecycle=None)
        return answer

    def start_lifecycle_policy_preview(self, call: Call) -> Answer:
        """What the policy, or the given text, would expire now. It is found at once."""
        repository = self.of(call)
        text = call.get("lifecyclePolicyText") or self._lifecycle(repository)["text"]
        results = [
            {
                "imageTags": list(expiry.image.tags) or None,
                "imageDigest": expiry.image.digest,
                "imagePushedAt": expiry.image.pushed_at,
                "action": {"type": "EXPIRE"},
                "appliedRulePriority": expiry.priority,
            }
            for expiry in self.expired(repository, text)
        ]
        with self.store.transaction() as tx:
            document = {"text": text, "results": results, "repository": repository.id}
            self.previews.put(tx, repository.region, repository.name, document)
        return {**_of_repository(repository, text), "status": "COMPLETE"}

    def get_lifecycle_policy_preview(self, call: Call) -> Answer:
        repository = self.of(call)
        preview = self.previews.find(repository.region, repository.name)
        if preview is None or preview["repository"] != repository.id:
            raise AwsError(
                "LifecyclePolicyPreviewNotFoundException",
                f"There is no dry run for the repository with name '{repository.name}' in the registry with id"
                f" '{ACCOUNT}'",
            )
        results: list[dict[str, Any]] = preview["results"]
        if call.get("filter", {}).get("tagStatus") in ("TAGGED", "UNTAGGED"):
            is_tagged = call["filter"]["tagStatus"] == "TAGGED"
            results = [one for one in results if bool(one["imageTags"]) == is_tagged]
        if wanted := call.get("imageIds"):
            results = [one for one in results if any(_is(one, given) for given in wanted)]
        given_out, token = page(results, lambda one: str(one["imageDigest"]), call)
        return {
            **_of_repository(repository, preview["text"]),
            "status": "COMPLETE",
            "previewResults": list(given_out),
            "summary": {"expiringImageTotalCount": len(preview["results"])},
            "nextToken": token,
        }

    def expired(self, repository: Repository, text: str) -> list[Expiry]:
        """What a policy expires now. An image that an index names stays until that has gone, what is about an image
        goes with it."""
        images = self.records.images(repository)
        digests = {image.digest for image in images}
        candidates = [
            Candidate(image.digest, image.tags, image.pushed_at, image.pulled_at)
            for image in images
            if image.subject not in digests and not self.records.indices_of(repository, image.digest)
        ]
        return expired(candidates, parse_policy(text), self.clock.now())

    def end_lifecycle(self, tx: Transaction, repository: Repository) -> None:
        for run in self.runs.of_lane(LIFECYCLE, repository.region, repository.name, is_open=True):
            self.runs.request_stop(tx, run.id, message="The policy has changed.")

    def _lifecycle(self, repository: Repository) -> dict[str, Any]:
        lifecycle: dict[str, Any] | None = repository.settings.get("lifecycle")
        if lifecycle is None:
            raise AwsError(
                "LifecyclePolicyNotFoundException",
                f"Lifecycle policy does not exist for the repository with name '{repository.name}' in the registry"
                f" with id '{ACCOUNT}'",
            )
        return lifecycle


def _is(result: dict[str, Any], given: dict[str, str]) -> bool:
    tag, digest = given.get("imageTag"), given.get("imageDigest")
    return digest in (None, result["imageDigest"]) and (tag is None or tag in (result["imageTags"] or ()))


def _of_repository(repository: Repository, text: str) -> Answer:
    return {"registryId": ACCOUNT, "repositoryName": repository.name, "lifecyclePolicyText": text}
