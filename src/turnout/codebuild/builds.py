"""Operations on builds."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.codebuild.descriptions import describe_build
from turnout.codebuild.events import build_event
from turnout.codebuild.operations import Operations
from turnout.codebuild.projects import page_of
from turnout.codebuild.rules import invalid
from turnout.codebuild.spec import PHASES, Build
from turnout.codebuild.starting import build_spec
from turnout.errors import AwsError
from turnout.names import new_uuid
from turnout.runs import Status, StepSpec
from turnout.store import Transaction


class Builds(Operations):
    def start_build(self, call: Call) -> Answer:
        project = self._project(call.region, call["projectName"])
        name, cause = project["name"], _cause_of(call)
        already = self.runs.caused_by(cause)
        if already is not None:
            if call.cause is None and already.spec["request"] != call.input:
                raise invalid("The idempotency token was used before with other parameters")
            return {"build": self._described(self._build(already))}
        limit = project.get("concurrentBuildLimit")
        if limit is not None and len(self.runs.of_lane(self.KIND, call.region, name, is_open=True)) >= limit:
            raise AwsError(
                "AccountLimitExceededException",
                f"Cannot have more than {limit} builds in queue for the project {name}: its concurrentBuildLimit",
            )
        spec = build_spec(project, call)
        with self.store.transaction() as tx:
            build = self._insert(tx, call.region, name, spec, cause)
        return {"build": self._described(build)}

    def retry_build(self, call: Call) -> Answer:
        build = self._get_build(call.region, call.get("id") or "")
        if not build.run.status.is_over:
            raise invalid(f"Build {build.id} is still in progress")
        cause = _cause_of(call)
        already = self.runs.caused_by(cause)
        if already is not None:
            return {"build": self._described(self._build(already))}
        with self.store.transaction() as tx:
            again = self._insert(tx, call.region, build.project, dict(build.spec), cause)
        return {"build": self._described(again)}

    def stop_build(self, call: Call) -> Answer:
        build = self._get_build(call.region, call["id"])
        if not build.run.status.is_over:
            with self.store.transaction() as tx:
                self.runs.request_stop(tx, build.run.id, by=call.principal)
        return {"build": self._described(self._get_build(call.region, build.id))}

    def batch_get_builds(self, call: Call) -> Answer:
        found = {identifier: self._find_build(call.region, identifier) for identifier in call["ids"]}
        return {
            "builds": [self._described(build) for build in found.values() if build is not None],
            "buildsNotFound": [identifier for identifier, build in found.items() if build is None],
        }

    def batch_delete_builds(self, call: Call) -> Answer:
        deleted: list[str] = []
        left: list[dict[str, Any]] = []
        with self.store.transaction() as tx:
            for identifier in call["ids"]:
                build = self._find_build(call.region, identifier)
                if build is None:
                    left.append({"id": identifier, "statusCode": "BUILD_NOT_FOUND"})
                elif not build.run.status.is_over:
                    left.append({"id": identifier, "statusCode": "BUILD_IN_PROGRESS"})
                else:
                    self.runs.forget(tx, build.run.id)
                    deleted.append(build.arn)
        return {"buildsDeleted": deleted, "buildsNotDeleted": left}

    def list_builds(self, call: Call) -> Answer:
        return self._listed(call, self.runs.names(self.KIND, call.region))

    def list_builds_for_project(self, call: Call) -> Answer:
        name = self._project(call.region, call["projectName"])["name"]
        return self._listed(call, self.runs.names(self.KIND, call.region, name))

    def _listed(self, call: Call, newest_first: list[str]) -> Answer:
        ids = newest_first[::-1] if call.get("sortOrder") == "ASCENDING" else newest_first
        page, token = page_of(ids, call.get("nextToken"))
        return {"ids": page, "nextToken": token}

    def _insert(self, tx: Transaction, region: str, project: str, spec: dict[str, Any], cause: str | None) -> Build:
        """A new build, submitted: that phase has no more to do than this transaction."""
        spec["buildNumber"] = self._next_number(tx, region, project)
        steps = [StepSpec(phase, rank) for rank, phase in enumerate(PHASES)]
        name = f"{project}:{new_uuid()}"
        run = self.runs.insert(tx, self.KIND, region, name, spec, steps, lane=project, cause=cause)
        submitted, _ = self.runs.begin(tx, self.runs.steps(run.id)[0])
        build = self._build(self.runs.get(run.id))
        self.aws.announce(tx, build_event(build, self.runs.steps(run.id), self.clock.now()))
        self.runs.end(tx, submitted, Status.SUCCEEDED)
        return self._build(self.runs.get(run.id))

    def _next_number(self, tx: Transaction, region: str, project: str) -> int:
        row = tx.execute(
            "INSERT INTO codebuild_numbers VALUES (?, ?, 1)"
            " ON CONFLICT DO UPDATE SET number = number + 1 RETURNING number",
            (region, project),
        ).fetchone()
        return int(row["number"])

    def _get_build(self, region: str, identifier: str) -> Build:
        build = self._find_build(region, identifier)
        if build is None:
            raise AwsError("ResourceNotFoundException", f"Build cannot be found: {identifier}")
        return build

    def _described(self, build: Build) -> dict[str, Any]:
        return describe_build(build, self.runs.steps(build.run.id))


def _cause_of(call: Call) -> str | None:
    if call.cause is not None:
        return f"{call.cause}/{call.operation}"
    token = call.get("idempotencyToken")
    return f"codebuild/{call.region}/{call.operation}/{token}" if token else None
