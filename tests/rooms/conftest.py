"""Fixtures that several files of room tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.pipeline import PipelineWorld
from tests.fakes.seed import seed


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[PipelineWorld]:
    """A world with CodePipeline alone, over a repository with one commit."""
    yard = PipelineWorld(tmp_path)
    yard.codecommit.push("c1", message='say "hi"')
    yield yard
    yard.close()


@pytest.fixture
def client(yard: PipelineWorld) -> Any:
    """CodePipeline with the seed's pipeline, whose first execution is inside Build."""
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=seed())
    yard.tick()
    return client
