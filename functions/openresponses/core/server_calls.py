"""Calls that this server runs: how the item of one begins, how it is answered, and which events tell of that. Pure.

An MCP call is added without its arguments, which events of their own tell, as OpenAI's streams have it (pydantic-ai's
recording `test_openai_responses_model_mcp_server_tool_stream`). So the fold of a log needs these events too: `told`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, assert_never

from pydantic import JsonValue, ValidationError

from ..schema import events as ev
from ..schema.base import SLUG, TOOL_NAME, JsonObject
from ..schema.items import Item
from ..schema.server_items import REJECTED_CALL, HostedToolCall, McpCall, ServerCall, WebSearchCall
from .errors import StreamViolation
from .json import object_of
from .run import OfferedTool, Run, model_name
from .surrogates import whole, whole_value


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What the model reads of a call. If it `failed`, the text says what went wrong.

    `item` are fields of the call's item beside its status and its output: the `error` of an MCP call, the `action` of a
    search.
    """

    text: str
    failed: bool = False
    item: JsonObject = field(default_factory=dict[str, JsonValue])


UNREADABLE = ToolOutput("The tool's answer can't be read.", failed=True)
_LONGEST = 128
_ARGUMENTS_DONE: Literal["response.mcp_call_arguments.done"] = "response.mcp_call_arguments.done"
PAGE = "open_page"
_SEARCHED = ("type", "sources", "queries")
"""What an `action` has beside the arguments of its call."""


def fitted_name(name: str) -> str:
    """`name`, or where no tool can have it, one that is made of it, always the same."""
    if len(name) <= _LONGEST and re.fullmatch(TOOL_NAME, name):
        return name
    digest = sha256(name.encode(errors="replace")).hexdigest()[:8]
    return f"{re.sub('[^a-zA-Z0-9_.-]', '_', name)[: _LONGEST - 9]}_{digest}"


def mcp_name(server_label: str, name: str) -> str:
    """What the model knows a server's tool by, if nothing else has that name."""
    return fitted_name(model_name(server_label, name))


def new_call(tool: OfferedTool | None, name: str, item_id: str, call_id: str, arguments: str) -> ServerCall:
    """The item of a call that the model made as `name`. Without a `tool` it is one that is not allowed."""
    arguments = arguments or "{}"
    match tool:
        case OfferedTool(kind="mcp"):
            label = tool.server_label or ""
            return McpCall(
                id=item_id,
                call_id=call_id,
                server_label=label,
                name=tool.wire_name,
                arguments=arguments,
                status="in_progress",
            )
        case OfferedTool(kind="search"):
            action = _action(tool.wire_name, arguments)
            return WebSearchCall(id=item_id, call_id=call_id, action=action, status="in_progress")
        case _:
            kind = tool.item_type if tool and tool.kind == "hosted" else REJECTED_CALL
            return HostedToolCall(
                type=kind, id=item_id, call_id=call_id, name=name, arguments=arguments, status="in_progress"
            )


PREFIX = {"mcp": "mcp", "search": "ws"}
"""Of the ids of items, by the kind of the tool. Any other is `htc`."""


def _action(name: str, arguments: str) -> JsonObject:
    """`openai.types.responses.response_function_web_search`, `Action`. What a model made up is the tool's to refuse."""
    given = {name: whole(value) for name, value in (object_of(arguments) or {}).items() if isinstance(value, str)}
    if name == PAGE:
        return {**given, "type": PAGE}
    queries: list[JsonValue] = [given["query"]] if "query" in given else []
    return {**given, "type": "search", "queries": queries}


def arguments_of(call: WebSearchCall) -> JsonObject:
    """What the model called it with."""
    return {name: value for name, value in call.action.items() if name not in _SEARCHED}


def begun(call: ServerCall, index: int, *, heard: bool = True) -> Iterator[ev.Event]:
    """The events until it runs. `heard`: somebody reads those of each piece of text."""
    match call:
        case McpCall():
            yield ev.OutputItemAdded(output_index=index, item=call.model_copy(update={"arguments": ""}))
            yield _progress("response.mcp_call.in_progress", call, index)
            if heard:
                yield _progress("response.mcp_call_arguments.delta", call, index, delta=call.arguments)
            yield _progress(_ARGUMENTS_DONE, call, index, arguments=call.arguments)
        case WebSearchCall():
            yield ev.OutputItemAdded(output_index=index, item=call)
            yield _progress("response.web_search_call.in_progress", call, index)
            yield _progress("response.web_search_call.searching", call, index)
        case HostedToolCall():
            yield ev.OutputItemAdded(output_index=index, item=call)
        case _:
            assert_never(call)


def answered(call: ServerCall, output: ToolOutput, index: int) -> Iterator[ev.Event]:
    """The events of its answer."""
    try:
        made = _answered(call, output)
    except (ValidationError, StreamViolation):  # whoever answered has the last word on no item of ours
        made = _answered(call, UNREADABLE)
    match made:
        case McpCall():
            yield _progress(f"response.mcp_call.{made.status}", made, index)
        case WebSearchCall():
            yield _progress("response.web_search_call.completed", made, index)
        case HostedToolCall():
            pass
        case _:
            assert_never(made)
    yield ev.OutputItemDone(output_index=index, item=made)


def _answered(call: ServerCall, output: ToolOutput) -> ServerCall:
    """Raises ValidationError or StreamViolation for an answer that the item can't hold."""
    text, fields = whole(output.text), whole_value(output.item)
    changes = {**(fields if isinstance(fields, dict) else {}), "status": "failed" if output.failed else "completed"}
    match call:
        case McpCall() if output.failed:
            changes |= {"error": changes.get("error") or _execution_error(text), "output": None}
        case WebSearchCall():
            changes |= {"error": text} if output.failed else {}
        case McpCall() | HostedToolCall():
            changes |= {"output": text}
        case _:
            assert_never(call)
    return type(call).model_validate({**call.model_dump(), **changes})


def told(item: Item, event: ev.ToolProgress) -> Item:
    """The item after an event that tells more of it."""
    if isinstance(item, McpCall) and event.type == _ARGUMENTS_DONE:
        return item.model_copy(update={"arguments": event.__pydantic_extra__.get("arguments")})
    return item


def closing(call: ServerCall, index: int, said: list[ev.Event]) -> Iterator[ev.Event]:
    """The events that are missing until a call is done, as incomplete, of which `said` are there."""
    if isinstance(call, McpCall) and not any(event.type == _ARGUMENTS_DONE for event in said):
        deltas = (event.__pydantic_extra__.get("delta") for event in said if isinstance(event, ev.ToolProgress))
        call = call.model_copy(update={"arguments": "".join(each for each in deltas if isinstance(each, str))})
        yield _progress(_ARGUMENTS_DONE, call, index, arguments=call.arguments)
    yield ev.OutputItemDone(output_index=index, item=call.model_copy(update={"status": "incomplete"}))


def error_text(error: JsonValue) -> str:
    """What a model reads of the `error` of an MCP call (`openai.types.responses.mcp_tool_call_error`)."""
    match error:
        case {"type": "mcp_tool_execution_error", "content": list(parts)}:
            said = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
            return "\n".join(map(str, said)) or "The tool failed."
        case {"content": str(text)} | {"message": str(text)} | str(text):
            return text
        case _:
            return "The tool failed."


def may_be_repeated(call: ServerCall, run: Run) -> bool:
    """Whether it may be made again, although it may have been made: a search, a call of an MCP tool that says so by its
    annotations, and any tool of this server's own, which is given the same token again.
    """
    if not isinstance(call, McpCall):
        return True
    tools = (tool for tool in run.tools if tool.server_label == call.server_label and tool.wire_name == call.name)
    tool = next(tools, None)
    hints = (tool and tool.annotations) or {}
    return hints.get("idempotentHint") is True or hints.get("readOnlyHint") is True


def _execution_error(text: str) -> JsonObject:
    return {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": text}]}


def _progress(kind: str, call: ServerCall, index: int, **more: str) -> ev.ToolProgress:
    return ev.ToolProgress.model_validate({"type": kind, "item_id": call.id, "output_index": index, **more})


SHOWN_MCP, SHOWN_SEARCH = f"{SLUG}:mcp_call", f"{SLUG}:web_search_call"
"""The types by which a model is shown such calls: see `shown`."""
