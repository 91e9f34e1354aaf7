"""Provider state that leaves the server is sealed, and goes back to the provider that made it only.

State that a provider wants echoed (signatures, encrypted or raw reasoning) travels as a reasoning item's
`encrypted_content`, through clients and through the store. It is sealed as it comes from the provider, and opened as it
goes back: nothing in between can read it. A seal names the target that the state is for. What a compaction item holds
is sealed too: see `compacted`. So are the credentials of an MCP server that a provider asks, as long as a run has them.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from ..core import deltas as d
from ..core.errors import RequestError
from ..core.ports import Seal
from ..core.run import OfferedTool
from ..core.turn import Turn
from ..schema.base import JsonObject
from ..schema.items import Compaction, CustomToolCall, FunctionCall, InputItem, Item, Reasoning
from ..schema.server_items import HostedToolCall
from ..schema.tools import UpstreamTool

_SECRET, _SEALED = ("server_url", "headers", "authorization"), "sealed"
"""Fields of an MCP server's definition, and the one that stands for them."""


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
    tools = tuple([await _opened_tool(seal, tool) for tool in turn.upstream_tools])
    return replace(turn, items=tuple(items), made=made, upstream_tools=tools)


async def with_sealed_credentials(seal: Seal, tool: OfferedTool) -> OfferedTool:
    """`tool` as a run may be stored with it. The URL of an MCP server may hold a key, too."""
    if tool.kind != "upstream" or tool.item_type != "mcp":
        return tool
    fields = {name: value for name, value in (tool.parameters or {}).items() if name != _SEALED}
    if secrets := {name: fields.pop(name) for name in _SECRET if fields.get(name)}:
        fields[_SEALED] = await seal.seal(_sealed_for(fields), json.dumps(secrets))
    return tool.model_copy(update={"parameters": fields})


async def _opened_tool(seal: Seal, tool: UpstreamTool) -> UpstreamTool:
    """Raises RequestError if it can't be opened any more, as after its key was taken away."""
    fields = tool.model_dump(mode="json")
    if tool.type != "mcp" or _SEALED not in fields:
        return tool
    found = await seal.open(str(fields.pop(_SEALED)))
    if found is None or found[0] != _sealed_for(fields):
        label = fields.get("server_label")
        raise RequestError(f"The credentials of the MCP server {label!r} can't be read any more", param="tools")
    return UpstreamTool.model_validate({**fields, **json.loads(found[1])})


def _sealed_for(fields: JsonObject) -> str:
    """A label has no slash, so it is no target's name."""
    return f"mcp:{fields.get('server_label')}"


async def sealed(seal: Seal, delta: d.Delta, target: str) -> d.Delta:
    return replace(delta, data=await seal.seal(target, delta.data)) if isinstance(delta, d.Opaque) else delta
