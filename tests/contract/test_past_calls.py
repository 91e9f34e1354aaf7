"""What a model wrote as a call's arguments, as the object that vendors insist on."""

import pytest

from openresponses.dialects._shared.history import arguments, arguments_text
from openresponses.schema.items import CustomToolCall, FunctionCall

DEEP = '{"a": ' * 9999 + "1" + "}" * 9999


@pytest.mark.parametrize(("text", "becomes"), [("", "{}"), ("{}", "{}"), ('{"a":  "é"}', '{"a":  "é"}')])
def test_an_object_goes_as_it_was_written(text: str, becomes: str) -> None:
    assert arguments_text(FunctionCall(call_id="a", name="f", arguments=text)) == becomes


@pytest.mark.parametrize("text", ["{", "[1]", "null", "é", '{"a": NaN}', '{"a": [-Infinity]}', DEEP])
def test_what_is_no_object_goes_in_one(text: str) -> None:
    call = FunctionCall(call_id="a", name="f", arguments=text)
    assert arguments(call) == {"invalid_arguments": text}
    assert arguments_text(call).startswith('{"invalid_arguments": "')


def test_a_custom_tool_s_input_is_an_argument() -> None:
    assert arguments(CustomToolCall(call_id="a", name="f", input="é")) == {"input": "é"}
    assert arguments_text(CustomToolCall(call_id="a", name="f", input="é")) == '{"input": "é"}'
