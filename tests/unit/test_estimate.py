"""The estimate of a turn's tokens: never less for more, never an error, and cheap."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from openresponses.core.estimate import FILE, IMAGE, ITEM, VIDEO, tokens_in, tokens_of
from openresponses.core.run import OfferedTool
from openresponses.core.turn import Turn
from openresponses.schema.items import Item
from openresponses.schema.request import CreateResponse
from openresponses.schema.tools import UpstreamTool

_ITEM = TypeAdapter[Item](Item)
_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_OBJECT = st.dictionaries(_TEXT, _JSON, max_size=3)


def _of(kind: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


_PARTS = st.lists(
    _of("input_text", text=_TEXT)
    | _of("output_text", text=_TEXT)
    | _of("refusal", refusal=_TEXT)
    | _of("summary_text", text=_TEXT)
    | _of("input_image", image_url=_TEXT)
    | _of("input_file", file_data=_TEXT, filename=_TEXT)
    | _of("input_video", video_url=_TEXT),
    max_size=3,
)
_CALL = {"call_id": st.just("c")}
ITEMS = st.one_of(
    _of("message", role=st.sampled_from(["user", "assistant", "system", "developer"]), content=_PARTS | _TEXT),
    _of("function_call", **_CALL, name=st.just("f"), arguments=_TEXT),
    _of("function_call_output", **_CALL, output=_TEXT),
    _of("custom_tool_call", **_CALL, name=st.just("f"), input=_TEXT),
    _of("custom_tool_call_output", **_CALL, output=_TEXT),
    _of("reasoning", encrypted_content=_TEXT | st.none(), summary=st.just([])),
    _of("compaction", encrypted_content=st.text(max_size=40)),
    _of("serverless:clock", **_CALL, name=st.just("clock"), arguments=_TEXT, output=_TEXT | st.none()),
    _of("other:item", value=_JSON),
    _of("shell_call", **_CALL, action=_JSON),
    _of("computer_call_output", **_CALL, output=_JSON),
    _of("apply_patch_call_output", **_CALL, output=_JSON, status=st.just("failed")),
    _of("tool_search_output", **_CALL, tools=st.just([{"type": "function", "name": "f"}])),
    _of("agent_message", author=st.just("a"), recipient=st.just("b"), content=st.lists(_JSON, max_size=3)),
).map(_ITEM.validate_python)


def turn(*items: Item, **changes: Any) -> Turn:
    made = Turn("m", items, None, (), "auto", None, None, CreateResponse(model="m"))
    return replace(made, **changes)


def item(**fields: Any) -> Item:
    return _ITEM.validate_python(fields)


def message(*parts: dict[str, Any]) -> Item:
    return item(role="user", content=list(parts))


@given(st.lists(ITEMS, max_size=6), st.integers(0, 6))
def test_more_items_are_never_less(items: list[Item], size: int) -> None:
    assert 0 <= tokens_in(turn(*items[:size])) <= tokens_in(turn(*items))
    assert tokens_of(items) <= sum(tokens_of([each]) for each in items) <= tokens_of(items) + len(items)


@given(_TEXT, st.dictionaries(st.text("abc"), _JSON, max_size=3), _OBJECT)
def test_instructions_tools_and_a_schema_count(text: str, parameters: Any, schema: Any) -> None:
    empty = tokens_in(turn())
    tool = OfferedTool(name="f", kind="function", item_type="function", wire_name="f", parameters=parameters)
    search = UpstreamTool.model_validate({**parameters, "type": "web_search"})
    form = {"format": {"type": "json_schema", "name": "f", "schema": schema}}
    assert tokens_in(turn(instructions=text)) >= empty
    assert tokens_in(turn(tools=(tool,))) > empty
    assert tokens_in(turn(upstream_tools=(search,))) > empty
    assert tokens_in(turn(request=CreateResponse.model_validate({"model": "m", "text": form}))) >= empty


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        (message({"type": "input_text", "text": "a" * 400}), ITEM + 100),
        (message({"type": "input_text", "text": "漢字" * 200}), ITEM + 300),
        (message({"type": "input_image", "image_url": "data:image/png;base64," + "A" * 10_000}), ITEM + IMAGE),
        (message({"type": "input_file", "file_data": "A" * 10_000}), ITEM + FILE),
        (message({"type": "input_video", "video_url": "https://a"}), ITEM + VIDEO),
        (item(type="function_call", call_id="c", name="load", arguments='{"a": 1}'), ITEM + 3),
        (item(type="function_call_output", call_id="c", output="a" * 40), ITEM + 10),
        (item(type="serverless:clock", call_id="c", name="tick", arguments="", output="a" * 40), ITEM + 11),
        (item(type="reasoning", encrypted_content="A" * 2_000), ITEM + 213),
        (item(type="reasoning", content=[{"type": "reasoning_text", "text": "a" * 4_000}]), ITEM + 1_000),
        (item(type="compaction", encrypted_content="A" * 2_000), ITEM + 213),
        (item(type="image_generation_call", result="A" * 10_000), ITEM + IMAGE),
    ],
)  # fmt: skip
def test_what_an_item_costs(given: Item, tokens: int) -> None:
    assert tokens_of([given]) == tokens


def test_the_largest_conversation_is_counted_in_less_time_than_it_is_written() -> None:
    words = [item(role="user", content=("é" if each % 2 else "e") * 24_000) for each in range(1_000)]
    deep: Any = {}
    for _ in range(150):
        deep = {"properties": {"a": deep, "b": [{"type": "string"}] * 200}}
    tool = OfferedTool(name="f", kind="function", item_type="function", wire_name="f", parameters=deep)
    began = time.process_time()
    tokens_in(turn(*words, tools=(tool,)))
    counted = time.process_time()
    json.dumps([each.model_dump(mode="json") for each in words] + [deep])
    assert counted - began < time.process_time() - counted
