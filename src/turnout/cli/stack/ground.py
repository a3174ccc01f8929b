"""What a release stands on: roles, the repository, the registry, the artifact bucket, the topic, the build."""

from __future__ import annotations

import json

from turnout.cli.stack.parts import Found, Parts

TRUSTED = {
    "pipeline": "codepipeline.amazonaws.com",
    "build": "codebuild.amazonaws.com",
    "deploy": "codedeploy.amazonaws.com",
    "execution": "ecs-tasks.amazonaws.com",
}
"""Who may take on each role."""


class Ground(Parts):
    """Looked for by name, created if missing."""

    def role(self, of: str) -> str:
        """The ARN of the role."""
        iam, name = self.clients("iam"), self.names.role(of)
        trust = {"Effect": "Allow", "Principal": {"Service": TRUSTED[of]}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = self.ensure(
            "IAM role",
            name,
            lambda: dict(iam.get_role(RoleName=name)["Role"]),
            lambda: dict(iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]),
            "NoSuchEntity",
        )
        return str(role["Arn"])

    def repository(self) -> str:
        """The URL to push to."""
        codecommit, name = self.clients("codecommit"), self.names.name
        repository = self.ensure(
            "CodeCommit repository",
            name,
            lambda: dict(codecommit.get_repository(repositoryName=name)["repositoryMetadata"]),
            lambda: dict(codecommit.create_repository(repositoryName=name)["repositoryMetadata"]),
            "RepositoryDoesNotExistException",
        )
        return str(repository["cloneUrlHttp"])

    def registry(self) -> str:
        """The URI of the image repository."""
        ecr, name = self.clients("ecr"), self.names.name
        repository = self.ensure(
            "ECR repository",
            name,
            lambda: dict(ecr.describe_repositories(repositoryNames=[name])["repositories"][0]),
            lambda: dict(ecr.create_repository(repositoryName=name)["repository"]),
            "RepositoryNotFoundException",
        )
        return str(repository["repositoryUri"])

    def bucket(self) -> None:
        """Artifacts are kept by version, so that an old execution can still be read."""
        s3, name = self.clients("s3"), self.names.bucket
        where = {} if self.clients.region == "us-east-1" else {"LocationConstraint": self.clients.region}
        creating = {"CreateBucketConfiguration": where} if where else {}
        self.ensure(
            "S3 bucket",
            name,
            lambda: dict(s3.head_bucket(Bucket=name)),
            lambda: dict(s3.create_bucket(Bucket=name, **creating)),
            "404",
            "NoSuchBucket",
        )
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def topic(self) -> str:
        """The ARN of the topic that hears of every release."""
        sns, name = self.clients("sns"), self.names.topic

        def find() -> Found | None:
            arns = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
            return next(({"TopicArn": arn} for arn in arns if arn.endswith(f":{name}")), None)

        return str(self.ensure("SNS topic", name, find, lambda: dict(sns.create_topic(Name=name)))["TopicArn"])

    def build(self, role: str) -> None:
        """The build learns by IMAGE_REPO_NAME where its image goes, as in AWS's own samples."""
        codebuild, name = self.clients("codebuild"), self.names.name

        def find() -> Found | None:
            projects = codebuild.batch_get_projects(names=[name])["projects"]
            return dict(projects[0]) if projects else None

        self.ensure(
            "CodeBuild project",
            name,
            find,
            lambda: dict(
                codebuild.create_project(
                    name=name,
                    source={"type": "CODEPIPELINE"},
                    artifacts={"type": "CODEPIPELINE"},
                    environment={
                        "type": "LINUX_CONTAINER",
                        "image": "aws/codebuild/standard:7.0",
                        "computeType": "BUILD_GENERAL1_SMALL",
                        "environmentVariables": [{"name": "IMAGE_REPO_NAME", "value": name}],
                    },
                    serviceRole=role,
                )["project"]
            ),
        )
