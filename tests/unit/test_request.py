"""What the request model takes, tolerates and refuses."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from openresponses.schema import events, items, tools
from openresponses.schema.base import Wire
from openresponses.schema.content import InputText, OutputText
from openresponses.schema.request import CreateResponse


def parse(**fields: Any) -> CreateResponse:
    return CreateResponse.model_validate({"model": "m", **fields})


def item(**fields: Any) -> Any:
    parsed = parse(input=[fields]).input
    assert isinstance(parsed, list)
    return parsed[0]


def refusal(**fields: Any) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        parse(**fields)
    return [(error["loc"], error["type"]) for error in caught.value.errors()]


def test_unknown_fields_of_a_request_are_tolerated() -> None:
    request = parse(input="hi", client_metadata={"x": 1}, verbosity="low", store=False)
    assert request.model_dump(exclude_unset=True) == {"model": "m", "input": "hi", "store": False}


def test_unknown_fields_of_an_item_are_dropped() -> None:
    said = item(type="message", role="user", content=[{"type": "input_text", "text": "hi", "x": 1}], y=2)
    assert said == items.Message(role="user", content=[InputText(text="hi")])


@pytest.mark.parametrize(
    ("role", "part"),
    [("user", InputText(text="hi")), ("developer", InputText(text="hi")), ("assistant", OutputText(text="hi"))],
)
def test_content_may_be_a_string(role: Any, part: Any) -> None:
    assert item(role=role, content="hi") == items.Message(role=role, content=[part])


def test_nulls_that_clients_send_are_taken_for_absence() -> None:
    said = item(type="message", id=None, status=None, role="user", content="hi")
    assert (said.id, said.status) == ("", "completed")
    thought = item(type="reasoning", id=None, summary=None, content=None, encrypted_content="S")
    assert thought == items.Reasoning(encrypted_content="S")
    assert parse(tools=[{"type": "function", "name": "f", "description": None, "parameters": None}]).tools == [
        tools.FunctionTool(name="f")
    ]
    every = {name: None for name in CreateResponse.model_fields if name != "model"}
    assert parse(**every) == parse()


def test_a_reference_may_omit_its_type() -> None:
    assert item(id="msg_1") == item(type="item_reference", id="msg_1") == items.ItemReference(id="msg_1")


@pytest.mark.parametrize(
    "said",
    [
        {"type": "nope"},
        {"type": 3, "role": "user"},
        {"id": "x", "text": "y"},
    ],
)
def test_an_item_that_it_cannot_tell_is_refused(said: dict[str, Any]) -> None:
    assert "unknown_item_type" in {kind for _, kind in refusal(input=[said])}


@pytest.mark.parametrize("place", ["input", "tools", "tool_choice"])
def test_a_value_that_is_no_object_is_refused(place: str) -> None:
    assert refusal(**{place: 3 if place == "tool_choice" else [3]})


@pytest.mark.parametrize("said", [{}, {"type": None}, {"type": "item_reference"}, {"role": "user"}])
def test_an_item_without_its_substance_is_refused(said: dict[str, Any]) -> None:
    assert "missing" in {kind for _, kind in refusal(input=[said])}


@pytest.mark.parametrize(
    "fields",
    [
        {"input": [{"type": None, "id": "msg_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x/", "detail": None}]}]},
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": {}, "strict": None}}},
    ],
    ids=["item_reference.type", "input_image.detail", "json_schema.strict"],
)
def test_what_the_specification_lets_be_null_may_be_null(fields: dict[str, Any]) -> None:
    assert parse(**fields).model == "m"


def test_items_of_another_implementor_are_kept_as_they_came() -> None:
    sent = {"type": "acme:thing", "id": "x", "status": "done", "nested": {"a": [1, None]}}
    assert item(**sent).model_dump(mode="json") == sent


def test_a_hosted_call_can_be_sent_back() -> None:
    made = items.HostedToolCall(
        type="serverless:calculator", id="h", call_id="c", name="calculator", status="completed", output="2"
    )
    assert item(**made.model_dump(mode="json")) == made


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        ({"type": "function", "name": "f"}, tools.FunctionTool),
        ({"type": "function", "name": "f", "strict": None}, tools.FunctionTool),
        ({"type": "serverless:calculator"}, tools.HostedTool),
        ({"type": "custom", "name": "shell", "format": {"type": "grammar"}}, tools.CustomTool),
        ({"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "f"}]}, tools.NamespaceTool),
    ],
)
def test_kinds_of_tools(tool: dict[str, Any], kind: type) -> None:
    parsed = parse(tools=[tool]).tools
    assert parsed is not None
    assert type(parsed[0]) is kind
    assert [type(each) for each in item(type="additional_tools", tools=[tool]).tools] == [kind]


@pytest.mark.parametrize("kind", ["telepathy", "acme:search", "serverless:", None])
def test_a_tool_that_is_not_here_is_refused(kind: Any) -> None:
    assert refusal(tools=[{"type": kind}])


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ("auto", str),
        ({"type": "function", "name": "f"}, tools.NamedToolChoice),
        ({"type": "serverless:clock"}, tools.NamedToolChoice),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}, tools.AllowedTools),
    ],
)
def test_kinds_of_tool_choice(choice: Any, kind: type) -> None:
    assert type(parse(tool_choice=choice).tool_choice) is kind


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", ""),
        ("temperature", 2.1),
        ("top_p", -0.1),
        ("max_output_tokens", 15),
        ("max_tool_calls", 0),
        ("metadata", {"k" * 65: "v"}),
        ("metadata", {"k": "v" * 513}),
        ("metadata", {f"k{i}": "v" for i in range(17)}),
        ("tool_choice", "sometimes"),
        ("truncation", ""),
        ("service_tier", 1),
        ("reasoning", {"effort": ""}),
        ("text", {"format": {"type": "json_schema", "name": "x"}}),
        ("text", {"format": {"type": "yaml"}}),
        ("tools", [{"type": "function", "name": "not a name"}]),
        ("input", [{"role": "narrator", "content": "x"}]),
        ("input", [{"role": "user", "content": [{"type": "smell"}]}]),
        ("input", [{"type": "function_call_output", "call_id": "", "output": "x"}]),
        ("input", [{"type": "function_call_output", "call_id": "c", "output": [{"type": "output_text", "text": "x"}]}]),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(field: str, value: Any) -> None:
    assert {location[0] for location, _ in refusal(**{field: value})} == {field}


def test_a_schema_keeps_its_name_on_the_wire() -> None:
    text = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True}}
    request = parse(text=text)
    assert request.model_dump(mode="json", exclude_none=True)["text"] == text
    assert CreateResponse.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize(
    ("sent", "read"),
    [("in_progress", "in_progress"), ("failed", "incomplete"), ("cancelled", "incomplete"), ("new", "completed")],
)
def test_a_status_that_the_standard_lacks_is_its_nearest(sent: str, read: str) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "status": sent}
    request = parse(input=[call, {"role": "assistant", "content": "x", "status": sent, "phase": "thinking"}])
    assert isinstance(request.input, list)
    assert [item.status for item in request.input if item.type in ("function_call", "message")] == [read, read]
    assert request.input[1].model_dump(mode="json")["phase"] == "thinking"


def test_no_model_has_a_schema_of_json_of_its_own() -> None:
    """pydantic builds `JsonValue`'s anew for each model that has one: together, a seventh of a cold start."""
    kinds, seen = [Wire], list[type[Wire]]()
    while kinds:
        seen.append(kind := kinds.pop())
        kinds += kind.__subclasses__()
    assert {CreateResponse, events.ToolProgress, items.ExtensionItem} <= set(seen)
    assert [kind.__name__ for kind in seen if "JsonValue" in repr(kind.model_json_schema())] == []
