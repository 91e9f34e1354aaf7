"""The tool calls of one turn, of the pieces that its chunks bring of them. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import JsonValue

from ...core import deltas as d
from ...core.errors import StreamViolation
from ...core.room import MAX_ITEMS
from ...schema.base import JsonObject
from .._shared.json import fields, loads, text
from .._shared.naming import MAX_CALL_ID, CallIds, Naming
from .thinking import CallState, Grown, call_fields

_LONG_ARGUMENTS, _MANY_PIECES = 64 * 1024, 256


@dataclass(slots=True)
class _Call:
    key: str
    index: int | None
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])
    opened: bool = False
    state: Grown = field(default_factory=Grown)


class Calls:
    """Which call a chunk belongs to. OpenAI: its `index`. Elsewhere:

    - Ollama gave every call index 0, with its own id (ollama/ollama#15457), or no index at all (#7881).
    - Some repeat the id in every chunk, some send none, some a new one in every chunk without a name.
    - Some give all calls of a turn the same id.

    So a known id counts first; a new id counts only together with a name; otherwise the index, or the last
    call, does. A name may come after the first arguments: until then they are held back.
    """

    def __init__(self, names: Naming) -> None:
        self._names = names
        self._ids = CallIds()
        self._calls: list[_Call] = []
        self.opened = 0
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}

    def feed(self, chunk: JsonObject) -> Iterator[d.ToolCall]:
        function = fields(chunk.get("function"))
        name, arguments = text(function.get("name")), _arguments(function.get("arguments"))
        index, call_id = chunk.get("index"), text(chunk.get("id"))
        index = index if isinstance(index, int) else None
        call = self._find(index, call_id, name, arguments) or self._new(index, call_id)
        call.name = call.name or name
        if state := call_fields(chunk):
            call.state.add(state)
        if arguments:
            call.arguments.append(arguments)
        if call.opened and arguments:
            yield d.ToolCall(call.key, arguments)
        elif call.name and not call.opened:
            call.opened = True
            self.opened += 1
            yield d.ToolCall(call.key, "".join(call.arguments), call.id, self._names.ours(call.name))

    @property
    def keys(self) -> list[str]:
        """Of those that are open."""
        return [call.key for call in self._calls if call.opened]

    def states(self) -> tuple[CallState, ...]:
        """What came with the calls since it was asked for last."""
        told = [call for call in self._calls if call.state and call.name]
        states = tuple(CallState(id=call.id, name=call.name, fields=call.state.fields()) for call in told)
        for call in told:
            call.state = Grown()
        return states

    def end(self) -> None:
        """Raises StreamViolation where a call never got a name."""
        if any(not call.opened and (call.arguments or call.id) for call in self._calls):
            raise StreamViolation("The provider sent a tool call without a name")

    def _find(self, index: int | None, call_id: str, name: str, arguments: str) -> _Call | None:
        if known := self._by_id.get(call_id):
            other = name and index is not None and known.index is not None and index != known.index
            return self._by_index.get(index) if other and index is not None else known
        call = (self._calls[-1] if self._calls else None) if index is None else self._by_index.get(index)
        if call is None or not name:
            return call
        if not call.name:
            return None if call_id and call.id else call
        repeated = not call_id and name == call.name and not (arguments and _is_object(call.arguments))
        return call if repeated else None

    def _new(self, index: int | None, call_id: str) -> _Call:
        """A second call with the same id gets none, nor does one with too long an id: the engine makes one. But an id
        may hold a signature (LiteLLM's `encode_tool_call_id_with_signature`), so it is state.
        """
        if len(self._calls) >= MAX_ITEMS:
            raise StreamViolation(f"The provider sent more than {MAX_ITEMS:,} tool calls")
        call = _Call(f"call_{len(self._calls)}", index, self._ids.take(call_id))
        if len(call_id) > MAX_CALL_ID or "__thought__" in call_id:
            call.state.add({"id": call_id})
        self._calls.append(call)
        if call.id:
            self._by_id[call.id] = call
        if index is not None:
            self._by_index[index] = call
        return call


def _arguments(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else text(value)


def _is_object(pieces: list[str]) -> bool:
    """Asked with each piece, so long ones are not looked at: they are of one call."""
    if sum(map(len, pieces[:_MANY_PIECES])) > _LONG_ARGUMENTS or len(pieces) > _MANY_PIECES:
        return False
    try:
        return isinstance(loads("".join(pieces)), dict)
    except ValueError:
        return False
