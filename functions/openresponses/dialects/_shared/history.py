"""The calls of a conversation: which tools they are of, what they were given, and what answers them. Pure."""

import json
from collections.abc import Collection, Sequence
from typing import TypeAlias

from ...core.errors import RequestError
from ...core.run import OfferedTool
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.content import InputPart
from ...schema.items import CustomToolCall, CustomToolCallOutput, FunctionCall, FunctionCallOutput, HostedToolCall, Item
from ...schema.tools import UpstreamTool
from .json import loads


def free_text_schema(tool: OfferedTool) -> JsonObject:
    """A custom tool's `parameters` are its format: free text, or a grammar that only words can convey here."""
    hint = "The whole input, as free text."
    form = tool.parameters or {}
    if form.get("type") == "grammar":
        hint = f"The whole input, as text that follows this {form.get('syntax')} grammar:\n{form.get('definition')}"
    return {
        "type": "object",
        "properties": {"input": {"type": "string", "description": hint}},
        "required": ["input"],
        "additionalProperties": False,
    }


def refuse_upstream_tools(turn: Turn, hosted: Collection[str] = ()) -> tuple[UpstreamTool, ...]:
    """Those that the provider can run: `hosted` are their types, `web_search` for all versions of it.

    Raises RequestError for any other. Web search is a permission, so it is ignored, unless it must be used.
    """
    offered: list[UpstreamTool] = []
    for tool in turn.upstream_tools:
        kind = "web_search" if tool.type.startswith("web_search") else tool.type
        if kind in hosted:
            offered.append(tool)
        elif kind != "web_search":
            raise RequestError(
                f"This model's provider doesn't run the tool {tool.type!r}", param="tools", code="unsupported_tool"
            )
    if turn.tool_choice == "required" and not turn.tools and not offered:
        raise RequestError("'tool_choice' needs a tool that this model's provider doesn't run", param="tool_choice")
    return tuple(offered)


NO_OUTPUT = "(no output)"
"""Answers a call that has no output: vendors refuse one without an answer."""
Output: TypeAlias = str | Sequence[InputPart]
Call: TypeAlias = FunctionCall | CustomToolCall | HostedToolCall


class PastCalls:
    """`answers` has the index of the item that answers a call, by the call's own; a hosted call answers itself.

    Raises RequestError for an output that answers no call.
    """

    def __init__(self, turn: Turn) -> None:
        self._offered = {(tool.namespace, tool.wire_name): tool.name for tool in turn.tools}
        self._items = turn.items
        self.answers = _answers(turn.items)

    def name(self, call: Call) -> str:
        """What the tool is called now; of a tool that isn't offered now, what it would be."""
        if isinstance(call, HostedToolCall):
            return call.name
        namespace = call.namespace if isinstance(call, FunctionCall) else None
        made = f"{namespace.removesuffix('__')}__{call.name}" if namespace else call.name
        return self._offered.get((namespace, call.name), made)

    def output(self, index: int) -> Output:
        """Of the call that is the item at `index`."""
        answer = self._items[self.answers.get(index, index)]
        if isinstance(answer, FunctionCallOutput | CustomToolCallOutput | HostedToolCall) and answer.output is not None:
            return answer.output
        return NO_OUTPUT


def arguments(call: Call) -> JsonObject:
    """An object, always: what else a model wrote goes into one."""
    if isinstance(call, CustomToolCall):
        return {"input": call.input}
    value = _object(call.arguments)
    return {"invalid_arguments": call.arguments} if value is None else value


def arguments_text(call: Call) -> str:
    """An object, always, since many servers parse it; and to the letter as the model wrote it, where it is one."""
    if isinstance(call, CustomToolCall) or _object(call.arguments) is None:
        return json.dumps(arguments(call), ensure_ascii=False)
    return call.arguments or "{}"


def failed(call: Call) -> bool:
    """Whether its output says what went wrong, which only this server's own tools tell."""
    return isinstance(call, HostedToolCall) and call.status == "failed"


def _object(text: str) -> JsonObject | None:
    """None for NaN in it, too: it has no JSON."""
    try:
        value = loads(text or "{}")
        json.dumps(value, allow_nan=False)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _answers(items: Sequence[Item]) -> dict[int, int]:
    """Ids may come again in later turns: some servers number from 0."""
    answers: dict[int, int] = {}
    open_calls: dict[str, int] = {}
    for index, item in enumerate(items):
        match item:
            case FunctionCall() | CustomToolCall():
                open_calls[item.call_id] = index
            case FunctionCallOutput() | CustomToolCallOutput():
                if item.call_id not in open_calls:
                    raise RequestError(f"No call before it has the output's call_id {item.call_id!r}", param="input")
                answers[open_calls.pop(item.call_id)] = index
            case _:
                pass
    return answers
