"""Our turn, made from a recorded request: what its model was given to read, as our items and tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from openresponses.core.run import OfferedTool
from openresponses.core.turn import Turn
from openresponses.schema.items import Item
from openresponses.schema.request import CreateResponse
from openresponses.schema.tools import UpstreamTool
from tests.recordings.asking import functions_of
from tests.recordings.recordings import TURNS, Json, Recording

_ITEMS = TypeAdapter(list[Item])


def turn_of(recording: Recording) -> Turn:
    request = recording.request
    said = request[TURNS[recording.dialect]]
    messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
    items = [item for message in messages for item in _items(message)]
    tools = [
        OfferedTool(kind="function", item_type="function", wire_name=each["name"], **_described(each))
        for each in functions_of(recording)
    ]
    upstream = [each for each in request.get("tools", []) if recording.dialect == "openai_responses"]
    own = ("function", "custom", "tool_search")
    return Turn(
        model="m",
        items=tuple(_ITEMS.validate_python(items)),
        instructions=_text(request.get("instructions") or request.get("system") or request.get("systemInstruction")),
        tools=tuple(tools),
        tool_choice="auto",
        must_call=None,
        max_output_tokens=None,
        request=CreateResponse.model_validate({"model": "m", "text": _format(request)}),
        upstream_tools=tuple(UpstreamTool.model_validate(each) for each in upstream if each["type"] not in own),
    )


def _described(tool: Json) -> Json:
    return {"name": tool["name"], "description": tool["description"], "parameters": tool["parameters"]}


def _format(request: Json) -> Json | None:
    form = request.get("response_format", {}).get("json_schema")
    if form := form or request.get("text", {}).get("format", {}):
        return {"format": {"type": "json_schema", "name": "f", "schema": form["schema"]}} if "schema" in form else None
    return None


def _items(message: Json) -> Iterator[Json]:
    """What a message is as items, whichever of the five wires it is of."""
    if message.get("type", "message") != "message":  # the Responses API's own
        yield message
        return
    role = {"model": "assistant"}.get(message["role"], message["role"])
    if role == "tool":
        yield _output(message["content"])
        return
    content = message.get("content", message.get("parts")) or []
    for block in [{"text": content}] if isinstance(content, str) else content:
        yield _block(role, block)
    if reasoning := message.get("reasoning_content") or message.get("reasoning"):
        yield {"type": "reasoning", "content": [{"type": "reasoning_text", "text": reasoning}]}
    for call in message.get("tool_calls") or ():
        yield _call(call["function"]["name"], call["function"]["arguments"])


def _block(role: str, block: Json) -> Json:
    match block:
        case {"functionCall": call} | {"toolUse": call} | ({"type": "tool_use"} as call):
            return _call(call["name"], json.dumps(call.get("args", call.get("input"))))
        case {"functionResponse": {"response": output}} | {"toolResult": {"content": output}}:
            return _output(_text(output))
        case {"type": "tool_result", "content": output}:
            return _output(_text(output))
        case {"thinking": str(text)} | {"reasoningContent": {"reasoningText": {"text": text}}}:
            return {"type": "reasoning", "content": [{"type": "reasoning_text", "text": text}]}
        case {"text": str(text)}:
            kind = "output_text" if role == "assistant" else "input_text"
            return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        case {"type": str()} if not {"source", "image_url", "file"} & block.keys():
            return {"type": "other:block", **{name: value for name, value in block.items() if name != "type"}}
        case _:
            return {"type": "message", "role": role, "content": [{"type": "input_image", "image_url": "data:"}]}


def _call(name: str, arguments: str) -> Json:
    return {"type": "function_call", "call_id": "c", "name": name, "arguments": arguments}


def _output(text: Any) -> Json:
    return {"type": "function_call_output", "call_id": "c", "output": _text(text)}


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case list():
            return "\n".join(map(_text, value))
        case {"text": str(text)}:
            return text
        case {"parts": parts}:
            return _text(parts)
        case _:
            return json.dumps(value)
