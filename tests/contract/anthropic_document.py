"""Whether a request is one by Anthropic's own published documents: its OpenAPI document, and its SDK's types."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming
from jsonschema import Draft202012Validator
from pydantic import BaseModel, JsonValue, TypeAdapter

from openresponses.dialects._shared.json import fields, objects
from openresponses.schema.base import JsonObject

NEWER = ("block_binding", "between_tools")
"""What the OpenAPI document doesn't know yet, of the year's middle; the SDK is the year's end's."""
OLDER = ("temperature", "top_p", "top_k")
"""What the SDK doesn't know any more, but the models before Claude 4.7 take."""


def problems(body: JsonObject) -> list[str]:
    thinking = {name: value for name, value in fields(body.get("thinking")).items() if name not in NEWER}
    older = {**body, "thinking": thinking} if thinking.get("type") not in (None, *NEWER) else {**body}
    if older.get("thinking") == {"type": "between_tools"}:
        del older["thinking"]
    by_document = [error.message for error in _document().iter_errors(older)]
    known = {name: _typed(value) if name == "tools" else value for name, value in body.items() if name not in OLDER}
    unknown = [] if _plain(_sdk().validate_python(known)) == known else ["a field that the SDK's types don't have"]
    return by_document + unknown


def _typed(tools: JsonValue) -> JsonValue:
    """Of a tool's schema the SDK's types have only the first level."""
    schemas = ("type", "properties", "required")
    return [
        {**tool, "input_schema": {key: each for key, each in fields(tool["input_schema"]).items() if key in schemas}}
        if "input_schema" in tool
        else tool
        for tool in objects(tools)
    ]


@cache
def _document() -> Draft202012Validator:
    document = json.loads((files("llm_comply") / "specs" / "anthropic.json").read_text())
    return Draft202012Validator({**document, "$ref": "#/components/schemas/CreateMessageParams"})


@cache
def _sdk() -> TypeAdapter[Any]:
    return TypeAdapter(MessageCreateParamsStreaming)


def _plain(value: Any) -> Any:
    """The SDK's types are read as they are iterated; a field that they don't know is gone then."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return value
    return [_plain(each) for each in value]
