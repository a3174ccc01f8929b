"""Stories: deployments under load with a real Envoy and real processes. None of them may lose a request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.stage import Stage

SPEED = 60.0
"""A minute of AWS's is a second."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One engine for each file: Envoy may watch so many files only, and every listener is one."""
    stage = Stage(SPEED)
    yield stage
    stage.end()
