"""The pipeline of the blog post that turnout began with: CodeCommit, CodeBuild, CodeDeployToECS."""

from __future__ import annotations

from typing import Any


def action(category: str, provider: str, name: str, configuration: dict[str, str], **more: Any) -> dict[str, Any]:
    kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    artifacts = {
        f"{way}Artifacts": [{"name": artifact} for artifact in more.pop(way)]
        for way in ("input", "output")
        if way in more
    }
    return {"name": name, "actionTypeId": kind, "configuration": configuration, **artifacts, **more}


def source(**more: Any) -> dict[str, Any]:
    configuration = {"RepositoryName": "app", "BranchName": "main", **more.pop("configuration", {})}
    return action("Source", "CodeCommit", "Source", configuration, output=["SourceArtifact"], **more)


def build(**more: Any) -> dict[str, Any]:
    configuration = {"ProjectName": "web", **more.pop("configuration", {})}
    artifacts = {"input": ["SourceArtifact"], "output": ["BuildArtifact"]}
    return action("Build", "CodeBuild", "Build", configuration, **{**artifacts, **more})


def deploy(**more: Any) -> dict[str, Any]:
    configuration = {
        "ApplicationName": "web",
        "DeploymentGroupName": "web-group",
        "TaskDefinitionTemplateArtifact": "BuildArtifact",
        "AppSpecTemplateArtifact": "BuildArtifact",
        "AppSpecTemplatePath": "appspec.yml",
        **more.pop("configuration", {}),
    }
    return action("Deploy", "CodeDeployToECS", "Deploy", configuration, **{"input": ["BuildArtifact"], **more})


def approval(**more: Any) -> dict[str, Any]:
    return action("Approval", "Manual", "Approve", more.pop("configuration", {}), **more)


def pipeline(*stages: tuple[str, list[dict[str, Any]]], name: str = "web", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "roleArn": "arn:aws:iam::000000000000:role/pipeline",
        "artifactStore": {"type": "S3", "location": "artifacts"},
        "stages": [{"name": stage, "actions": actions} for stage, actions in stages],
        **more,
    }


def seed(**more: Any) -> dict[str, Any]:
    return pipeline(("Source", [source()]), ("Build", [build()]), ("Deploy", [deploy()]), **more)
