"""What `turnout bootstrap` reads and declares, before it asks anybody for anything."""

import json
from pathlib import Path
from typing import cast

import botocore.session
import pytest
from botocore.validate import ParamValidator

from turnout.cli.clients import Clients
from turnout.cli.demo.scene import example
from turnout.cli.files import command_of, read_application
from turnout.cli.names import names_for
from turnout.cli.stack.balancer import Balancer
from turnout.cli.stack.parts import Wishes
from turnout.cli.stack.releasing import pipeline_of
from turnout.errors import SetupError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hello", "hello"),
        ("My App_2", "my-app-2"),
        ("--x.y--", "x-y"),
        ("a" * 40, "a" * 24),
        ("a" * 23 + "-b", "a" * 23),
    ],
)
def test_a_stack_is_named_after_its_folder(text: str, name: str) -> None:
    assert names_for(text).name == name


@pytest.mark.parametrize("text", ["", "-", "é", "internal-x"])
def test_a_folder_that_yields_no_name_asks_for_one(text: str) -> None:
    with pytest.raises(SetupError, match="--name"):
        names_for(text)


def test_the_longest_name_leaves_room_for_the_colours() -> None:
    assert len(names_for("x" * 99).green) <= 32


def test_the_pipeline_fits_the_shape_that_aws_takes() -> None:
    model = botocore.session.get_session().get_service_model("codepipeline")
    declared = pipeline_of(names_for("hello"), "arn:aws:iam::000000000000:role/hello-pipeline", "main")
    report = ParamValidator().validate({"pipeline": declared}, model.operation_model("CreatePipeline").input_shape)
    assert not report.has_errors(), report.generate_report()


class Listeners:
    """ELBv2 with one listener that leads everything to green."""

    def describe_listeners(self, ListenerArns: list[str]) -> dict[str, object]:
        groups = [{"TargetGroupArn": "green", "Weight": 100}]
        return {"Listeners": [{"DefaultActions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]}]}


def test_a_service_that_is_made_anew_belongs_where_the_traffic_is_led() -> None:
    balancer = Balancer(cast(Clients, lambda service: Listeners()), names_for("hello"), Wishes(), lambda *_: None)
    assert balancer.live_group("production", ("blue", "green")) == "green"


def test_the_example_is_ready_to_be_released() -> None:
    application = read_application(example())
    definition = application.task_definition_with("registry/hello@sha256:1")
    assert (application.container, application.port) == ("hello", 8000)
    assert definition["containerDefinitions"][0]["image"] == "registry/hello@sha256:1"


def test_a_folder_that_lacks_files_is_told_which_and_what_for(tmp_path: Path) -> None:
    (tmp_path / "appspec.yml").write_text("version: 0.0\n")
    with pytest.raises(SetupError) as refused:
        read_application(tmp_path)
    assert "buildspec.yml" in str(refused.value)
    assert "taskdef.json" in str(refused.value)
    assert "appspec.yml" not in str(refused.value)


def copy(folder: Path, **changed: str) -> Path:
    for name in ("buildspec.yml", "appspec.yml", "taskdef.json"):
        (folder / name).write_text(changed.get(name.partition(".")[0], (example() / name).read_text()))
    return folder


def test_an_appspec_without_a_container_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="ContainerName"):
        read_application(copy(tmp_path, appspec="version: 0.0\nResources: []\n"))


def test_an_appspec_and_a_task_definition_that_disagree_are_refused(tmp_path: Path) -> None:
    other = json.dumps({"family": "x", "containerDefinitions": [{"name": "web"}]})
    with pytest.raises(SetupError, match="hello"):
        read_application(copy(tmp_path, taskdef=other))


def test_a_procfile_says_how_the_application_starts(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("release: true\nweb: python3 app.py --port 1:2\n")
    assert command_of(tmp_path) == "python3 app.py --port 1:2"
