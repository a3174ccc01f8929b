"""What the day-2 verbs read and write: task definitions, AppSpecs, and a deployment at one moment, in words."""

import json
from pathlib import Path

import pytest

from turnout.cli import appspec
from turnout.cli.controllers.revisions import by_digest, images_in
from turnout.cli.deploy import read_taskdef
from turnout.cli.hooks import MOST_BYTES, files_of
from turnout.cli.sight import plain, sight_of
from turnout.cli.versions import is_same
from turnout.errors import SetupError
from turnout.hookplace import HookPlace, place_in
from turnout.taskdef import registrable

DIGEST = "sha256:" + "a" * 64
INFO = {"deploymentId": "d-1", "status": "InProgress", "creator": "user", "deploymentConfigName": "Canary"}
TARGET = {
    "lifecycleEvents": [{"lifecycleEventName": "AllowTraffic", "status": "InProgress"}],
    "taskSetsInfo": [
        {"taskSetLabel": "Green", "trafficWeight": 10.0, "targetGroup": {"name": "g"}, "runningCount": 1},
        {"taskSetLabel": "Blue", "trafficWeight": 90.0, "targetGroup": {"name": "b"}, "runningCount": 1},
    ],
}


def taskdef(folder: Path, **more: object) -> Path:
    path = folder / "taskdef.json"
    path.write_text(
        json.dumps({"family": "web", "containerDefinitions": [{"name": "app", "image": "<IMAGE1_NAME>"}]} | more)
    )
    return path


def test_an_image_stands_for_the_placeholder_and_nulls_are_left_out(tmp_path: Path) -> None:
    document = read_taskdef(taskdef(tmp_path, networkMode=None), ["web:1"], tmp_path)
    assert document == {"family": "web", "containerDefinitions": [{"name": "app", "image": "web:1"}]}


def test_an_image_can_be_given_to_a_container_by_name_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    path = taskdef(tmp_path)
    assert read_taskdef(path, ["app=web:2"], tmp_path)["containerDefinitions"][0]["image"] == "web:2"
    with pytest.raises(SetupError, match="no container db; it has app"):
        read_taskdef(path, ["db=web:2"], tmp_path)


def test_without_an_image_the_one_that_the_build_left_is_taken_and_without_any_it_is_asked_for(tmp_path: Path) -> None:
    path = taskdef(tmp_path)
    with pytest.raises(SetupError, match="--image"):
        read_taskdef(path, [], tmp_path)
    (tmp_path / "imageDetail.json").write_text(json.dumps({"ImageURI": f"web@{DIGEST}"}))
    assert read_taskdef(path, [], tmp_path)["containerDefinitions"][0]["image"] == f"web@{DIGEST}"


def test_a_file_that_is_no_json_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "taskdef.json"
    path.write_text('{\n"family": }')
    with pytest.raises(SetupError, match=r"taskdef\.json:2 is not JSON"):
        read_taskdef(path, [], tmp_path)


def test_two_revisions_that_run_the_same_are_the_same() -> None:
    one = {"family": "web", "revision": 1, "status": "ACTIVE", "containerDefinitions": []}
    assert is_same(one, one | {"revision": 2})
    assert registrable(one) == {"family": "web", "containerDefinitions": []}


def test_an_appspec_keeps_all_but_its_task_definition() -> None:
    spec = appspec.parse(
        "resources: [{S: {Type: T, properties: {taskDefinition: x, PlatformVersion: L}}}]\nHooks: []", "f"
    )
    made = appspec.running(spec, "arn:2", "f")
    assert made["Resources"][0]["S"]["Properties"] == {"TaskDefinition": "arn:2", "PlatformVersion": "L"}
    assert made["Hooks"] == []
    assert appspec.task_definition_of(made) == "arn:2"
    with pytest.raises(SetupError, match="exactly one entry"):
        appspec.running({"Resources": []}, "arn:2", "f")


def test_what_a_receipt_says_that_a_version_ran_beats_its_tag() -> None:
    side = {"taskDefinition": "arn:1", "images": [{"container": "app", "image": "r.io/web:1", "digest": DIGEST}]}
    assert images_in({"green": None, "blue": side}, {"taskDefinitionArn": "arn:1"}) == {"app": f"r.io/web@{DIGEST}"}
    assert images_in({"green": None, "blue": side}, {"taskDefinitionArn": "arn:2"}) == {}
    assert by_digest("localhost:5000/web:1", DIGEST) == f"localhost:5000/web@{DIGEST}"


def test_a_canary_is_told_in_one_line_from_what_aws_answers_alone() -> None:
    assert plain(sight_of(INFO, TARGET, {}, {})) == (
        "d-1 InProgress | blue 90 %, green 10 % | AllowTraffic: 10 % of the traffic goes to green"
    )


def test_a_deployment_that_waits_for_somebody_names_the_verb() -> None:
    assert "turnout promote" in plain(sight_of(INFO | {"status": "Ready"}, TARGET, {}, {}))
    kept = INFO | {"instanceTerminationWaitTimeStarted": True}
    assert "--now" in plain(sight_of(kept, TARGET | {"lifecycleEvents": []}, {}, {}))


def test_the_folder_of_a_hook_file_goes_along_but_for_what_is_ignored(tmp_path: Path) -> None:
    for path in ("turnout.yml", "smoke.sh", "secret.env", "lib/check.py", ".git/HEAD", "node_modules/a/b.js"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / ".dockerignore").write_text("*.env\nturnout.yml\n")
    assert files_of(tmp_path) == [".dockerignore", "lib/check.py", "smoke.sh", "turnout.yml"]


def test_a_folder_that_is_too_large_for_hooks_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "turnout.yml").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(SetupError, match="holds 64 MiB beside"):
        files_of(tmp_path)


def test_the_place_of_a_hook_file_is_in_the_revision() -> None:
    place = HookPlace("bucket", "key.zip", "turnout.yml")
    revision = appspec.revision_of({**appspec.made_for("web:1", "app", 80), appspec.HOOKS_AT: place})
    content = revision["appSpecContent"]["content"]
    assert place_in(content) == place
    parsed = appspec.parse(content, "it")
    assert appspec.task_definition_of(parsed) == "web:1"
    assert appspec.revision_of(appspec.running(parsed, "web:1", "it")) == revision, "a rollback has it, too"
