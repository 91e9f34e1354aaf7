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

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from ..core.errors import RequestError
from ..core.turn import Turn
from ..schema.base import JsonObject
from ..schema.content import Part
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
from ._anthropic_parts import blocks, plain_text, refuse, result_content, text_block
from ._anthropic_thinking import thinking_block
from ._json import text

NO_OUTPUT = "(no output)"
BEGIN, GO_ON = "(The conversation begins with your words.)", "Go on."
_Output = str | Sequence[Part]


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
        self._names = {(tool.namespace, tool.wire_name): tool.name for tool in turn.tools}
        self._answers = _answers(turn.items)
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
                self._instruct(plain_text(item.content, item.role))
            case Reasoning():
                self._think(item)
            case FunctionCall():
                name, arguments = self._name(item.namespace, item.name), _arguments(item.arguments)
                self._call(item.call_id, name, arguments, self._answers.get(index))
            case CustomToolCall():
                self._call(item.call_id, self._name(None, item.name), {"input": item.input}, self._answers.get(index))
            case HostedToolCall():
                self._run(item)
            case FunctionCallOutput() | CustomToolCallOutput():
                self._waiting.discard(item.call_id)
                self._calling = False
            case Compaction():
                refuse("an item of type 'compaction'")
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

    def _run(self, item: HostedToolCall) -> None:
        result: JsonObject = {"is_error": True} if item.status == "failed" else {}
        output = NO_OUTPUT if item.output is None else item.output
        self._call(item.call_id, wire_name(item.name), _arguments(item.arguments), output, result, done=True)

    def _call(
        self,
        call_id: str,
        name: str,
        arguments: JsonObject,
        output: _Output | None,
        result: JsonObject | None = None,
        *,
        done: bool = False,
    ) -> None:
        content, wire_id = self._assistant(go_on=is_made_together(call_id)), self._unique(vendor_id(call_id))
        content.append({"type": "tool_use", "id": wire_id, "name": name, "input": arguments})
        answer: JsonObject = {"type": "tool_result", "tool_use_id": wire_id, **(result or {})}
        if shown := result_content(NO_OUTPUT if output is None else output):
            answer["content"] = shown
        self._results.append(answer)
        self._calling = self._calling or not done
        if output is not None and not done:
            self._waiting.add(call_id)

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

    def _name(self, namespace: str | None, name: str) -> str:
        known = self._names.get((namespace, name))
        return wire_name(known or (f"{namespace.removesuffix('__')}__{name}" if namespace else name))


def _vendor_s_block(item: Item) -> JsonObject | None:
    if not isinstance(item, ExtensionItem) or not item.type.startswith(ANTHROPIC):
        return None
    kind, block = item.type.removeprefix(ANTHROPIC), item.__pydantic_extra__.get("block")
    return {**block, "type": kind} if isinstance(block, dict) and kind.endswith(OF_VENDOR_S_TOOLS) else None


def _answers(items: Sequence[Item]) -> dict[int, _Output]:
    """Outputs by the index of their call. Ids may come again in later turns: some servers number from 0."""
    answers: dict[int, _Output] = {}
    open_calls: dict[str, int] = {}
    for index, item in enumerate(items):
        match item:
            case FunctionCall() | CustomToolCall():
                open_calls[item.call_id] = index
            case FunctionCallOutput() | CustomToolCallOutput():
                if item.call_id not in open_calls:
                    raise RequestError(f"No call before it has the output's call_id {item.call_id!r}", param="input")
                answers[open_calls.pop(item.call_id)] = item.output
            case _:
                pass
    return answers


def _arguments(written: str) -> JsonObject:
    try:
        value: JsonValue = json.loads(written or "{}")
        json.dumps(value, allow_nan=False)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"invalid_arguments": written}
