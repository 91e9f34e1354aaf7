"""The response resource: complete from its first event on, and valid in every state."""

from __future__ import annotations

from typing import Any

import pytest

from openresponses.core.reducer import apply
from openresponses.responses.intake import new_response
from openresponses.schema import events as ev
from openresponses.schema.items import Message
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Response, ResponseError
from tests.openresponses_schema import _document, check_response

REQUIRED = set(_document()["components"]["schemas"]["ResponseResource"]["required"])
SCHEMA = {"type": "object", "properties": {}}


def response_to(**request: Any) -> dict[str, Any]:
    parsed = CreateResponse.model_validate({"model": "m", "input": "hi", **request})
    return new_response(parsed, "resp_1", 1).model_dump(mode="json")


def test_all_31_required_fields_are_always_there() -> None:
    assert len(REQUIRED) == 31
    assert set(response_to()) == REQUIRED


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "function", "name": "f"}},
        {"tools": [{"type": "function", "name": "f", "parameters": SCHEMA, "strict": True, "description": "d"}]},
        {"tools": [{"type": "serverless:clock"}, {"type": "custom", "name": "c"}], "tool_choice": "required"},
        {"tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}], "mode": "auto"}},
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}}},
        {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
        {"text": {"verbosity": None}},
        {"reasoning": {"effort": "low", "summary": "auto"}},
        {"reasoning": {}},
        {"temperature": 0, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": -1, "top_logprobs": 2},
        {"max_output_tokens": 16, "max_tool_calls": 1, "parallel_tool_calls": False, "truncation": "auto"},
        {"metadata": {"a": "b"}, "safety_identifier": "s", "prompt_cache_key": "p", "service_tier": "flex"},
        {"instructions": "Be brief.", "store": True},
    ],
)
def test_what_a_request_sets_is_echoed_in_a_valid_response(request_: dict[str, Any]) -> None:
    check_response(response_to(**request_))


def test_words_that_the_standard_lacks_are_accepted_and_its_own_are_echoed() -> None:
    """The tier may be any word there. `scale`, `fast` and `ultrafast` are OpenAI's by now."""
    words = {"service_tier": "ultrafast", "truncation": "middle"}
    response = response_to(**words, text={"verbosity": "max"}, reasoning={"summary": "full", "effort": "low"})
    check_response(response)
    assert (response["service_tier"], response["truncation"]) == ("ultrafast", "disabled")
    assert "verbosity" not in response["text"]
    assert response["reasoning"] == {"effort": "low", "summary": None}


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [("minimal", "low"), ("low", "low"), ("max", "xhigh"), ("ultra", "xhigh"), ("none", "none"), ("enormous", None)],
)
def test_an_effort_is_echoed_as_the_nearest_that_the_standard_has(asked: str, echoed: str | None) -> None:
    response = response_to(reasoning={"effort": asked})
    check_response(response)
    assert response["reasoning"] == {"effort": echoed, "summary": None}


@pytest.mark.parametrize("status", ["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"])
def test_a_response_is_valid_in_every_status(status: Any) -> None:
    error = ResponseError(code="provider_error", message="m")
    check_response(Response(id="r", created_at=1, model="m", status=status, error=error).model_dump(mode="json"))


def test_only_items_and_the_lifecycle_change_a_response() -> None:
    response = Response(id="r", created_at=1, model="m")
    said = Message(id="m1", role="assistant", content=[], status="in_progress")
    added = apply(response, ev.OutputItemAdded(output_index=0, item=said))
    assert (response.output, added.output) == ([], [said])
    same = apply(added, ev.OutputTextDelta(item_id="m1", output_index=0, content_index=0, delta="x"))
    assert same is added
    done = said.model_copy(update={"status": "completed"})
    assert apply(added, ev.OutputItemDone(output_index=0, item=done)).output == [done]
    assert added.output == [said]
    final = response.model_copy(update={"status": "completed"})
    assert apply(added, ev.ResponseCompleted(response=final)) is final
