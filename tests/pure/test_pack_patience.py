"""A build outlives the engine: `turnout pack` in it waits for the next one."""

import pytest
from botocore.exceptions import EndpointConnectionError

from turnout.cli.pack import patiently
from turnout.cli.running import NoEngine


def test_pack_goes_on_as_soon_as_an_engine_answers() -> None:
    answers = iter([NoEngine("killed"), EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), None])

    def act() -> str:
        if error := next(answers):
            raise error
        return "hello@sha256:1"

    assert patiently(act, 30) == "hello@sha256:1"


def test_outside_of_a_build_it_says_at_once_that_there_is_no_engine() -> None:
    def act() -> str:
        raise NoEngine("no engine is running")

    with pytest.raises(NoEngine):
        patiently(act, 0)
