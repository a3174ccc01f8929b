"""The providers: what an action does. One file each; this is the list of those that there are."""

from __future__ import annotations

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codepipeline.actions.approval import ManualApproval
from turnout.codepipeline.actions.codebuild import CodeBuildAction
from turnout.codepipeline.actions.codecommit import CodeCommitSource
from turnout.codepipeline.actions.codedeploy_to_ecs import CodeDeployToEcs
from turnout.codepipeline.actions.ecr_source import EcrSource
from turnout.codepipeline.actions.ecs import EcsDeploy
from turnout.codepipeline.actions.job import Action
from turnout.codepipeline.actions.s3_source import S3Source


def every_action(aws: Aws, clock: Clock) -> dict[tuple[str, str], Action]:
    """(category, provider) → what runs it."""
    actions: tuple[Action, ...] = (
        CodeCommitSource(aws),
        S3Source(aws),
        EcrSource(aws),
        CodeBuildAction(aws),
        CodeDeployToEcs(aws),
        EcsDeploy(aws),
        ManualApproval(aws, clock),
    )
    return {(category, action.provider.name): action for action in actions for category in action.provider.categories}
