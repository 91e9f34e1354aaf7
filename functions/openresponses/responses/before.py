"""What a response goes on from: the items before its own input."""

import asyncio
from dataclasses import dataclass, field

from ..core.chain import Link
from ..core.errors import NotFound
from ..core.loading import Allowance
from ..core.ports import Ports
from ..durable.history import continued, previous, referenced
from ..schema.items import Item, ItemReference
from ..schema.request import CreateResponse


@dataclass(frozen=True, slots=True)
class Before:
    """`chain` leads to the responses that `items` are of, oldest first. `referred` are what the input names, by id."""

    chain: list[Link] = field(default_factory=list[Link])
    items: list[Item] = field(default_factory=list[Item])
    referred: dict[str, Item] = field(default_factory=dict[str, Item])


async def admitted(request: CreateResponse, ports: Ports) -> Before:
    """What is before a request that is not refused. Neither waits for the other. Raises RequestError or NotFound."""
    said = request.input if isinstance(request.input, list) else []
    if request.previous_response_id is None and not any(isinstance(item, ItemReference) for item in said):
        await ports.models.admit(request)
        return Before()
    refused, before = await asyncio.gather(ports.models.admit(request), _before(request, ports), return_exceptions=True)
    if isinstance(refused, BaseException):
        raise refused
    if isinstance(before, BaseException):
        raise before
    return before


async def _before(request: CreateResponse, ports: Ports) -> Before:
    storage = ports.storage
    if storage is None:
        if request.previous_response_id is not None:
            raise NotFound("This server stores nothing", param="previous_response_id")
        return Before()
    store, within = storage.store, Allowance()
    if request.previous_response_id is None:
        return Before(referred=await referenced(store, request, within))
    found, referred = await asyncio.gather(
        previous(store, request.previous_response_id, within), referenced(store, request, within)
    )
    chain, items = await continued(store, found, within)
    return Before(chain, items, referred)
