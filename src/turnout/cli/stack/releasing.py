"""What runs the application and what releases it: cluster, service, deployment group, pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from turnout.cli.clients import is_missing
from turnout.cli.names import StackNames
from turnout.cli.stack.parts import Found, Parts


class Releasing(Parts):
    """What runs the application and what releases it: cluster, service, deployment group, pipeline."""

    def cluster(self) -> None:
        ecs, name = self.clients("ecs"), self.names.name

        def find() -> Found | None:
            clusters = ecs.describe_clusters(clusters=[name])["clusters"]
            return next((dict(cluster) for cluster in clusters if cluster["status"] == "ACTIVE"), None)

        self.ensure("ECS cluster", name, find, lambda: dict(ecs.create_cluster(clusterName=name)["cluster"]))

    def service(
        self, task_definition: Callable[[], dict[str, Any]], container: str, port: int, group_arn: str
    ) -> Found:
        """The service on a target group. `task_definition` is asked for what to register if there is no service."""
        ecs, name = self.clients("ecs"), self.names.name

        def create() -> Found:
            registered = ecs.register_task_definition(**task_definition())["taskDefinition"]
            target = {"targetGroupArn": group_arn, "containerName": container, "containerPort": port}
            made = ecs.create_service(
                cluster=name,
                serviceName=name,
                taskDefinition=registered["taskDefinitionArn"],
                desiredCount=self.wishes.desired_count,
                launchType="EC2",
                deploymentController={"type": "CODE_DEPLOY"},
                loadBalancers=[target],
            )
            return dict(made["service"])

        return self.ensure("ECS service", name, self.find_service, create)

    def find_service(self) -> Found | None:
        name = self.names.name
        try:
            services = self.clients("ecs").describe_services(cluster=name, services=[name])["services"]
        except Exception as error:
            if not is_missing(error, "ClusterNotFoundException"):
                raise
            return None
        return next((dict(service) for service in services if service["status"] == "ACTIVE"), None)

    def application(self) -> None:
        codedeploy, name = self.clients("codedeploy"), self.names.name
        self.ensure(
            "CodeDeploy application",
            name,
            lambda: dict(codedeploy.get_application(applicationName=name)["application"]),
            lambda: dict(codedeploy.create_application(applicationName=name, computePlatform="ECS")),
            "ApplicationDoesNotExistException",
        )

    def deployment_group(self, role: str, production: str, test: str, topic: str) -> None:
        """Blue/green, all at once, back to blue by itself if anything goes wrong or is stopped."""
        codedeploy, names = self.clients("codedeploy"), self.names
        pair = {
            "targetGroups": [{"name": names.blue}, {"name": names.green}],
            "prodTrafficRoute": {"listenerArns": [production]},
            "testTrafficRoute": {"listenerArns": [test]},
        }
        told = ["DeploymentStart", "DeploymentSuccess", "DeploymentFailure", "DeploymentStop", "DeploymentRollback"]
        self.ensure(
            "CodeDeploy deployment group",
            names.name,
            lambda: dict(
                codedeploy.get_deployment_group(applicationName=names.name, deploymentGroupName=names.name)[
                    "deploymentGroupInfo"
                ]
            ),
            lambda: dict(
                codedeploy.create_deployment_group(
                    applicationName=names.name,
                    deploymentGroupName=names.name,
                    serviceRoleArn=role,
                    deploymentConfigName="CodeDeployDefault.ECSAllAtOnce",
                    deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
                    ecsServices=[{"clusterName": names.name, "serviceName": names.name}],
                    loadBalancerInfo={"targetGroupPairInfoList": [pair]},
                    blueGreenDeploymentConfiguration={
                        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
                        "terminateBlueInstancesOnDeploymentSuccess": {
                            "action": "TERMINATE",
                            "terminationWaitTimeInMinutes": 0,
                        },
                    },
                    autoRollbackConfiguration={
                        "enabled": True,
                        "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST"],
                    },
                    triggerConfigurations=[
                        {"triggerName": names.topic, "triggerTargetArn": topic, "triggerEvents": told}
                    ],
                )
            ),
            "DeploymentGroupDoesNotExistException",
        )

    def pipeline(self, role: str) -> None:
        codepipeline, name = self.clients("codepipeline"), self.names.name
        self.ensure(
            "CodePipeline pipeline",
            name,
            lambda: dict(codepipeline.get_pipeline(name=name)["pipeline"]),
            lambda: dict(
                codepipeline.create_pipeline(pipeline=pipeline_of(self.names, role, self.wishes.branch))["pipeline"]
            ),
            "PipelineNotFoundException",
        )


def pipeline_of(names: StackNames, role: str, branch: str) -> dict[str, Any]:
    """Source, Build, Deploy: the declaration that CreatePipeline takes. Pure."""

    def stage(
        name: str, category: str, provider: str, inputs: str, outputs: str, **configuration: str
    ) -> dict[str, Any]:
        kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
        artifacts = {"inputArtifacts": inputs.split(), "outputArtifacts": outputs.split()}
        action = {"name": name, "actionTypeId": kind, "runOrder": 1, "configuration": configuration}
        action |= {key: [{"name": artifact} for artifact in found] for key, found in artifacts.items()}
        return {"name": name, "actions": [action]}

    source = {"RepositoryName": names.name, "BranchName": branch, "PollForSourceChanges": "true"}
    deploy = {
        "ApplicationName": names.name,
        "DeploymentGroupName": names.name,
        "TaskDefinitionTemplateArtifact": "BuildArtifact",
        "TaskDefinitionTemplatePath": "taskdef.json",
        "AppSpecTemplateArtifact": "BuildArtifact",
        "AppSpecTemplatePath": "appspec.yml",
        "Image1ArtifactName": "BuildArtifact",
        "Image1ContainerName": "IMAGE1_NAME",
    }
    return {
        "name": names.name,
        "roleArn": role,
        "artifactStore": {"type": "S3", "location": names.bucket},
        "stages": [
            stage("Source", "Source", "CodeCommit", "", "SourceArtifact", **source),
            stage("Build", "Build", "CodeBuild", "SourceArtifact", "BuildArtifact", ProjectName=names.name),
            stage("Deploy", "Deploy", "CodeDeployToECS", "BuildArtifact", "", **deploy),
        ],
    }
