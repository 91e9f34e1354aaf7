"""OpenAI's tools that the client runs: what a model is offered, and what their calls and outputs are.

To a model they are functions, whoever its provider is: a turn shows their past calls as function calls. To the client
a call is the item that its SDK knows. Shapes: the types of OpenAI's SDK, `responses/response_output_item`.
"""

import json
from dataclasses import dataclass, field

from pydantic import JsonValue

from ..schema.base import JsonObject
from ..schema.content import InputImage, InputPart
from ..schema.items import (
    AgentMessage,
    ClientCall,
    ClientCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ToolSearchOutput,
)
from ..schema.tools import ClientTool, NamespaceTool, Tool
from .json import object_of
from .run import OfferedTool, model_name
from .surrogates import whole


@dataclass(frozen=True, slots=True)
class _Form:
    """`call` is the type of a call's item. Its field `holds` has the arguments; where that is empty, they are fields
    of the item itself. `beside` are the item's other fields, `within` are arguments that the model may leave out.
    """

    call: str
    holds: str
    description: str
    parameters: JsonObject
    beside: JsonObject = field(default_factory=dict[str, JsonValue])
    within: JsonObject = field(default_factory=dict[str, JsonValue])


def _object(properties: JsonObject, *required: str) -> JsonObject:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_MILLISECONDS: JsonObject = {"type": "integer", "description": "Stop the command after so many milliseconds."}
_WORDS: JsonObject = {"type": "array", "items": {"type": "string"}}
_NUMBER: JsonObject = {"type": "integer"}
_ACTION = _object(
    {
        "type": {
            "type": "string",
            "enum": ["click", "double_click", "drag", "keypress", "move", "screenshot", "scroll", "type", "wait"],
        },
        "x": {"type": "integer", "description": "Pixels from the left: click, double_click, move, scroll."},
        "y": {"type": "integer", "description": "Pixels from the top: click, double_click, move, scroll."},
        "button": {
            "type": "string",
            "enum": ["left", "right", "wheel", "back", "forward"],
            "description": "The mouse button of a click.",
        },
        "keys": {**_WORDS, "description": "The keys of a keypress, or those held down during another action."},
        "text": {"type": "string", "description": "What to type."},
        "scroll_x": {"type": "integer", "description": "Pixels to scroll to the right."},
        "scroll_y": {"type": "integer", "description": "Pixels to scroll down."},
        "path": {
            "type": "array",
            "items": _object({"x": _NUMBER, "y": _NUMBER}, "x", "y"),
            "description": "The points of a drag.",
        },
    },
    "type",
)
_SCREEN = "Operate the user's computer with mouse and keyboard. The answer is a screenshot, taken afterwards."
_FORMS = {
    "local_shell": _Form(
        call="local_shell_call",
        holds="action",
        description="Run one command on the user's computer. The answer is what it printed.",
        parameters=_object(
            {
                "command": {**_WORDS, "description": "The program and its arguments, such as ['bash', '-lc', 'ls']."},
                "env": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "Environment variables to set.",
                },
                "timeout_ms": _MILLISECONDS,
                "working_directory": {"type": "string", "description": "Where to run it."},
            },
            "command",
        ),
        within={"type": "exec", "env": {}, "timeout_ms": None, "user": None, "working_directory": None},
    ),
    "shell": _Form(
        call="shell_call",
        holds="action",
        description="Run shell commands on the user's computer. The answer is what each printed, and how it ended.",
        parameters=_object(
            {
                "commands": {**_WORDS, "description": "The commands, each a line for the shell."},
                "timeout_ms": _MILLISECONDS,
                "max_output_length": {"type": "integer", "description": "The most characters to answer with."},
            },
            "commands",
        ),
        beside={"environment": {"type": "local"}},
        within={"timeout_ms": None, "max_output_length": None},
    ),
    "apply_patch": _Form(
        call="apply_patch_call",
        holds="operation",
        description="Create, change or delete one file of the user's.",
        parameters=_object(
            {
                "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                "path": {"type": "string", "description": "The file, relative to the workspace."},
                "diff": {
                    "type": "string",
                    "description": "Unless the file is deleted: its change as a V4A diff. A section begins with a line "
                    "`@@`, or `@@ ` and a line of the file above the change; then each line begins with a space if it "
                    "stays, with - if it goes, with + if it is new. Every line of a new file begins with +.",
                },
            },
            "type",
            "path",
        ),
    ),
    "computer": _Form(
        call="computer_call",
        holds="",
        description=_SCREEN,
        parameters=_object({"actions": {"type": "array", "items": _ACTION}}, "actions"),
        beside={"pending_safety_checks": []},
    ),
    "computer_use_preview": _Form(
        call="computer_call",
        holds="action",
        description=_SCREEN,
        parameters=_ACTION,
        beside={"pending_safety_checks": []},
    ),
    "tool_search": _Form(
        call="tool_search_call",
        holds="arguments",
        description="Search for more tools. Those that are found can be called afterwards.",
        parameters=_object({"query": {"type": "string", "description": "What the tool is to do."}}, "query"),
        beside={"execution": "client"},
    ),
}


def offered(tool: ClientTool) -> OfferedTool:
    """The tool as a function. The client's own description and schema of `tool_search` come first."""
    form = _FORMS[tool.type]
    parameters = tool.parameters or form.parameters
    description = tool.description or form.description
    if tool.type == "computer_use_preview":
        size = f"{tool.display_width} x {tool.display_height}"
        description = f"{description} The screen ({tool.environment}) has {size} pixels."
    return OfferedTool(
        name=form.call.removesuffix("_call"),
        kind="client",
        item_type=tool.type,
        wire_name=form.call.removesuffix("_call"),
        description=description,
        parameters=parameters,
    )


def call_item(tool: OfferedTool, item_id: str, call_id: str, arguments: str) -> ClientCall | None:
    """The call as its SDK knows it. None if the arguments are no object, or lack what the item must have."""
    form = _FORMS[tool.item_type]
    value = object_of(arguments)
    required = (tool.parameters or {}).get("required")
    if value is None or not all(name in value for name in (required if isinstance(required, list) else ())):
        return None
    value = {**form.within, **value}
    fields: JsonObject = {form.holds: value} if form.holds else value
    return ClientCall.model_validate(
        {**form.beside, **fields, "type": form.call, "id": item_id, "call_id": call_id, "status": "completed"}
    )


def shown_to_model(item: Item) -> Item:
    """The item as every dialect knows it: one of the standard, or an extension's."""
    match item:
        case ClientCall():
            arguments = whole(json.dumps(_arguments(item), ensure_ascii=False))
            return FunctionCall(
                id=item.id, call_id=item.call_id, name=item.name, arguments=arguments, status=item.status
            )
        case ClientCallOutput():
            return FunctionCallOutput(id=item.id, call_id=item.call_id, output=_output(item))
        case ToolSearchOutput():
            names = ", ".join(name for tool in item.tools for name in _names(tool))
            text = f"You can call these tools now: {names}" if names else "No tool was found."
            return FunctionCallOutput(id=item.id, call_id=item.call_id, output=text)
        case AgentMessage():
            return Message(id=item.id, role="user", content=[*item.parts()])
        case _:
            return item


def _arguments(call: ClientCall) -> JsonObject:
    """What the model wrote, or would have written, had it made the call."""
    fields: JsonObject = call.model_dump(mode="json")
    for form in _FORMS.values():
        value = fields.get(form.holds)
        if form.call == call.type and isinstance(value, dict):
            left_out = form.within
            return {name: each for name, each in value.items() if name not in left_out or left_out[name] != each}
        if form.call == call.type and isinstance(value, str) and (read := object_of(value)) is not None:
            return read
    return {"actions": fields.get("actions") or []} if call.type == "computer_call" else {}


def _output(item: ClientCallOutput) -> str | list[InputPart]:
    output = item.output
    if item.type == "computer_call_output" and isinstance(output, dict):
        return [InputImage.of(output)]
    if item.type == "apply_patch_call_output":
        return f"{item.status}: {output}" if output else item.status
    return output if isinstance(output, str) else whole(json.dumps(output, ensure_ascii=False))


def _names(tool: Tool) -> list[str]:
    if isinstance(tool, NamespaceTool):
        return [model_name(tool.name, each.name) for each in tool.tools]
    name: str | None = getattr(tool, "name", None)
    return [name] if name else []
