"""A push that is killed at every point: it has happened, with all that it starts, or not; it can be repeated."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import World
from tests.crash.dying import Killed
from tests.fakes.seed import action, approval, pipeline
from tests.rooms.registering import RegistryClient, digest_of

SOURCE = action("Source", "ECR", "Image", {"RepositoryName": "hello", "ImageTag": "1"}, output=["Image"])


def test_a_push_has_happened_or_has_not_wherever_the_engine_dies(tmp_path: Path) -> None:
    def lived(fatal: int | None) -> int:
        home = tmp_path / str(fatal)
        home.mkdir()
        world = World(home)
        world.boto("s3").create_bucket(Bucket="artifacts")
        ecr, codepipeline = world.boto("ecr"), world.boto("codepipeline")
        ecr.create_repository(repositoryName="hello")
        codepipeline.create_pipeline(pipeline=pipeline(("Source", [SOURCE]), ("Wait", [approval()])))
        world.tick()
        client = RegistryClient(world)
        points = 0

        def fuse(point: str) -> None:
            nonlocal points
            if point == "before commit":
                return
            points += 1
            if points == fatal:
                raise Killed(point)

        world.fuse = fuse
        try:
            client.push("hello", "1", b"layer")
        except Killed:
            world.fuse = lambda point: None
            world.reboot()
            for image in ecr.list_images(repositoryName="hello")["imageIds"]:
                assert client.ask("GET", f"hello/manifests/{image['imageDigest']}").status == 200
                assert client.ask("GET", f"hello/blobs/{digest_of(b'layer')}").body == b"layer"
            client.push("hello", "1", b"layer")
        world.fuse = lambda point: None
        world.tick()
        assert len(ecr.list_images(repositoryName="hello")["imageIds"]) == 1
        statuses = [
            one["status"]
            for one in codepipeline.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"]
        ]
        assert statuses == ["InProgress", "Failed"], f"killed at point {fatal}"
        world.close()
        return points

    points = lived(None)
    assert points >= 5
    for fatal in range(1, points + 1):
        lived(fatal)
