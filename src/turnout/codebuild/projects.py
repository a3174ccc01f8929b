"""Operations on build projects."""

from __future__ import annotations

import shutil
from typing import Any

from turnout.aws import Answer, Call
from turnout.codebuild.caches import place_of
from turnout.codebuild.operations import Operations
from turnout.codebuild.rules import check_project, completed_project, invalid
from turnout.errors import AwsError
from turnout.names import is_arn, resource_of

PAGE = 100

_SORTED_BY = {"NAME": "name", "CREATED_TIME": "created", "LAST_MODIFIED_TIME": "lastModified"}


class Projects(Operations):
    def create_project(self, call: Call) -> Answer:
        if self._projects.find(call.region, call["name"]) is not None:
            raise AwsError("ResourceAlreadyExistsException", f"Project already exists: {_arn_of(call)}")
        project = completed_project(call.input, call.region)
        check_project(project, call.region)
        now = self.clock.now()
        project |= {"created": now, "lastModified": now}
        with self.store.transaction() as tx:
            self._projects.put(tx, call.region, call["name"], project)
        return {"project": project}

    def update_project(self, call: Call) -> Answer:
        project = self._project(call.region, call["name"])
        given = {**project, **call.input, "name": project["name"]}
        if "badgeEnabled" not in call.input:
            given["badgeEnabled"] = project["badge"]["badgeEnabled"]
        # A variable that is not listed is gone; AWS replaces the environment as a whole.
        if call.get("concurrentBuildLimit") == -1:
            given.pop("concurrentBuildLimit", None)
        updated = completed_project(given, call.region)
        check_project(updated, call.region)
        updated["lastModified"] = self.clock.now()
        with self.store.transaction() as tx:
            self._projects.put(tx, call.region, project["name"], updated)
        return {"project": updated}

    def delete_project(self, call: Call) -> Answer:
        """Its builds stay, as on AWS."""
        name = call["name"]
        name = resource_of(name).removeprefix("project/") if is_arn(name) else name
        with self.store.transaction() as tx:
            self._projects.delete(tx, call.region, name)
        shutil.rmtree(self.config.build_caches / call.region / name, ignore_errors=True)
        return {}

    async def invalidate_project_cache(self, call: Call) -> Answer:
        """The next build begins without one. What a cacheNamespace shares with other projects is theirs as well."""
        project = self._project(call.region, call["projectName"])
        place = place_of(project["cache"], project["name"], call.region, self.aws, self.config)
        if place is not None:
            await place.forget()
        return {}

    def batch_get_projects(self, call: Call) -> Answer:
        found: list[dict[str, Any]] = []
        missing: list[str] = []
        for name in call["names"]:
            try:
                found.append(self._project(call.region, name))
            except AwsError:
                missing.append(name)
        return {"projects": found, "projectsNotFound": missing}

    def list_projects(self, call: Call) -> Answer:
        member = _SORTED_BY[call.get("sortBy") or "NAME"]
        projects = sorted(self._projects.list(call.region), key=lambda project: project[member])
        if call.get("sortOrder") == "DESCENDING":
            projects.reverse()
        names, token = page_of([project["name"] for project in projects], call.get("nextToken"))
        return {"projects": names, "nextToken": token}


def page_of(items: list[str], token: str | None) -> tuple[list[str], str | None]:
    """The page behind a token, and the token of the next one."""
    if token and not token.isdecimal():
        raise invalid(f"Invalid pagination token: {token}")
    start = int(token or 0)
    end = start + PAGE
    return items[start:end], str(end) if end < len(items) else None


def _arn_of(call: Call) -> str:
    return f"arn:aws:codebuild:{call.region}:000000000000:project/{call['name']}"
