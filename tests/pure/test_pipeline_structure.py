"""The structure of a pipeline: what is refused, with which exception, and that the message says where."""

from typing import Any

import pytest

from tests.fakes.seed import action, approval, build, deploy, pipeline, seed, source
from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codepipeline.actions import every_action
from turnout.codepipeline.structure import check
from turnout.errors import AwsError

ACTIONS = every_action(Aws(None), Clock())  # type: ignore[arg-type]  # nothing is called
STRUCTURE, STAGE, ACTION = (
    "InvalidStructureException",
    "InvalidStageDeclarationException",
    "InvalidActionDeclarationException",
)


def refused(declaration: dict[str, Any]) -> AwsError:
    with pytest.raises(AwsError) as raised:
        check(declaration, "us-east-1", ACTIONS)
    return raised.value


def with_build(**more: Any) -> dict[str, Any]:
    return pipeline(("Source", [source()]), ("Build", [{**build(), **more}]))


def with_configuration(**more: str) -> dict[str, Any]:
    return pipeline(("Source", [source()]), ("Build", [build(configuration=more)]))


def test_the_seed_is_in_order() -> None:
    check(seed(), "us-east-1", ACTIONS)


def test_stores_by_region_are_in_order_when_the_own_region_is_among_them() -> None:
    declaration = seed()
    declaration["artifactStores"] = {"us-east-1": declaration.pop("artifactStore")}
    check(declaration, "us-east-1", ACTIONS)
    with pytest.raises(AwsError, match="eu-west-1"):
        check(declaration, "eu-west-1", ACTIONS)


@pytest.mark.parametrize(
    ("declaration", "code", "words"),
    [
        (pipeline(("Source", [source()])), STRUCTURE, "minimum of 2 stages"),
        (pipeline(*[(f"S{n}", [source()]) for n in range(51)]), STRUCTURE, "maximum of 50 stages"),
        (pipeline(("Build", [build()]), ("Source", [source()])), STRUCTURE, "only contains source actions"),
        (pipeline(("A", [source(), approval()]), ("B", [build()])), STRUCTURE, "A has Approval"),
        (pipeline(("A", [source()]), ("B", [source()])), STRUCTURE, "there is one in B"),
        (pipeline(("A", [source()]), ("A", [build()])), STRUCTURE, "A is used more than once"),
        (pipeline(("A", [source()]), ("B", [])), STAGE, "Stage B has 0 actions"),
        (pipeline(("A", [source()]), ("B", [build(), build()])), STRUCTURE, "Build is used more than once"),
        (seed(executionMode="QUEUED", pipelineType="V2"), STRUCTURE, "executionMode QUEUED is not implemented"),
        (seed(executionMode="PARALLEL", pipelineType="V2"), STRUCTURE, "PARALLEL is not implemented"),
        (seed(triggers=[{"providerType": "CodeStarSourceConnection"}]), STRUCTURE, "triggers are not implemented"),
        (seed(variables=[{"name": "a"}]), STRUCTURE, "pipelineType V2"),
        (seed(artifactStores={}), STRUCTURE, "Exactly one of artifactStore"),
        (with_build(runOrder=1, inputArtifacts=[]), ACTION, "Action Build declares 0 input artifacts which is less"),
        (with_build(outputArtifacts=[{"name": f"A{n}"} for n in range(6)]), ACTION, "more than the maximum count (5)"),
        (with_build(inputArtifacts=[{"name": "Nothing"}]), ACTION, "Input artifact Nothing of action 'Build'"),
        (with_build(outputArtifacts=[{"name": "SourceArtifact"}]), ACTION, "already an output artifact of action 'S"),
        (with_build(configuration={}), ACTION, "is missing required configuration 'ProjectName'"),
        (with_configuration(Nonsense="1"), ACTION, "contains unknown configuration 'Nonsense'"),
        (with_configuration(ProjectName="x" * 1001), ACTION, "longer than 1000"),
        (with_configuration(BatchEnabled="true"), ACTION, "BatchEnabled is not implemented"),
        (with_configuration(PrimarySource="Other"), ACTION, "Other is not one of the input artifacts"),
        (with_configuration(EnvironmentVariables="{"), ACTION, "EnvironmentVariables: "),
        (with_configuration(EnvironmentVariables='[{"key": "a"}]'), ACTION, '{"key": "a"} is not like'),
        (
            with_configuration(EnvironmentVariables='[{"name": "A", "value": "", "type": "X"}]'),
            ACTION,
            "type of A is X",
        ),
        (with_build(region="eu-west-1"), ACTION, "cross-region actions are not implemented"),
        (with_build(timeoutInMinutes=10), ACTION, "timeoutInMinutes is for manual approvals"),
        (with_build(commands=["ls"]), ACTION, "cannot contain a commands field"),
        (with_build(namespace="variables"), ACTION, "variables is reserved"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(declaration: dict[str, Any], code: str, words: str) -> None:
    error = refused(declaration)
    assert error.code == code
    assert words in error.message


@pytest.mark.parametrize(
    ("category", "provider", "owner", "version"),
    [
        ("Deploy", "S3", "AWS", "1"),
        ("Invoke", "Lambda", "AWS", "1"),
        ("Source", "GitHub", "ThirdParty", "1"),
        ("Build", "CodeCommit", "AWS", "1"),
        ("Build", "CodeBuild", "Custom", "1"),
        ("Build", "CodeBuild", "AWS", "2"),
    ],
)
def test_a_provider_that_turnout_does_not_run_is_never_accepted(
    category: str, provider: str, owner: str, version: str
) -> None:
    odd = action(category, provider, "Odd", {}, input=["SourceArtifact"])
    odd["actionTypeId"] |= {"owner": owner, "version": version}
    first = [source(), odd] if category == "Source" else [source()]
    error = refused(pipeline(("Source", first), ("Next", [odd if category != "Source" else build()])))
    assert error.code == ACTION
    assert provider in error.message
    assert "turnout" in error.message or "version 1" in error.message


@pytest.mark.parametrize("condition", ["beforeEntry", "onSuccess", "onFailure"])
def test_conditions_of_stages_are_refused(condition: str) -> None:
    declaration = seed()
    declaration["stages"][1][condition] = {"conditions": [{}]}
    assert (refused(declaration).code, condition in refused(declaration).message) == (STAGE, True)


def test_blockers_are_refused() -> None:
    declaration = seed()
    declaration["stages"][1]["blockers"] = [{"name": "b", "type": "Schedule"}]
    assert refused(declaration).code == "InvalidBlockerDeclarationException"


def test_an_input_may_come_from_a_lower_run_order_of_the_same_stage_only() -> None:
    second = {**build(input=["BuildArtifact"], output=["More"]), "name": "Second"}
    error = refused(pipeline(("Source", [source()]), ("Build", [build(), second])))
    assert "BuildArtifact of action 'Second'" in error.message
    check(pipeline(("Source", [source()]), ("Build", [build(), {**second, "runOrder": 2}])), "us-east-1", ACTIONS)


def test_namespaces_are_unique() -> None:
    twice = pipeline(("Source", [source(namespace="N")]), ("Build", [build(namespace="N")]))
    assert "N is used more than once" in refused(twice).message


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"TaskDefinitionTemplateArtifact": "Other"}, "TaskDefinitionTemplateArtifact Other is not one of"),
        ({"Image1ArtifactName": "BuildArtifact"}, "Image1ArtifactName and Image1ContainerName must be given together"),
        ({"Image1ArtifactName": "X", "Image1ContainerName": "Y"}, "Image1ArtifactName X is not one of"),
    ],
)
def test_a_deployment_refers_to_its_own_inputs(configuration: dict[str, str], words: str) -> None:
    stages = ("Source", [source()]), ("Build", [build()]), ("Deploy", [deploy(configuration=configuration)])
    assert words in refused(pipeline(*stages)).message


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"OutputArtifactFormat": "CODEBUILD_CLONE_REF"}, "CODEBUILD_CLONE_REF is not implemented"),
        ({"PollForSourceChanges": "maybe"}, "PollForSourceChanges must be true or false"),
    ],
)
def test_a_source_says_what_it_cannot_do(configuration: dict[str, str], words: str) -> None:
    first = ("Source", [source(configuration=configuration)])
    assert words in refused(pipeline(first, ("Build", [build()]))).message


def test_an_approval_may_have_a_timeout_of_five_minutes_to_sixty_days() -> None:
    def of(minutes: int) -> dict[str, Any]:
        return pipeline(("Source", [source()]), ("Gate", [approval(timeoutInMinutes=minutes)]))

    check(of(5), "us-east-1", ACTIONS)
    check(of(86400), "us-east-1", ACTIONS)
    assert refused(of(4)).code == ACTION
