"""Items to the system prompt and the messages of the Messages API. Pure.

What the API insists on, and this file therefore keeps:

- The messages begin with the user's and end with the user's: an answer is never continued ("Prefill not supported").
- An assistant message goes back as it came, thinking included, in its order and in one piece ("Preserving thinking
  blocks"): what was sent once is never rearranged, for the provider's cache and for its checks of thinking.
- The next message begins with the results of all of its calls, in their order ("Handle tool calls").
- Ids of calls are unique. No text is empty.
- Instructions go to the top, or (newer models) right behind a message of the user ("Mid-conversation system
  messages"), where they leave what was said before unchanged.
"""

from dataclasses import dataclass

from pydantic import JsonValue

from ..core.turn import Turn
from ..schema.base import JsonObject
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
from ._anthropic_models import Profile
from ._anthropic_names import ANTHROPIC, OF_VENDOR_S_TOOLS, is_made_together, vendor_id, wire_name
from ._anthropic_parts import blocks, result_content, text_block
from ._anthropic_thinking import thinking_block
from ._json import text
from ._parts import plain_text, unsendable
from ._past_calls import Call, PastCalls, arguments, failed

BEGIN, GO_ON = "(The conversation begins with your words.)", "Go on."


@dataclass(slots=True)
class Prompt:
    """`messages` are (role, content blocks); no two neighbours have the same role."""

    system: list[str]
    messages: list[tuple[str, list[JsonValue]]]


def prompt(turn: Turn, profile: Profile, *, thinking: bool, order: str | None) -> Prompt:
    """`thinking`: send earlier thinking back. `order`: an instruction for this turn alone.

    Raises RequestError for what this wire can't carry, and for an output that answers no call.
    """
    history = _History(turn, profile, thinking)
    for index, item in enumerate(turn.items):
        history.add(index, item)
    return history.finished(order)


class _History:
    def __init__(self, turn: Turn, profile: Profile, thinking: bool) -> None:
        self._calls = PastCalls(turn)
        self._found = {text(block.get("tool_use_id")) for item in turn.items if (block := _vendor_s_block(item))}
        self._profile, self._thinking = profile, thinking
        self._system = [turn.instructions] if turn.instructions else []
        self._later: list[str] = []
        self._messages: list[tuple[str, list[JsonValue]]] = []
        self._results: list[JsonValue] = []
        self._waiting: set[str] = set()
        self._calling = False
        self._ids: set[str] = set()

    def add(self, index: int, item: Item) -> None:
        match item:
            case Message(role="user"):
                self._answer()
                self._say("user", blocks(item.content, item.role))
            case Message(role="assistant"):
                if said := blocks(item.content, item.role):
                    self._assistant().extend(said)
            case Message():
                self._instruct(plain_text(item.content, item.role, "\n"))
            case Reasoning():
                self._think(item)
            case FunctionCall() | CustomToolCall() | HostedToolCall():
                self._call(index, item)
            case FunctionCallOutput() | CustomToolCallOutput():
                self._waiting.discard(item.call_id)
                self._calling = False
            case Compaction():
                raise unsendable("an item of type 'compaction'")
            case ExtensionItem():
                self._echo(item)

    def finished(self, order: str | None) -> Prompt:
        self._answer()
        if not self._messages or self._messages[-1][0] == "assistant":
            self._say("user", [text_block(GO_ON)])
        if order:
            self._instruct(order)
        self._place_instructions()
        return Prompt(self._system, self._messages)

    def _instruct(self, words: str) -> None:
        if words.strip():
            (self._later if self._messages and self._profile.late_system else self._system).append(words)

    def _think(self, item: Reasoning) -> None:
        found = thinking_block(item.encrypted_content, signed=self._profile.claude) if self._thinking else None
        if found:
            self._assistant(go_on=found.goes_on).append(found.block)

    def _echo(self, item: ExtensionItem) -> None:
        """A block of a tool that the vendor ran, back to the vendor. A call of it needs its result."""
        block = _vendor_s_block(item)
        if block and self._profile.claude and text(block.get("id", block.get("tool_use_id"))) in self._found:
            self._assistant(go_on=item.__pydantic_extra__.get("index") != 0).append(block)

    def _call(self, index: int, call: Call) -> None:
        content, wire_id = self._assistant(go_on=is_made_together(call.call_id)), self._unique(vendor_id(call.call_id))
        name = wire_name(self._calls.name(call))
        content.append({"type": "tool_use", "id": wire_id, "name": name, "input": arguments(call)})
        answer: JsonObject = {"type": "tool_result", "tool_use_id": wire_id}
        if failed(call):
            answer["is_error"] = True
        if shown := result_content(self._calls.output(index)):
            answer["content"] = shown
        self._results.append(answer)
        self._calling = self._calling or not isinstance(call, HostedToolCall)
        if index in self._calls.answers:
            self._waiting.add(call.call_id)

    def _assistant(self, *, go_on: bool = False) -> list[JsonValue]:
        """The content that the next block belongs to. A message whose calls are all answered is complete, unless
        the block is known to `go_on` with it. Calls of the client's come first, then their outputs, if any."""
        if self._results and not self._waiting and not self._calling and not go_on:
            self._answer()
        if not self._messages:
            self._say("user", [text_block(BEGIN)])
        if self._messages[-1][0] != "assistant":
            self._place_instructions()
            self._messages.append(("assistant", []))
        return self._messages[-1][1]

    def _answer(self) -> None:
        results, self._results = self._results, []
        self._waiting.clear()
        self._calling = False
        self._say("user", results)

    def _say(self, role: str, content: list[JsonValue]) -> None:
        if self._messages and self._messages[-1][0] == role:
            self._messages[-1][1].extend(content)
        elif content:
            self._messages.append((role, list(content)))

    def _place_instructions(self) -> None:
        """Behind the user's words, where an answer follows or the conversation ends."""
        later, self._later = self._later, []
        self._say("system", [text_block(each) for each in later])

    def _unique(self, wire_id: str) -> str:
        """Some providers number their calls anew in each turn."""
        unique, count = wire_id, 1
        while unique in self._ids:
            count += 1
            unique = wire_name(f"{wire_id}_{count}")
        self._ids.add(unique)
        return unique


def _vendor_s_block(item: Item) -> JsonObject | None:
    if not isinstance(item, ExtensionItem) or not item.type.startswith(ANTHROPIC):
        return None
    kind, block = item.type.removeprefix(ANTHROPIC), item.__pydantic_extra__.get("block")
    return {**block, "type": kind} if isinstance(block, dict) and kind.endswith(OF_VENDOR_S_TOOLS) else None
