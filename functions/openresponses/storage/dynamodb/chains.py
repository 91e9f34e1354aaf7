"""The conversations before responses, on DynamoDB and S3: how chains are kept, read, shortened and deleted.

A chunk is written in a transaction with a check of each member, so it cannot appear after a member's deletion looked
for it. A deletion goes upwards first: it marks the chunks of one level, which stops the writers of the next, then
looks for that. It removes them downwards, so that one that fails finds the others again when it is repeated.
"""

import asyncio
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pydantic_core import from_json, to_json

from ...core.chain import Joint, Link, Passage, chunk_start, response_link, shown
from ...core.loading import Allowance, unlimited
from ...schema.base import Wire
from ...schema.items import Item as ResponseItem
from .layout import DELETED, TenantLayout
from .table import PRESENT, Check, ConditionFailed, Item, Put, safe
from .values import Attribute, Vanished

_KEPT = f"{PRESENT} AND (attribute_not_exists(#status) OR #status <> :deleted)"


class Given(Wire):
    """Items at rest: a response's input, or what a chunk holds."""

    input: list[ResponseItem] = []


def pack_chain(chain: Sequence[Link]) -> Attribute:
    return {"B": zlib.compress(to_json([link.model_dump() for link in chain]))}


async def chain_of(layout: TenantLayout, start: Item) -> list[Link]:
    """Of a response whose item `input` this is. Version 0.1 kept the ids of all ancestors, with the input.

    Raises Vanished.
    """
    if "chain" in start:
        return [Link.model_validate(link) for link in from_json(zlib.decompress(start["chain"]["B"]))]
    if "input" in start:
        return [response_link(each) for each in from_json(await layout.values.unpack(start["input"]))["ancestors"]]
    return []


async def load_links(
    layout: TenantLayout, links: Sequence[Link], within: Allowance | None = None
) -> list[Passage | None]:
    within, keys = within or unlimited(), [link_keys(layout, link) for link in links]
    found = await layout.table.get_all([key for each in keys for key in each], within)
    items = [[found.get((key["pk"]["S"], key["sk"]["S"])) for key in each] for each in keys]
    return await asyncio.gather(*(_passage(layout, each, within) for each in items))


async def join(layout: TenantLayout, joint: Joint, items: Sequence[ResponseItem]) -> bool:
    """Items first, then the object, if they need one: what no item names would outlive a deletion.

    Every writer of a chunk writes the same, so one may overwrite another's.
    """
    chunk, values = joint.chunk, layout.values
    packed = await values.compress(Given(input=list(items)).model_dump_json())
    value = values.place("response", safe(chunk.first), _sk(chunk), packed)
    (key,) = link_keys(layout, chunk)
    item: Item = {
        **key,
        "ttl": {"N": f"{int(chunk.expires or 0)}"},
        "members": {"SS": [safe(member.last) for member in joint.members]},
        "items": value,
    }
    checks = [Check(link_keys(layout, member)[0], _KEPT, {"deleted": {"S": DELETED}}) for member in joint.members]
    try:
        await layout.table.transact([Put(item)], checks)
    except ConditionFailed:
        return False
    if "S" not in value:
        return True
    await values.put(value, packed)
    kept = await layout.table.get(key)
    if not kept or "status" in kept:
        await values.delete(value)
        return False
    return True


async def delete_chunks(layout: TenantLayout, response_id: str, chain: Sequence[Link]) -> None:
    """Delete each chunk that holds items of a response, which is marked as deleted. `chain` is what was before it."""
    levels: list[list[Item]] = []
    names = {safe(response_id)}
    while names:
        level = len(levels) + 1
        first, start = chunk_start(chain, response_id, level), f"chunk#{level}#"
        kept = layout.table.query(layout.pk(first), start, f"{start}~")
        levels.append([_place(item) async for item in kept if names & {*item["members"]["SS"]}])
        await asyncio.gather(*(_mark(layout, item) for item in levels[-1]))
        names = {item["sk"]["S"].removeprefix(start) for item in levels[-1]}
    for found in reversed(levels):
        await asyncio.gather(*(layout.values.delete(item["items"]) for item in found))
        await layout.table.write_all([], [{"pk": item["pk"], "sk": item["sk"]} for item in found])


def _place(item: Item) -> Item:
    """Where a chunk is, without its text: a conversation may have many branches."""
    return {**item, "items": {name: value for name, value in item["items"].items() if name == "S"}}


async def _mark(layout: TenantLayout, item: Item) -> None:
    with suppress(ConditionFailed):  # it expired
        await layout.table.update({"pk": item["pk"], "sk": item["sk"]}, {"status": {"S": DELETED}}, PRESENT)


def _sk(chunk: Link) -> str:
    return f"chunk#{chunk.level}#{safe(chunk.last)}"


def link_keys(layout: TenantLayout, link: Link) -> list[Item]:
    """What a link is read from. The first one is marked when the link is about to go."""
    sks = ["record", "input"] if link.level == 0 else [_sk(link)]
    return [layout.key(link.first, sk) for sk in sks]


async def _passage(layout: TenantLayout, items: Sequence[Item | None], within: Allowance) -> Passage | None:
    """Of the items of a link. Those of a response are read without the rest of it: its tools can be large."""
    there = [item for item in items if item and layout.alive(item)]
    if len(there) < len(items):
        return None
    expires = min(float(item["ttl"]["N"]) for item in there)
    try:
        if len(there) == 1:
            packed = await layout.values.unpack(there[0]["items"], within)
            return Passage(Given.model_validate_json(packed).input, expires)
        record, start = there
        values = [start["input"], record.get("response", start["response"])]
        given, outcome = map(from_json, await layout.values.unpack_all(values, within))
    except Vanished:
        return None
    everything: list[Any] = [*given["input"], *outcome["response"]["output"]]
    read = Given.model_validate({"input": everything}).input
    count = len(given["input"])
    return Passage(shown(read[:count], read[count:], outcome["discarded"]), expires)
