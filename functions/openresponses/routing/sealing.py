"""Provider state that leaves the server is sealed, and goes back to the provider that made it only.

State that a provider wants echoed (signatures, encrypted or raw reasoning) travels as a reasoning item's
`encrypted_content`, through clients and through the store. It is sealed as it comes from the provider, and opened as it
goes back: nothing in between can read it. A seal names the target that the state is for. What a compaction item holds
is sealed too: see `compacted`.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..core import deltas as d
from ..core.errors import RequestError
from ..core.ports import Seal
from ..core.turn import Turn
from ..schema.items import Compaction, CustomToolCall, FunctionCall, HostedToolCall, InputItem, Item, Reasoning


async def check_sealed(seal: Seal, items: Sequence[InputItem], targets: Sequence[str] = ()) -> None:
    """Raises RequestError for state in a request's input that was not sealed here for this tenant, and for a compaction
    that none of `targets` can read.
    """
    for index, item in enumerate(items):
        place = f"input[{index}].encrypted_content"
        if isinstance(item, Compaction):
            from .compacted import contents_of

            await contents_of(seal, item, targets, place)
        elif isinstance(item, Reasoning) and item.encrypted_content and await seal.open(item.encrypted_content) is None:
            raise RequestError(
                "This reasoning state was altered, or is not this server's",
                param=place,
                code="invalid_encrypted_content",
            )


async def opened(seal: Seal, turn: Turn, target: str) -> Turn:
    """`turn` as `target` may see it: with the state that came from this target, and no other, and with what compaction
    items hold. Raises RequestError for one that this target can't read.
    """
    items, made, called = list[Item](), turn.made, set[str]()
    answered = {item.call_id for item in turn.items if isinstance(item, HostedToolCall)}
    for index, item in enumerate(turn.items):
        shown = [item]
        if isinstance(item, Compaction):
            from .compacted import contents_of, told

            param = "input" if turn.request.previous_response_id is None else "previous_response_id"
            shown = told(item, await contents_of(seal, item, [target], param), turn.tools, called, answered)
            # What an item carries may be a client's words, so none of it counts as made here.
            made = made + len(shown) - 1 if index < turn.made else len(items) + len(shown)
        for each in shown:
            if isinstance(each, Reasoning) and each.encrypted_content:
                found = await seal.open(each.encrypted_content)
                state = found[1] if found and found[0] == target else None
                each = each.model_copy(update={"encrypted_content": state})
            elif isinstance(each, FunctionCall | CustomToolCall):
                called.add(each.call_id)
            items.append(each)
    return replace(turn, items=tuple(items), made=made)


async def sealed(seal: Seal, delta: d.Delta, target: str) -> d.Delta:
    return replace(delta, data=await seal.seal(target, delta.data)) if isinstance(delta, d.Opaque) else delta
