"""Checks against the types of OpenAI's SDK, which are generated from its published OpenAPI document."""

from __future__ import annotations

from functools import cache
from typing import Any

from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter


def check_request(body: dict[str, Any]) -> None:
    """Raises where `body` is no request for a streamed response, or has a field that the types don't know."""
    read = _requests().dump_python(
        _requests().validate_python(body), mode="json", exclude_unset=True, warnings=False
    )  # which drops what they don't know; lists are read when they're dumped
    assert read == body, "the SDK's types don't know all of it"


def check_event(data: str | bytes) -> None:
    """Raises where `data` is not the JSON of an event of a streamed response."""
    _events().validate_json(data)


@cache
def _requests() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseCreateParamsStreaming)


@cache
def _events() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseStreamEvent)
