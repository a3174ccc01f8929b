"""Lifecycle policies as they expire images, and what becomes of the bytes that nobody needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.rooms.registering import RegistryClient, digest_of
from turnout.runtimes.images import Images

HOUR_S, DAY_S = 3600.0, 86400.0


@pytest.fixture
def ecr(world: World) -> Any:
    client = world.boto("ecr")
    client.create_repository(repositoryName="hello")
    return client


def policy(*selections: dict[str, Any]) -> str:
    rules = [
        {"rulePriority": number, "description": "x" * 30, "selection": selection, "action": {"type": "expire"}}
        for number, selection in enumerate(selections, start=1)
    ]
    return json.dumps({"rules": rules})


KEEP_TWO = policy({"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 2})
UNTAGGED_FOR_A_DAY = policy(
    {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1}
)


def tags(ecr: Any) -> list[str]:
    return sorted(one.get("imageTag", "-") for one in ecr.list_images(repositoryName="hello")["imageIds"])


def push(world: World, *wanted: str) -> None:
    client = RegistryClient(world)
    for tag in wanted:
        client.push("hello", tag, f"layer of {tag}".encode())
        world.clock.advance(1)


def test_a_policy_expires_images_an_hour_after_it_was_put_and_each_hour(world: World, ecr: Any) -> None:
    push(world, "1", "2", "3")
    ecr.put_lifecycle_policy(repositoryName="hello", lifecyclePolicyText=KEEP_TWO)
    world.tick(HOUR_S - 5)
    assert tags(ecr) == ["1", "2", "3"]
    world.tick(10)
    assert tags(ecr) == ["2", "3"]
    push(world, "4")
    world.tick(HOUR_S)
    assert tags(ecr) == ["3", "4"]
    assert ecr.get_lifecycle_policy(repositoryName="hello")["lastEvaluatedAt"].timestamp() <= world.clock.now()


def test_an_image_without_a_tag_expires_with_age(world: World, ecr: Any) -> None:
    client = RegistryClient(world)
    client.push("hello", "latest", b"one")
    client.push("hello", "latest", b"two")
    ecr.put_lifecycle_policy(repositoryName="hello", lifecyclePolicyText=UNTAGGED_FOR_A_DAY)
    world.tick(DAY_S - HOUR_S)
    assert tags(ecr) == ["-", "latest"]
    world.tick(2 * HOUR_S)
    assert tags(ecr) == ["latest"]


def test_a_policy_that_is_replaced_or_deleted_expires_nothing_more(world: World, ecr: Any) -> None:
    push(world, "1", "2", "3")
    ecr.put_lifecycle_policy(repositoryName="hello", lifecyclePolicyText=KEEP_TWO)
    ecr.put_lifecycle_policy(repositoryName="hello", lifecyclePolicyText=UNTAGGED_FOR_A_DAY)
    world.tick(2 * HOUR_S)
    assert tags(ecr) == ["1", "2", "3"]
    ecr.put_lifecycle_policy(repositoryName="hello", lifecyclePolicyText=KEEP_TWO)
    assert ecr.delete_lifecycle_policy(repositoryName="hello")["lifecyclePolicyText"] == KEEP_TWO
    world.tick(2 * HOUR_S)
    assert tags(ecr) == ["1", "2", "3"]
    assert world.runs.of_kind("ecr.lifecycle") == []


def test_a_policy_ends_with_its_repository(world: World, ecr: Any) -> None:
    ecr.put_lifecycle_policy(repositoryName="hello", lifecyclePolicyText=KEEP_TWO)
    ecr.delete_repository(repositoryName="hello")
    ecr.create_repository(repositoryName="hello")
    push(world, "1", "2", "3")
    world.tick(2 * HOUR_S)
    assert tags(ecr) == ["1", "2", "3"]


def test_a_restart_neither_hastens_a_policy_nor_forgets_it(world: World, ecr: Any) -> None:
    push(world, "1", "2", "3")
    ecr.put_lifecycle_policy(repositoryName="hello", lifecyclePolicyText=KEEP_TWO)
    world.tick(HOUR_S / 2)
    world.reboot()
    world.tick(10)
    assert tags(ecr) == ["1", "2", "3"]
    world.tick(HOUR_S / 2)
    assert tags(ecr) == ["2", "3"]


def test_a_preview_tells_and_expires_nothing(world: World, ecr: Any) -> None:
    push(world, "1", "2", "3")
    started = ecr.start_lifecycle_policy_preview(repositoryName="hello", lifecyclePolicyText=KEEP_TWO)
    assert started["status"] == "COMPLETE"
    ecr.get_waiter("lifecycle_policy_preview_complete").wait(repositoryName="hello")
    found = ecr.get_lifecycle_policy_preview(repositoryName="hello")
    assert [(one["imageTags"], one["appliedRulePriority"]) for one in found["previewResults"]] == [(["1"], 1)]
    assert found["summary"] == {"expiringImageTotalCount": 1}
    assert tags(ecr) == ["1", "2", "3"]
    with pytest.raises(ClientError, match="LifecyclePolicyNotFoundException"):
        ecr.start_lifecycle_policy_preview(repositoryName="hello")


@pytest.mark.parametrize(
    ("text", "code", "names"),
    [
        ("x" * 100, "InvalidParameterException", "not JSON"),
        (KEEP_TWO.replace("imageCountMoreThan", "imageCountLessThan"), "InvalidParameterException", "countType"),
        (KEEP_TWO.replace('"countNumber": 2', '"countNumber": 0'), "InvalidParameterException", "countNumber"),
        (KEEP_TWO.replace('"any"', '"tagged"'), "InvalidParameterException", "tagPrefixList"),
        (KEEP_TWO.replace('"expire"', '"transition"'), "NotImplementedException", "archives"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(ecr: Any, text: str, code: str, names: str) -> None:
    with pytest.raises(ClientError, match=names) as caught:
        ecr.put_lifecycle_policy(repositoryName="hello", lifecyclePolicyText=text)
    assert caught.value.response["Error"]["Code"] == code


def blobs(world: World) -> set[str]:
    return {f"sha256:{path.name}" for path in (world.home / "images" / "blobs" / "sha256").iterdir()}


def test_the_bytes_of_a_deleted_image_are_removed_a_day_later(world: World, ecr: Any) -> None:
    push(world, "1", "2")
    world.tick(3 * HOUR_S)
    ecr.batch_delete_image(repositoryName="hello", imageIds=[{"imageTag": "1"}])
    world.tick(DAY_S - 4 * HOUR_S)
    assert digest_of(b"layer of 1") in blobs(world)
    world.tick(4 * HOUR_S)
    assert digest_of(b"layer of 1") not in blobs(world)
    assert RegistryClient(world).ask("GET", f"hello/blobs/{digest_of(b'layer of 2')}").body == b"layer of 2"
    assert len(blobs(world)) == 3  # its configuration, layer and manifest


def test_bytes_are_kept_while_any_repository_needs_them(world: World, ecr: Any) -> None:
    ecr.create_repository(repositoryName="other")
    push(world, "1")
    RegistryClient(world).push("other", "1", b"layer of 1")
    ecr.delete_repository(repositoryName="hello", force=True)
    world.tick(3 * DAY_S)
    assert RegistryClient(world).ask("GET", f"other/blobs/{digest_of(b'layer of 1')}").status == 200
    ecr.delete_repository(repositoryName="other", force=True)
    world.tick(3 * HOUR_S)
    assert blobs(world) == set()


def test_a_layer_that_somebody_has_asked_for_waits_a_day_for_its_image(world: World, ecr: Any) -> None:
    client = RegistryClient(world)
    digest = client.push_layer("hello", b"layer")
    world.tick(DAY_S - HOUR_S)
    client = RegistryClient(world)
    assert client.ask("HEAD", f"hello/blobs/{digest}").status == 200
    world.tick(DAY_S - HOUR_S)
    assert digest in blobs(world)
    world.tick(4 * HOUR_S)
    assert digest not in blobs(world)


def test_what_a_kill_leaves_of_a_push_is_swept_away(world: World, ecr: Any) -> None:
    client = RegistryClient(world)
    client.push("hello", "1")
    folder = world.home / "images"
    (folder / "blobs" / "sha256" / ("a" * 64)).write_text("a blob without a row")
    (folder / "blobs" / "sha256" / ".draft-x").write_text("half a manifest")
    (folder / "uploads" / "b").write_text("an upload without a row")
    at = client.ask("POST", "hello/blobs/uploads/").headers["location"]
    client.ask("PATCH", at, b"half a layer")
    world.tick(3 * HOUR_S)
    assert sorted(path.name for path in (folder / "uploads").iterdir()) == [at.rpartition("/")[2]]
    assert len(blobs(world)) == 3
    world.tick(DAY_S)
    assert list((folder / "uploads").iterdir()) == []


def test_the_images_of_turnout_pack_are_not_swept_away(world: World, ecr: Any, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("print()")
    images = Images(world.home / "images")
    image = images.pack(tmp_path / "app", ["python3", "main.py"], "hello:1", "us-east-1")
    world.tick(3 * DAY_S)
    assert blobs(world) == {str(image.reference.digest), *image.layers, json.loads(image.manifest)["config"]["digest"]}
