"""What ECS makes of an image's name: what a tag in ECR means, ECR says, whatever address the name has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import World
from tests.rooms.registering import RegistryClient

AWS_NAME = "000000000000.dkr.ecr.us-east-1.amazonaws.com/hello"


@pytest.fixture
def ecs(world: World) -> Any:
    world.boto("ecr").create_repository(repositoryName="hello")
    client = world.boto("ecs")
    client.create_cluster(clusterName="shop")
    return client


def run(world: World, image: str) -> str:
    """The image, as the runtime was told it, of a task that runs."""
    ecs = world.boto("ecs")
    container = {"name": "web", "image": image, "memory": 64}
    definition = ecs.register_task_definition(family="web", containerDefinitions=[container])["taskDefinition"]
    ecs.run_task(cluster="shop", taskDefinition=definition["taskDefinitionArn"])
    world.tick(1)
    (started,) = [each.workload.image for each in world.runtime.containers.values() if each.state.is_running]
    for name in list(world.runtime.containers):
        world.runtime.end(name, 0)
    world.tick(1)
    return started


def test_a_tag_in_ecr_means_what_ecr_says(world: World, ecs: Any) -> None:
    first = RegistryClient(world).push("hello", "1", b"one")
    assert run(world, f"{AWS_NAME}:1") == f"{AWS_NAME}@{first}"
    second = RegistryClient(world).push("hello", "1", b"two")
    assert run(world, "127.0.0.1:4566/hello:1") == f"{AWS_NAME}@{second}"
    assert run(world, f"127.0.0.1:4566/hello@{first}") == f"{AWS_NAME}@{first}"


def test_what_ecr_does_not_have_is_the_runtimes_to_find_or_to_miss(world: World, ecs: Any) -> None:
    built = f"{AWS_NAME}@sha256:{'b' * 64}"
    world.runtime.digests[f"{AWS_NAME}:built"] = built
    assert run(world, f"{AWS_NAME}:built") == built
    other = "123456789012.dkr.ecr.us-east-1.amazonaws.com/hello"
    world.runtime.digests[f"{other}:1"] = f"{other}@sha256:{'c' * 64}"
    assert run(world, f"{other}:1") == f"{other}@sha256:{'c' * 64}"
