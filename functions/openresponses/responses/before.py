"""What a response goes on from: the items before its own input."""

import asyncio
from dataclasses import dataclass, field

from ..core.chain import Link
from ..core.conversations import Lock
from ..core.errors import NotFound
from ..core.loading import Allowance
from ..core.ports import Ports
from ..durable.conversation import found, free, items_at, no_conversation
from ..durable.history import continued, previous, referenced
from ..schema.items import InputItem, Item, ItemReference
from ..schema.request import CreateResponse


@dataclass(frozen=True, slots=True)
class Before:
    """`chain` leads to the responses that `items` are of, oldest first, or `lock` is of the conversation that they are
    of. `referred` are what the input names, by id.
    """

    chain: list[Link] = field(default_factory=list[Link])
    items: list[Item] = field(default_factory=list[Item])
    referred: dict[str, Item] = field(default_factory=dict[str, Item])
    lock: Lock | None = None


async def admitted(request: CreateResponse, ports: Ports) -> Before:
    """What is before a request that is not refused. Neither waits for the other. Raises RequestError or NotFound."""
    goes_on = request.previous_response_id is not None or request.conversation is not None
    if not goes_on and not any(isinstance(item, ItemReference) for item in _said(request)):
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
        if request.conversation is not None:
            raise no_conversation(request.conversation.id, "conversation")
        return Before()
    store, within, said = storage.store, Allowance(), _said(request)
    if request.conversation is not None:
        conversation = await found(storage, request.conversation.id, "conversation")
        lock = await free(storage, conversation, ports.now())
        items, referred = await asyncio.gather(items_at(storage, lock, within), referenced(store, said, within))
        return Before(items=items, referred=referred, lock=lock)
    if request.previous_response_id is None:
        return Before(referred=await referenced(store, said, within))
    last, referred = await asyncio.gather(
        previous(store, request.previous_response_id, within), referenced(store, said, within)
    )
    chain, items = await continued(store, last, within)
    return Before(chain, items, referred)


def _said(request: CreateResponse) -> list[InputItem]:
    return request.input if isinstance(request.input, list) else []
