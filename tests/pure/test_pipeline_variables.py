"""Variables in the configuration of an action."""

import json

import pytest

from turnout.codepipeline.variables import Unresolved, resolve

KNOWN = {"codepipeline": {"PipelineExecutionId": "e1"}, "Src": {"CommitMessage": 'a "b"\n\\', "CommitId": "c1"}}


def test_every_reference_in_a_text_is_replaced() -> None:
    assert resolve("#{Src.CommitId}-#{codepipeline.PipelineExecutionId}", KNOWN) == "c1-e1"


def test_what_is_no_reference_stays_as_it_is() -> None:
    assert resolve("#Src.CommitId ${HOME} #{only}", KNOWN) == "#Src.CommitId ${HOME} #{only}"


def test_a_value_is_escaped_in_json_and_nowhere_else() -> None:
    text = '[{"name": "M", "value": "#{Src.CommitMessage}"}]'
    assert json.loads(resolve(text, KNOWN, is_json=True))[0]["value"] == 'a "b"\n\\'
    assert resolve("#{Src.CommitMessage}", KNOWN) == 'a "b"\n\\'


@pytest.mark.parametrize("text", ["#{Src.Nothing}", "#{Nobody.CommitId}"])
def test_an_unknown_reference_is_named_together_with_the_known(text: str) -> None:
    with pytest.raises(Unresolved) as raised:
        resolve(text, KNOWN)
    assert text in str(raised.value)
    assert "Src.CommitId" in str(raised.value)
