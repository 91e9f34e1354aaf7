"""A conversation as a dialect sends it: the model's turns, and what is said to the model between them.

Pure. It knows items only: what they become on a wire is the dialects' business.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ...core.errors import RequestError
from ...core.json import object_of
from ...core.run import model_name
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.content import InputPart
from ...schema.items import (
    Compaction,
    CustomToolCall,
    CustomToolCallOutput,
    ExtensionItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
)
from ...schema.server_items import HostedToolCall
from .parts import said

NO_OUTPUT = "(no output)"
"""Answers a call that has no output: vendors refuse one without an answer."""
Output: TypeAlias = str | Sequence[InputPart]
Call: TypeAlias = FunctionCall | CustomToolCall | HostedToolCall


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call and its answer. `call_id` is the call's id on the wire, `name` what the model knows its tool by now.

    `answer` is the index of the item that answers it; None for a hosted call, which has its output itself, and for one
    without an answer. `where` is the output's place in the request, if it has one.
    """

    item: Call
    call_id: str
    name: str
    answer: int | None
    output: Output
    where: str

    @property
    def failed(self) -> bool:
        """Whether its output says what went wrong. Only this server's own tools tell that."""
        return isinstance(self.item, HostedToolCall) and self.item.status == "failed"


@dataclass(frozen=True, slots=True)
class Said:
    """A message. `where` is its content's place in the request, if it has one."""

    message: Message
    where: str


Piece: TypeAlias = Said | Reasoning | ExtensionItem | PastCall


@dataclass(slots=True)
class ModelTurn:
    """What the model did at once, in its order: one message of the assistant, on most wires."""

    pieces: list[Piece]

    @property
    def calls(self) -> list[PastCall]:
        return [piece for piece in self.pieces if isinstance(piece, PastCall)]

    def is_answered(self, index: int) -> bool:
        """Whether it has calls, and the answers to all of them come before the item at `index`."""
        return bool(self.calls) and all(call.answer is None or call.answer < index for call in self.calls)


Entry: TypeAlias = Said | ModelTurn | Compaction


def speaks(piece: Piece) -> bool:
    """Whether `piece` is sent by a dialect that has no items of its own: no message without a word is."""
    match piece:
        case Said(message):
            return any(words is None or words.strip() for words in map(said, message.content))
        case ExtensionItem():
            return False
        case Reasoning() | PastCall():
            return True


def reasons(turn: ModelTurn, piece: Piece) -> bool:
    """Whether `piece` goes on with `turn`, whose calls are all answered: a call does, if the turn has reasoning.

    A hosted call carries its output, so parallel ones look like turns of one call each. They are sent as such, which
    leaves the start of the prompt unchanged from turn to turn, for the provider's cache. But a model that reasons does
    so in each turn: there, a call without new reasoning is one of the parallel calls.
    """
    return isinstance(piece, PastCall) and any(isinstance(each, Reasoning) for each in turn.pieces)


def history(
    turn: Turn,
    *,
    ids: Callable[[str], str] = str,
    sends: Callable[[Piece], bool] = speaks,
    goes_on: Callable[[ModelTurn, Piece], bool] = reasons,
    split: bool = False,
) -> list[Entry]:
    """The turn's items, grouped. Raises RequestError for an output that answers no call.

    - `ids` is asked once for each call, in their order, for its id on the wire.
    - `sends`: whether the dialect sends a piece. The others are left out.
    - `goes_on`: whether a piece goes on with a turn whose calls are all answered. If not, it begins a new one.
    - `split`: instructions end a turn of the model, and so stay where they are. If not, they leave it open.
    """
    calls = past_calls(turn, ids)
    entries: list[Entry] = []
    current: ModelTurn | None = None
    for index, item in enumerate(turn.items):
        match item:
            case Message(role="assistant"):
                piece = Said(item, place(turn, index, "content"))
            case Message():
                entries.append(Said(item, place(turn, index, "content")))
                current = None if item.role == "user" or split else current
                continue
            case FunctionCall() | CustomToolCall() | HostedToolCall():
                piece = calls[index]
            case FunctionCallOutput() | CustomToolCallOutput():
                continue
            case Compaction():
                entries.append(item)
                continue
            case Reasoning() | ExtensionItem():
                piece = item
            case _:  # a turn shows all others as one of these: see `core.client_tools`
                continue
        if not sends(piece):
            continue
        if current and (not current.is_answered(index) or goes_on(current, piece)):
            current.pieces.append(piece)
        else:
            current = ModelTurn([piece])
            entries.append(current)
    return entries


def past_calls(turn: Turn, ids: Callable[[str], str] = str) -> dict[int, PastCall]:
    """Each call, by its own index and by its answer's. Raises RequestError for an output that answers no call."""
    offered = {(tool.namespace, tool.wire_name): tool.name for tool in turn.tools}
    answers = _answers(turn.items)
    calls: dict[int, PastCall] = {}
    for index, item in enumerate(turn.items):
        if isinstance(item, FunctionCall | CustomToolCall | HostedToolCall):
            answer = answers.get(index)
            at = index if answer is None else answer
            name, output = _name(item, offered), _output(turn.items[at])
            call = PastCall(item, ids(item.call_id), name, answer, output, place(turn, at, "output"))
            calls[index] = calls[at] = call
    return calls


def place(turn: Turn, index: int, *names: str) -> str:
    """Where the request has an item, or a field of it. Empty where stored items come before those of the request, or
    some are left out."""
    whole = turn.request.previous_response_id is None and not turn.dropped
    return ".".join((f"input[{index}]", *names)) if whole else ""


def arguments(call: Call) -> JsonObject:
    """An object, always. Other arguments that a model wrote are put into one."""
    if isinstance(call, CustomToolCall):
        return {"input": call.input}
    value = object_of(call.arguments)
    return {"invalid_arguments": call.arguments} if value is None else value


def arguments_text(call: Call) -> str:
    """An object's JSON, always, since many servers parse it. It is as the model wrote it where that is an object."""
    if isinstance(call, CustomToolCall) or object_of(call.arguments) is None:
        return json.dumps(arguments(call), ensure_ascii=False)
    return call.arguments or "{}"


def _name(call: Call, offered: dict[tuple[str | None, str], str]) -> str:
    """What the tool is called now. A tool that isn't offered now has the name that it would be offered by."""
    if isinstance(call, HostedToolCall):
        return call.name
    return offered.get((call.namespace, call.name), model_name(call.namespace, call.name))


def _output(answer: Item) -> Output:
    if isinstance(answer, FunctionCallOutput | CustomToolCallOutput | HostedToolCall) and answer.output is not None:
        return answer.output
    return NO_OUTPUT


def _answers(items: Sequence[Item]) -> dict[int, int]:
    """The index of each call's answer, by the call's. Ids may come again in later turns: some servers number from 0."""
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
