"""Placeholders and what fills them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core.errors import ContextTooLong, RequestError
from openresponses.core.prompts import MAX_FILLED, filled, placeholders
from openresponses.schema.request import CreateResponse, PromptReference

IMAGE = {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"}
FILE = {"type": "input_file", "filename": "a.pdf", "file_data": "QQ=="}


def body(**fields: Any) -> CreateResponse:
    return CreateResponse.model_validate(fields)


def fill(prompt: CreateResponse, **variables: Any) -> tuple[str | None, list[Any]]:
    given_ = PromptReference.model_validate({"id": "p", "variables": variables}).variables
    instructions, messages = filled(prompt, given_ or {})
    return instructions, [(each.role, [part.model_dump(mode="json") for part in each.content]) for each in messages]


def said(text: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": kind, "text": text}


@pytest.mark.parametrize(
    ("text", "filled_in"),
    [
        ("{{a}}", "A"),
        ("{{ a }}{{a}}", "AA"),
        ("x {{a}}, {{b.c-d_e}} y", "x A, {{a}} y"),
        ("{a} {{}} {{a b}} {{1}} {{{a}}} }}{{", "{a} {{}} {{a b}} {{1}} {{{a}}} }}{{".replace("{{{a}}}", "{A}")),
        ("", ""),
    ],
)
def test_each_placeholder_is_filled_once_and_nothing_else_is_touched(text: str, filled_in: str) -> None:
    variables = {"a": "A", "b.c-d_e": "{{a}}"}
    prompt = body(instructions=text, input=[{"role": "user", "content": text}])
    assert fill(prompt, **variables) == (filled_in, [("user", [said(filled_in)])])


@given(st.text(), st.text())
def test_what_a_variable_says_is_taken_as_it_is(before: str, value: str) -> None:
    clean = before.replace("{", "").replace("}", "")
    assert fill(body(instructions=f"{clean}{{{{a}}}}{clean}"), a=value)[0] == f"{clean}{value}{clean}"


def test_a_text_part_is_as_good_as_a_string() -> None:
    assert fill(body(instructions="{{a}}"), a=said("A")) == ("A", [])


def test_an_image_and_a_file_stand_where_a_user_speaks() -> None:
    prompt = body(input=[{"role": "user", "content": [said("Look: {{it}}. And {{that}}"), said("{{it}}"), IMAGE]}])
    shown = [said("Look: "), IMAGE, said(". And "), FILE, IMAGE, IMAGE]
    assert fill(prompt, it=IMAGE, that=FILE) == (None, [("user", shown)])


@pytest.mark.parametrize(
    "prompt",
    [
        {"instructions": "{{it}}"},
        {"input": [{"role": "assistant", "content": "{{it}}"}]},
        {"input": [{"role": "developer", "content": "{{it}}"}]},
    ],
)
def test_an_image_stands_nowhere_else(prompt: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="must be text") as raised:
        fill(body(**prompt), it=IMAGE)
    assert raised.value.param == "prompt.variables.it"


def test_a_variable_that_is_missing_is_named_and_one_too_many_is_left_out() -> None:
    prompt = body(instructions="{{a}}", input="{{b}}")
    assert fill(prompt, a="A", b="B", c=IMAGE) == ("A", [("user", [said("B")])])
    with pytest.raises(RequestError) as raised:
        fill(prompt, a="A", c="C")
    assert (raised.value.param, raised.value.code) == ("prompt.variables.b", "missing_required_parameter")


def test_roles_and_their_kinds_of_text_stay() -> None:
    roles = ("user", "assistant", "system", "developer")
    prompt = body(input=[{"role": role, "content": "{{a}}", "id": "msg_1"} for role in roles])
    kinds = ("input_text", "output_text", "input_text", "input_text")
    _, messages = filled(prompt, {"a": "A"})
    assert [(each.role, each.id, each.content[0].type) for each in messages] == [
        (role, "", kind) for role, kind in zip(roles, kinds, strict=True)
    ]


def test_an_empty_variable_leaves_a_part() -> None:
    assert fill(body(input="{{a}}"), a="") == (None, [("user", [said("")])])


def test_what_variables_make_is_not_much_longer_than_a_request() -> None:
    value = "x" * (MAX_FILLED // 64)
    assert len(fill(body(instructions="{{a}}" * 64), a=value)[0] or "") == MAX_FILLED
    for wrong in (value, {**FILE, "file_data": value}):
        with pytest.raises(ContextTooLong) as raised:
            fill(body(input="{{a}}" * 65), a=wrong)
        assert raised.value.param == "prompt.variables"


def test_placeholders_are_named_once_in_their_order() -> None:
    prompt = body(instructions="{{b}} {{a}}", input=[{"role": "user", "content": "{{c}} {{a}}"}])
    assert placeholders(prompt) == ["b", "a", "c"]


def test_a_prompt_has_messages_and_no_other_items() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    with pytest.raises(RequestError) as raised:
        placeholders(body(input=[{"role": "user", "content": "x"}, call]))
    assert raised.value.param == "input[1].type"
