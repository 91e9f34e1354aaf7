"""Checks against the types of OpenAI's SDK, which are generated from its published OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import BaseModel, TypeAdapter


def check_request(body: dict[str, Any]) -> None:
    """Raises where `body` is no request for a streamed response, or has a field that the types don't know."""
    read = _requests().dump_python(
        _requests().validate_python(body), mode="json", exclude_unset=True, warnings=False
    )  # which drops what they don't know; lists are read when they're dumped
    assert read == body, "the SDK's types don't know all of it"


def check_event(data: str | bytes) -> None:
    """Raises where `data` is not the JSON of an event of a streamed response."""
    _events().validate_json(data)


def unknown_fields(answer: Any, of: Any) -> set[str]:
    """Those that the type doesn't know, as paths. Raises where `answer` is not of the type, or lacks a field."""
    return set(_unknown(_adapter(of).validate_python(answer), ""))


def _unknown(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _unknown(each, f"{path}[]")
    elif isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or ())
        for name in value.model_fields_set:
            yield from _unknown(getattr(value, name), f"{path}.{name}")


@cache
def _adapter(of: Any) -> TypeAdapter[Any]:
    return TypeAdapter(of)


@cache
def _requests() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseCreateParamsStreaming)


@cache
def _events() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseStreamEvent)
