"""Items to Converse's messages and system blocks. Pure.

What Bedrock insists on, and this file therefore keeps:

- Roles alternate, and the user begins. A model's turn is one message: reasoning and text first, then its calls.
- All results of a message's calls come at once in the next message, before all else; for some models, alone.
- Text is never blank. A document is never without text.
- Reasoning is sent back exactly as it came, signature and all; what has none, only to models that take it so
  (DeepSeek-R1 refuses its own, aws-samples/bedrock-chat#845).
"""

from dataclasses import dataclass, field

from pydantic import JsonValue

from ..core.turn import Turn
from ..schema.base import JsonObject
from ..schema.content import ReasoningText
from ..schema.items import (
    Compaction,
    CustomToolCall,
    CustomToolCallOutput,
    ExtensionItem,
    FunctionCall,
    FunctionCallOutput,
    HostedToolCall,
    Item,
    Message,
    Reasoning,
)
from ._bedrock_calls import Ids, Names
from ._bedrock_models import Traits
from ._bedrock_parts import Documents, blocks, tool_result
from ._bedrock_state import restored
from ._parts import plain_text, unsendable
from ._past_calls import Call, Output, PastCalls, arguments, failed

_FILLER: JsonObject = {"text": "."}
"""Keeps roles alternating where nobody said anything."""


@dataclass(frozen=True, slots=True)
class History:
    """`called` are the names of the tools that it has calls of, as they were sent."""

    system: list[JsonObject]
    messages: list[JsonObject]
    called: list[str]


def history(turn: Turn, traits: Traits, names: Names, *, reasoning: bool = True) -> History:
    """Raises RequestError for what this wire can't carry, and for an output that answers no call. `reasoning` may be
    left out."""
    building = _Building(turn, traits, names, reasoning)
    for index, item in enumerate(turn.items):
        building.add(index, item)
    return building.finished()


@dataclass(frozen=True, slots=True)
class _Result:
    """What answers a call. `where` is its place in the request, if any."""

    output: Output
    where: str
    call_id: str
    failed: bool


@dataclass(slots=True)
class _Assistant:
    """One turn of the model in the making. `waiting` are the calls whose outputs come later."""

    said: list[JsonObject] = field(default_factory=list[JsonObject])
    calls: list[JsonObject] = field(default_factory=list[JsonObject])
    results: list[_Result] = field(default_factory=list[_Result])
    waiting: set[str] = field(default_factory=set[str])
    thought: bool = False


class _Building:
    def __init__(self, turn: Turn, traits: Traits, names: Names, reasoning: bool) -> None:
        self._traits, self._names, self._reasoning = traits, names, reasoning
        self._calls = PastCalls(turn)
        self._whole = turn.request.previous_response_id is None
        self._ids = Ids(short=traits.short_ids)
        self._documents = Documents()
        self._system = [turn.instructions or ""]
        self._messages: list[tuple[str, list[JsonObject]]] = []
        self._called: dict[str, None] = {}
        self._open: _Assistant | None = None

    def add(self, index: int, item: Item) -> None:
        match item:
            case Message(role="user"):
                self._close()
                self._put("user", blocks(item.content, self._documents, self._where(index, "content")))
            case Message(role="assistant"):
                self._say(index, item)
            case Message():
                self._system.append(plain_text(item.content, item.role, "\n", self._where(index, "content")))
            case Reasoning():
                self._think(item)
            case FunctionCall() | CustomToolCall() | HostedToolCall():
                self._call(index, item)
            case FunctionCallOutput() | CustomToolCallOutput():
                if self._open:
                    self._open.waiting.discard(item.call_id)
            case Compaction():
                raise unsendable("an item of type 'compaction'", self._where(index))
            case ExtensionItem():
                pass

    def finished(self) -> History:
        self._close()
        if not self._messages:
            self._messages.append(("user", [_FILLER]))
        return History(
            system=[{"text": text} for text in self._system if text.strip()],
            messages=[_message(role, content) for role, content in self._messages],
            called=list(self._called),
        )

    def _where(self, index: int, *names: str) -> str:
        """An item's place in the request, if what came before it is in the request too."""
        return ".".join((f"input[{index}]", *names)) if self._whole else ""

    def _say(self, index: int, item: Message) -> None:
        spoken = [part for part in item.content if not isinstance(part, ReasoningText)]
        text = plain_text(spoken, item.role, "", self._where(index, "content"))
        if text.strip():
            self._assistant().said.append({"text": text})

    def _think(self, item: Reasoning) -> None:
        assistant = self._assistant()
        assistant.thought = True
        if self._reasoning and (block := restored(item.encrypted_content)):
            assistant.said.append({"reasoningContent": block})

    def _call(self, index: int, call: Call) -> None:
        """A hosted call has its output; another's comes later, if ever."""
        assistant = self._assistant(for_call=True)
        sent_id, sent_name = self._ids.take(call.call_id), self._names.sent(self._calls.name(call))
        self._called[sent_name] = None
        assistant.calls.append({"toolUse": {"toolUseId": sent_id, "name": sent_name, "input": arguments(call)}})
        answer, where = self._calls.answers.get(index), ""
        if answer is not None:
            where = self._where(answer, "output")
            assistant.waiting.add(call.call_id)
        assistant.results.append(_Result(self._calls.output(index), where, sent_id, failed(call)))

    def _assistant(self, *, for_call: bool = False) -> _Assistant:
        """The turn that the next piece belongs to.

        A turn whose calls are all answered is complete. Only a call after such a call may still be of the same
        turn: hosted calls carry their outputs, so parallel ones look like turns of one call each. They are sent
        as such, which keeps the prompt's start unchanged for the cache. But a model that reasons does so in each
        turn, so there a call without new reasoning joins.
        """
        done = self._open and self._open.calls and not self._open.waiting
        if self._open and done and not (for_call and self._open.thought):
            self._close()
        self._open = self._open or _Assistant()
        return self._open

    def _close(self) -> None:
        done, self._open = self._open, None
        if done is None or not (done.calls or any("text" in block for block in done.said)):
            return
        self._put("assistant", [*done.said, *done.calls])
        results: list[JsonObject] = []
        attached: list[JsonObject] = []
        for each in done.results:
            content, more = tool_result(each.output, each.call_id, self._traits, self._documents, each.where)
            result: JsonObject = {"toolUseId": each.call_id, "content": content}
            if each.failed and self._traits.status:
                result["status"] = "error"
            results.append({"toolResult": result})
            attached += more
        self._put("user", results)
        self._put("user", attached)

    def _put(self, role: str, content: list[JsonObject]) -> None:
        if not content:
            return
        if not self._messages and role == "assistant":
            self._messages.append(("user", [_FILLER]))
        if self._messages and self._messages[-1][0] == role:
            if self._may_join(content):
                self._messages[-1][1].extend(content)
                return
            self._messages.append(("assistant" if role == "user" else "user", [_FILLER]))
        self._messages.append((role, list(content)))

    def _may_join(self, content: list[JsonObject]) -> bool:
        """Anthropic's models refuse documents beside tool results, and some others refuse anything."""
        if not any("toolResult" in block for block in self._messages[-1][1]):
            return True
        return all(self._traits.beside & block.keys() for block in content)


def _message(role: str, content: list[JsonObject]) -> JsonObject:
    if any("document" in block for block in content) and not any("text" in block for block in content):
        content = [*content, {"text": "(See what is attached.)"}]
    made: list[JsonValue] = [*content]
    return {"role": role, "content": made}
