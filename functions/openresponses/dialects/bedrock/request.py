"""Tools, the choice among them, and the answer's format, for Converse. Pure.

Source: the API reference of Amazon Bedrock, `ToolConfiguration`, `ToolChoice` and `OutputFormat`.
"""

import json
from collections.abc import Sequence
from typing import Literal

from pydantic import JsonValue

from ...core.run import OfferedTool
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.request import JsonObjectFormat, JsonSchemaFormat
from .._shared.checking import instruction
from .._shared.naming import Naming
from .._shared.schemas import constrained, enforceable
from .._shared.tools import free_text_schema
from .models import BedrockOptions, Traits


def mark(body: JsonObject, traits: Traits, options: BedrockOptions) -> None:
    """Points after the tools, the system blocks and, in a conversation that goes on, its last two user messages:
    the second of these is where the previous request's point was, and what it wrote is read."""
    if traits.caches == "nothing" or options.cache == "off":
        return
    kept: JsonObject = {"type": "default"}
    if options.cache == "1h" and traits.caches_long:
        kept["ttl"] = "1h"
    point: JsonObject = {"cachePoint": kept}
    match body.get("toolConfig"):
        case {"tools": list(tools)} if traits.caches == "tools":
            tools.append(point)
        case _:
            pass
    match body.get("system"):
        case list(system):
            system.append(point)
        case _:
            pass
    match body["messages"]:
        case list(messages) if len(messages) > 1 or "toolConfig" in body:
            _mark_messages(messages, point)
        case _:
            pass


def _mark_messages(messages: Sequence[JsonValue], point: JsonObject) -> None:
    marked = 0
    for message in reversed(messages):
        match message:
            case {"role": "user", "content": list(content)} if marked < 2:
                end = len(content)
                while end and isinstance(last := content[end - 1], dict) and last.keys() & {"document", "video"}:
                    end -= 1
                if end:
                    content.insert(end, point)
                marked += 1
            case _:
                pass


ANSWER = "answer_in_json"
"""The tool that a model without structured output is made to answer with: its arguments are the answer."""
JSON_ONLY = "Answer with one JSON object, and with nothing before or after it."


def answers_with_tool(turn: Turn, traits: Traits, options: BedrockOptions) -> bool:
    return _schema_goes(turn, traits, options) == "tool"


def _schema_goes(turn: Turn, traits: Traits, options: BedrockOptions) -> Literal["native", "tool", "told"] | None:
    """How the schema of the answer is conveyed, if one is asked for. What can't be enforced in any way is told."""
    form = _format(turn)
    if not isinstance(form, JsonSchemaFormat):
        return None
    native = traits.schema if options.structured_output == "auto" else options.structured_output == "native"
    if native and enforceable(form.schema_):
        return "native"
    return "told" if traits.force == "auto" else "tool"


def text_format(turn: Turn, traits: Traits, options: BedrockOptions) -> JsonObject | None:
    """`outputConfig.textFormat`, where a JSON schema is asked for. The schema goes as a string."""
    form = _format(turn)
    if not isinstance(form, JsonSchemaFormat) or _schema_goes(turn, traits, options) != "native":
        return None
    schema: JsonObject = {"schema": json.dumps(constrained(form.schema_), ensure_ascii=False), "name": form.name}
    if form.description:
        schema["description"] = form.description
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}


def format_instructions(turn: Turn, traits: Traits, options: BedrockOptions) -> list[JsonObject]:
    """What the model is told of a format that Converse has nothing for: JSON alone, or a schema."""
    match _format(turn):
        case JsonObjectFormat():
            return [{"text": JSON_ONLY}]
        case JsonSchemaFormat() as form if _schema_goes(turn, traits, options) == "told":
            return [{"text": instruction(form.schema_)}]
        case _:
            return []


def tool_config(turn: Turn, traits: Traits, names: Naming, called: Sequence[str], answer: str) -> JsonObject | None:
    """None where there is nothing to say. `called` are tools that the history has calls of; `answer` is the name of
    the tool to answer with, if any.

    Bedrock wants the tools defined wherever the history has calls, so where none may be called now, those stand in
    that were. It has no choice `none`.
    """
    offered = [tool for tool in turn.tools if traits.force == "tool" or turn.must_call in (None, tool.name)]
    specs = [_spec(tool, traits, names) for tool in offered]
    if answer and not (turn.must_call and traits.force == "any"):
        specs.append(_answer_spec(turn, traits, answer))
    specs = specs or [_stand_in(name) for name in called]
    if not specs:
        return None
    tools: list[JsonValue] = [{"toolSpec": spec} for spec in specs]
    config: JsonObject = {"tools": tools}
    if choice := _choice(turn, traits, names, answer):
        config["toolChoice"] = choice
    return config


def _choice(turn: Turn, traits: Traits, names: Naming, answer: str) -> JsonObject | None:
    """Models that can't be forced are left their choice; of a forced tool, such a model is offered no other."""
    must = turn.must_call or answer or turn.tool_choice == "required"
    if not must or traits.force == "auto":
        return None
    if turn.must_call and traits.force == "tool":
        return {"tool": {"name": names.wire(turn.must_call)}}
    return {"any": {}}


def _spec(tool: OfferedTool, traits: Traits, names: Naming) -> JsonObject:
    parameters = free_text_schema(tool) if tool.kind == "custom" else tool.parameters or {}
    spec: JsonObject = {"name": names.wire(tool.name), "inputSchema": {"json": _schema(parameters, traits)}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict and traits.strict and enforceable(_schema(parameters, traits)):
        spec |= {"strict": True, "inputSchema": {"json": constrained(_schema(parameters, traits))}}
    return spec


def _answer_spec(turn: Turn, traits: Traits, name: str) -> JsonObject:
    form = _format(turn)
    assert isinstance(form, JsonSchemaFormat)
    description = form.description or "Answer the user. The arguments are the whole answer."
    return {"name": name, "description": description, "inputSchema": {"json": _schema(form.schema_, traits)}}


def _stand_in(name: str) -> JsonObject:
    schema: JsonObject = {"json": {"type": "object", "properties": {}}}
    return {"name": name, "description": "Was called before. It can't be called now.", "inputSchema": schema}


def _schema(parameters: JsonObject, traits: Traits) -> JsonObject:
    """Amazon Nova's guide: at its top, a schema has only a type, properties and required ones."""
    schema: JsonObject = {"type": "object", "properties": {}, **parameters}
    if traits.plain_schemas:
        return {name: schema[name] for name in ("type", "properties", "required") if name in schema}
    return schema


def _format(turn: Turn) -> object:
    return turn.request.text.format if turn.request.text else None
