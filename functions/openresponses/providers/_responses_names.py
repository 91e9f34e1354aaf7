"""Tool names and call ids, as the Responses API takes them, whoever made them. Pure.

Source: the Open Responses schema, `FunctionToolParam.name` and `FunctionCallItemParam.call_id`: 1 to 64 characters,
a name's of [a-zA-Z0-9_-]. Other providers' are longer, or hold dots and colons.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from ..core.errors import RequestError
from ..core.run import OfferedTool
from ..schema.items import CustomToolCall, CustomToolCallOutput, FunctionCall, FunctionCallOutput, HostedToolCall, Item

_FITTING = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Names:
    """Which name a tool has upstream. `ours` leads back to the tool's `name`."""

    def __init__(self, tools: Iterable[OfferedTool]) -> None:
        tools = list(tools)
        self.ours = {tool.name: tool.name for tool in tools if _FITTING.fullmatch(tool.name)}
        for tool in tools:
            if tool.name not in self.ours:
                name = _fitted(tool.name)
                while name in self.ours:
                    name = _fitted(name + ".")
                self.ours[name] = tool.name
        self._upstream = {ours: upstream for upstream, ours in self.ours.items()}
        self._called = {(tool.namespace, tool.wire_name): tool.name for tool in tools}

    def upstream(self, name: str) -> str:
        return self._upstream.get(name) or (name if _FITTING.fullmatch(name) else _fitted(name))

    def of_call(self, namespace: str | None, name: str) -> str:
        """The name of a tool that a client's item calls by its own name for it."""
        known = self._called.get((namespace, name))
        return self.upstream(known or (f"{namespace.removesuffix('__')}__{name}" if namespace else name))


@dataclass(slots=True)
class Pairs:
    """Calls and their outputs, by their indexes among the items. `ids` has the ids of both."""

    ids: dict[int, str] = field(default_factory=dict[int, str])
    call_of: dict[int, int] = field(default_factory=dict[int, int])
    unanswered: set[int] = field(default_factory=set[int])


def paired(items: Sequence[Item]) -> Pairs:
    """Raises RequestError for an output that answers no call.

    An id may come again in a later turn, since some servers number from 0: it is then made another one.
    """
    pairs, open_calls, times = Pairs(), dict[str, int](), Counter[str]()
    for index, item in enumerate(items):
        match item:
            case FunctionCall() | CustomToolCall() | HostedToolCall():
                pairs.ids[index] = _call_id(item.call_id, times[item.call_id])
                times[item.call_id] += 1
                if not isinstance(item, HostedToolCall):
                    open_calls[item.call_id] = index
                    pairs.unanswered.add(index)
            case FunctionCallOutput() | CustomToolCallOutput():
                call = open_calls.pop(item.call_id, None)
                if call is None:
                    raise RequestError(f"No call before it has the output's call_id {item.call_id!r}", param="input")
                pairs.unanswered.discard(call)
                pairs.call_of[index], pairs.ids[index] = call, pairs.ids[call]
            case _:
                pass
    return pairs


def _call_id(call_id: str, times: int) -> str:
    if not times and _FITTING.fullmatch(call_id):
        return call_id
    return f"call_{sha256(f'{times} {call_id}'.encode()).hexdigest()[:32]}"


def _fitted(name: str) -> str:
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', name)[:55]}_{sha256(name.encode()).hexdigest()[:8]}"
