"""Tool names and call ids, as the Responses API takes them, whoever made them. Pure.

Source: the Open Responses schema, `FunctionToolParam.name` and `FunctionCallItemParam.call_id`: 1 to 64 characters,
a name's of [a-zA-Z0-9_-]. Other providers' are longer, or hold dots and colons.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256

from ..core.run import OfferedTool
from ..schema.items import CustomToolCall, FunctionCall, HostedToolCall, Item

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

    def upstream(self, name: str) -> str:
        return self._upstream.get(name) or (name if _FITTING.fullmatch(name) else _fitted(name))


def call_ids(items: Sequence[Item]) -> dict[int, str]:
    """The calls' ids, by their indexes among the items.

    An id may come again in a later turn, since some servers number from 0: it is then made another one.
    """
    ids, times = dict[int, str](), Counter[str]()
    for index, item in enumerate(items):
        if isinstance(item, FunctionCall | CustomToolCall | HostedToolCall):
            ids[index] = _call_id(item.call_id, times[item.call_id])
            times[item.call_id] += 1
    return ids


def _call_id(call_id: str, times: int) -> str:
    if not times and _FITTING.fullmatch(call_id):
        return call_id
    return f"call_{sha256(f'{times} {call_id}'.encode()).hexdigest()[:32]}"


def _fitted(name: str) -> str:
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', name)[:55]}_{sha256(name.encode()).hexdigest()[:8]}"
