"""Provider state that leaves the server is sealed, and goes back to the provider that made it only.

State that a provider wants echoed (signatures, encrypted or raw reasoning) travels as a reasoning item's
`encrypted_content`, through clients and through the store. It is sealed as it comes from the provider, and opened as it
goes back: nothing in between can read it. A seal names the target that the state is for.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..core import deltas as d
from ..core.errors import RequestError
from ..core.ports import Seal
from ..core.turn import Turn
from ..schema.items import InputItem, Item, Reasoning


async def check_sealed(seal: Seal, items: Sequence[InputItem]) -> None:
    """Raises RequestError for state in a request's input that was not sealed here for this tenant."""
    for index, item in enumerate(items):
        if isinstance(item, Reasoning) and item.encrypted_content and await seal.open(item.encrypted_content) is None:
            raise RequestError(
                "This reasoning state was altered, or is not this server's",
                param=f"input[{index}].encrypted_content",
                code="invalid_encrypted_content",
            )


async def opened(seal: Seal, turn: Turn, target: str) -> Turn:
    """`turn` as `target` may see it: with the state that came from this target, and no other."""
    items: list[Item] = []
    for item in turn.items:
        if isinstance(item, Reasoning) and item.encrypted_content:
            found = await seal.open(item.encrypted_content)
            state = found[1] if found and found[0] == target else None
            items.append(item.model_copy(update={"encrypted_content": state}))
        else:
            items.append(item)
    return replace(turn, items=tuple(items))


async def sealed(seal: Seal, delta: d.Delta, target: str) -> d.Delta:
    return replace(delta, data=await seal.seal(target, delta.data)) if isinstance(delta, d.Opaque) else delta
