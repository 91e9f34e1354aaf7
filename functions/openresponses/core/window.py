"""What is shown of a conversation that was compacted. Pure: computed anew from the items, by whoever has them."""

from collections.abc import Iterator, Sequence

from ..schema.base import SLUG
from ..schema.items import (
    ClientCall,
    ClientCallOutput,
    Compaction,
    CustomToolCall,
    CustomToolCallOutput,
    ExtensionItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
    ToolSearchOutput,
)
from ..schema.server_items import HostedToolCall, McpApprovalRequest, McpApprovalResponse, McpCall, WebSearchCall

BY_THRESHOLD = f"{SLUG}:context_management"
"""The item was made by itself: nothing before it is shown again, whoever sends it."""
BY_TRIGGER = f"{SLUG}:compaction_trigger"
"""The item is all that a response said. Nothing before it is shown to a response that goes on from there. A client that
sends the item itself chose what to put before it: its copy says nothing of how it was made."""
_ENDS = (BY_THRESHOLD, BY_TRIGGER)


def window(context: Sequence[Item], output: Sequence[Item]) -> tuple[list[Item], int]:
    """The items that are shown, and how many of them are of `context`."""
    items = [*context, *output]
    start = max((index for index, item in enumerate(items) if ends_what_was_before(item)), default=0)
    kept = [index for index in range(start) if instructs(items[index])]
    shown = [*kept, *range(start, len(items))]
    return [items[index] for index in shown], sum(index < len(context) for index in shown)


def ends_what_was_before(item: Item) -> bool:
    return isinstance(item, Compaction) and item.created_by in _ENDS


def instructs(item: Item) -> bool:
    """Whether it is an instruction to the model, which holds on: a client may have put it before all else."""
    return isinstance(item, Message) and item.role in ("system", "developer")


_CALLS = (FunctionCall, CustomToolCall, ClientCall)
_CALLS_HERE = (HostedToolCall, McpCall, McpApprovalRequest, WebSearchCall)
_OUTPUTS = (FunctionCallOutput, CustomToolCallOutput, ClientCallOutput, ToolSearchOutput)


def open_calls(items: Sequence[Item]) -> list[Item]:
    """The calls that wait for their outputs, or for an approval, with all that the model said in the same turn, and the
    outputs of it: a provider takes a turn's calls together, and with the reasoning before them.
    """
    waiting = dict[str, int]()
    answers = dict[int, int]()
    for index, item in enumerate(items):
        if isinstance(item, _CALLS):
            waiting[item.call_id] = index
        elif isinstance(item, McpApprovalRequest):
            waiting[item.id] = index
        elif isinstance(item, McpApprovalResponse):
            waiting.pop(item.approval_request_id, None)
        elif isinstance(item, _OUTPUTS) and item.call_id in waiting:
            answers[waiting.pop(item.call_id)] = index
    kept = {place for index in waiting.values() for place in _turn_around(items, index)}
    return [items[index] for index in sorted(kept | {answers[index] for index in kept if index in answers})]


def _turn_around(items: Sequence[Item], index: int) -> Iterator[int]:
    first = last = index
    while first and _is_said(items[first - 1]):
        first -= 1
    while last + 1 < len(items) and _is_said(items[last + 1]):
        last += 1
    return iter(range(first, last + 1))


def _is_said(item: Item) -> bool:
    """Whether the model made it."""
    said = isinstance(item, (*_CALLS, *_CALLS_HERE, Reasoning, ExtensionItem))
    return said or (isinstance(item, Message) and item.role == "assistant")
