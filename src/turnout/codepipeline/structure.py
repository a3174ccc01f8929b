"""The structure of a pipeline: everything that AWS checks before it answers CreatePipeline. Pure.

What turnout does not implement is refused here with its name, so that nothing is accepted and then left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.codepipeline.actions.job import Action
from turnout.errors import AwsError

Actions = Mapping[tuple[str, str], Action]
"""(category, provider) → what runs it."""

MOST_STAGES, MOST_ACTIONS, MOST_ACTIONS_IN_STAGE = 50, 500, 50
APPROVAL_MINUTES = range(5, 86_401)


def check(pipeline: Mapping[str, Any], region: str, actions: Actions) -> None:
    """Raise AwsError with what is wrong, and where."""
    _check_options(pipeline)
    _check_store(pipeline, region)
    stages = pipeline["stages"]
    if not 2 <= len(stages) <= MOST_STAGES:
        raise _structure(
            f"Pipeline has only {len(stages)} stage(s). There should be a minimum of 2 stages in a pipeline"
            if len(stages) < 2
            else f"Pipeline has {len(stages)} stages. There should be a maximum of {MOST_STAGES} stages in a pipeline"
        )
    _check_unique("Stage", [stage["name"] for stage in stages], "pipeline")
    for stage in stages:
        _check_stage(stage)
    if sum(len(stage["actions"]) for stage in stages) > MOST_ACTIONS:
        raise AwsError("LimitExceededException", f"A pipeline has at most {MOST_ACTIONS} actions")
    _check_places_of_sources(stages)
    for stage in stages:
        for action in stage["actions"]:
            _check_action(stage["name"], action, region, actions)
    _check_artifacts(stages)
    _check_namespaces(stages, pipeline.get("variables", []))


def _check_options(pipeline: Mapping[str, Any]) -> None:
    is_v2 = pipeline.get("pipelineType") == "V2"
    mode = pipeline.get("executionMode", "SUPERSEDED")
    if mode != "SUPERSEDED":
        raise _structure(f"executionMode {mode} is not implemented by turnout; SUPERSEDED is")
    if pipeline.get("triggers"):
        raise _structure("triggers are not implemented by turnout: sources (CodeCommit, S3, ECR) start executions")
    if pipeline.get("variables") and not is_v2:
        raise _structure("Pipeline variables are only supported by pipelines of pipelineType V2")


def _check_store(pipeline: Mapping[str, Any], region: str) -> None:
    one, many = pipeline.get("artifactStore"), pipeline.get("artifactStores")
    if (one is None) == (many is None):
        raise _structure("Exactly one of artifactStore and artifactStores must be specified")
    if many is not None and region not in many:
        raise _structure(f"artifactStores has no artifact store in {region}, the region of the pipeline")


def _check_stage(stage: Mapping[str, Any]) -> None:
    name, actions = stage["name"], stage["actions"]
    if stage.get("blockers"):
        raise AwsError("InvalidBlockerDeclarationException", f"Stage {name}: blockers are reserved for future use")
    for condition in ("beforeEntry", "onSuccess", "onFailure"):
        if stage.get(condition):
            raise _stage(f"Stage {name}: {condition} is not implemented by turnout")
    if not 1 <= len(actions) <= MOST_ACTIONS_IN_STAGE:
        raise _stage(f"Stage {name} has {len(actions)} actions; it must have 1 to {MOST_ACTIONS_IN_STAGE}")
    _check_unique("Action", [action["name"] for action in actions], f"stage {name}")


def _check_places_of_sources(stages: Sequence[Mapping[str, Any]]) -> None:
    for index, stage in enumerate(stages):
        categories = {action["actionTypeId"]["category"] for action in stage["actions"]}
        if index == 0 and categories != {"Source"}:
            raise _structure(
                f"Pipeline should start with a stage that only contains source actions; {stage['name']} has"
                f" {', '.join(sorted(categories - {'Source'}))}"
            )
        if index > 0 and "Source" in categories:
            raise _structure(f"Source actions belong in the first stage only; there is one in {stage['name']}")


def _check_action(stage: str, action: Mapping[str, Any], region: str, actions: Actions) -> None:
    name, kind = action["name"], action["actionTypeId"]
    where = f"Action '{name}' in stage '{stage}'"
    known = actions.get((kind["category"], kind["provider"]))
    if known is None or kind["owner"] != "AWS":
        described = ", ".join(
            f"{key.capitalize()}: '{kind[key]}'" for key in ("category", "provider", "owner", "version")
        )
        offered = ", ".join(sorted({f"{category} {provider}" for category, provider in actions}))
        raise _action(
            f"ActionType ({described}) in action '{name}' is not available: action provider {kind['provider']} is not"
            f" implemented by turnout in category {kind['category']}. There are {offered}"
        )
    if kind["version"] != "1":
        raise _action(f"{where}: {kind['provider']} has version 1, not {kind['version']}")
    for member in ("commands", "environmentVariables", "outputVariables"):
        if action.get(member):
            raise _action(f"{where} cannot contain a {member} field: it belongs to the Commands action")
    if any(output.get("files") for output in action.get("outputArtifacts", [])):
        raise _action(f"{where}: files of an output artifact belong to the Commands action")
    if action.get("region", region) != region:
        raise _action(f"{where} runs in {action['region']}: cross-region actions are not implemented by turnout")
    minutes = action.get("timeoutInMinutes")
    if minutes is not None and (kind["category"] != "Approval" or minutes not in APPROVAL_MINUTES):
        raise _action(f"{where}: timeoutInMinutes is for manual approvals, and 5 to 86400")
    _check_configuration(where, action, known)


def _check_configuration(where: str, action: Mapping[str, Any], known: Action) -> None:
    provider, configuration = known.provider, action.get("configuration", {})
    for key in provider.required:
        if not configuration.get(key):
            raise _action(
                f"Action configuration for action '{action['name']}' is missing required configuration '{key}'"
            )
    for key, value in configuration.items():
        if key not in provider.required + provider.optional:
            raise _action(
                f"Action configuration for action '{action['name']}' contains unknown configuration '{key}';"
                f" {provider.name} knows {', '.join(provider.required + provider.optional)}"
            )
        if len(value) > 1000:
            raise _action(f"{where}: the value of configuration '{key}' is longer than 1000 characters")
    counts = (
        ("input", action.get("inputArtifacts", []), provider.inputs),
        ("output", action.get("outputArtifacts", []), provider.outputs),
    )
    for kind, artifacts, (low, high) in counts:
        declared = f"Action {action['name']} declares {len(artifacts)} {kind} artifacts which is"
        if len(artifacts) < low:
            raise _action(f"{declared} less than the minimum count ({low})")
        if len(artifacts) > high:
            raise _action(f"{declared} more than the maximum count ({high})")
    inputs = tuple(artifact["name"] for artifact in action.get("inputArtifacts", []))
    for fault in known.faults(configuration, inputs, len(action.get("outputArtifacts", []))):
        raise _action(f"{where}: {fault}")


def _check_artifacts(stages: Sequence[Mapping[str, Any]]) -> None:
    """Every input is the output of an earlier action, and every output has a name of its own."""
    made: dict[str, str] = {}
    for stage in stages:
        orders = sorted({action.get("runOrder", 1) for action in stage["actions"]})
        for order in orders:
            together = [action for action in stage["actions"] if action.get("runOrder", 1) == order]
            for action in together:
                for artifact in action.get("inputArtifacts", []):
                    if artifact["name"] not in made:
                        raise _action(
                            f"Input artifact {artifact['name']} of action '{action['name']}' in stage"
                            f" '{stage['name']}' is not an output artifact of any preceding action"
                        )
            for action in together:
                for artifact in action.get("outputArtifacts", []):
                    if artifact["name"] in made:
                        raise _action(
                            f"Output artifact names must be unique within a pipeline: {artifact['name']} of action"
                            f" '{action['name']}' is already an output artifact of {made[artifact['name']]}"
                        )
                    made[artifact["name"]] = f"action '{action['name']}' in stage '{stage['name']}'"


def _check_namespaces(stages: Sequence[Mapping[str, Any]], variables: Sequence[Mapping[str, Any]]) -> None:
    namespaces = [action["namespace"] for stage in stages for action in stage["actions"] if action.get("namespace")]
    for reserved in {"codepipeline", "variables"} & set(namespaces):
        raise _action(f"The namespace {reserved} is reserved")
    for name in sorted({name for name in namespaces if namespaces.count(name) > 1}):
        raise _action(f"Namespaces must be unique within a pipeline: {name} is used more than once")
    _check_unique("Variable", [variable["name"] for variable in variables], "pipeline")


def _check_unique(what: str, names: Sequence[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise _structure(f"{what} names must be unique within a {where}: {name} is used more than once")


def _structure(message: str) -> AwsError:
    return AwsError("InvalidStructureException", message)


def _stage(message: str) -> AwsError:
    return AwsError("InvalidStageDeclarationException", message)


def _action(message: str) -> AwsError:
    return AwsError("InvalidActionDeclarationException", message)
