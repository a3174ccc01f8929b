"""CodeCommit source: the head of a branch at the time the action runs, as a zip.

The archive is made by CodeCommit's own UploadArchive, which AWS keeps for itself as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from turnout.aws import Aws
from turnout.codepipeline.actions.job import Job, Provider
from turnout.errors import AwsError, StepFailed
from turnout.runner import Done, Wait


class CodeCommitSource:
    provider = Provider(
        "CodeCommit",
        ("Source",),
        required=("RepositoryName", "BranchName"),
        optional=("PollForSourceChanges", "OutputArtifactFormat"),
        outputs=(1, 1),
    )

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def faults(self, configuration: Mapping[str, str], inputs: tuple[str, ...], outputs: int) -> Iterator[str]:
        if configuration.get("OutputArtifactFormat", "CODE_ZIP") != "CODE_ZIP":
            yield "OutputArtifactFormat CODEBUILD_CLONE_REF is not implemented by turnout; CODE_ZIP is"
        yield from poll_faults(configuration)

    async def ensure(self, job: Job) -> Done | Wait:
        repository, branch = job.configuration["RepositoryName"], job.configuration["BranchName"]
        if "revision" not in job.facts:
            await self._find_revision(job, repository, branch)
        (output,) = job.outputs.values()
        await self._aws.call(
            "codecommit",
            "UploadArchive",
            job.region,
            cause=job.cause,
            repositoryName=repository,
            commitId=job.facts["revision"]["id"],
            bucket=output.bucket,
            key=output.key,
        )
        return Done()

    async def _find_revision(self, job: Job, repository: str, branch: str) -> None:
        """Keep which commit it is: a push that comes while the archive is made belongs to the next execution."""
        try:
            commit_id = job.revision
            if commit_id is None:
                answer = await self._aws.call(
                    "codecommit", "GetBranch", job.region, repositoryName=repository, branchName=branch
                )
                commit_id = answer["branch"]["commitId"]
            answer = await self._aws.call(
                "codecommit", "GetCommit", job.region, repositoryName=repository, commitId=commit_id
            )
        except AwsError as error:
            raise StepFailed(
                "ConfigurationError",
                f"The branch {branch} of the CodeCommit repository {repository} cannot be read: {error.message}",
            ) from error
        commit = answer["commit"]
        page = f"https://{job.region}.console.aws.amazon.com/codesuite/codecommit/repositories/{repository}"
        message = commit.get("message", "").strip()
        job.learn(
            revision={
                "id": commit_id,
                "summary": message[:2048] or None,
                "created": _seconds(commit["committer"]["date"]),
                "url": f"{page}/commit/{commit_id}?region={job.region}",
                "entity": f"{page}/browse/refs/heads/{branch}/--/?region={job.region}",
            },
            variables={
                "AuthorDate": _date(commit["author"]["date"]),
                "BranchName": branch,
                "CommitId": commit_id,
                "CommitMessage": message,
                "CommitterDate": _date(commit["committer"]["date"]),
                "RepositoryName": repository,
            },
            summary=message[:2048] or None,
            externalExecutionId=commit_id,
        )


def poll_faults(configuration: Mapping[str, Any]) -> Iterator[str]:
    value = configuration.get("PollForSourceChanges", "true")
    if value.lower() not in ("true", "false"):
        yield f"PollForSourceChanges must be true or false, not {value}"


def _seconds(date: str) -> float:
    """Git's raw date, "1484167798 -0800": the zone is how it was written, not what it is."""
    return float(date.split()[0])


def _date(date: str) -> str:
    return datetime.fromtimestamp(_seconds(date), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
