"""What a response goes on from: the items before its own input."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from pydantic import ConfigDict

from ..core.chain import Link, shown
from ..core.conversations import Lock
from ..core.loading import Allowance
from ..core.ports import Ports
from ..core.records import Record
from ..core.run import Run
from ..durable.conversation import as_it_is, found, free, items_at, no_conversation
from ..durable.history import continued, loaded, previous, previous_gone, referenced, shown_of, too_long_is
from ..schema.base import Wire
from ..schema.items import InputItem, Item, ItemReference
from ..schema.request import CreateResponse


class Remembered(Wire):
    """What goes on from a response that is not stored: `chain` leads to stored ones before it, `items` are the rest."""

    model_config = ConfigDict(defer_build=True)  # few requests go on from one

    chain: list[Link] = []
    items: list[Item] = []


Recall: TypeAlias = Callable[[str], Awaitable[Remembered | None]]
"""The response of this id, if it is remembered where the request came in."""


@dataclass(frozen=True, slots=True)
class Before:
    """`chain` leads to the responses that `items` are of, oldest first, or `lock` is of the conversation that they are
    of. `referred` are what the input names, by id. `unstored` are the last of the items, to which no chain leads.
    """

    chain: list[Link] = field(default_factory=list[Link])
    items: list[Item] = field(default_factory=list[Item])
    referred: dict[str, Item] = field(default_factory=dict[str, Item])
    unstored: list[Item] = field(default_factory=list[Item])
    lock: Lock | None = None


async def admitted(
    request: CreateResponse, ports: Ports, recall: Recall | None = None, *, reads: bool = False
) -> Before:
    """What is before a request that is not refused. Neither waits for the other. Raises RequestError or NotFound.

    Who only `reads` is not refused a conversation that a response holds: its items are those before that response.
    """
    goes_on = request.previous_response_id is not None or request.conversation is not None
    if not goes_on and not any(isinstance(item, ItemReference) for item in _said(request)):
        await ports.models.admit(request)
        return Before()
    refused, before = await asyncio.gather(
        ports.models.admit(request), _before(request, ports, recall, reads=reads), return_exceptions=True
    )
    if isinstance(refused, BaseException):
        raise refused
    if isinstance(before, BaseException):
        raise before
    return before


async def _before(request: CreateResponse, ports: Ports, recall: Recall | None, *, reads: bool) -> Before:
    storage, previous_id = ports.storage, request.previous_response_id
    remembered = await recall(previous_id) if recall and previous_id is not None else None
    if storage is None:
        if remembered is not None:
            return Before(items=remembered.items, unstored=remembered.items)
        if previous_id is not None:
            raise previous_gone("This server stores nothing")
        if request.conversation is not None:
            raise no_conversation(request.conversation.id, "conversation")
        return Before()
    store, within, said = storage.store, Allowance(), _said(request)
    if request.conversation is not None:
        conversation = await found(storage, request.conversation.id, "conversation")
        lock = as_it_is(conversation) if reads else await free(storage, conversation, ports.now())
        items, referred = await asyncio.gather(items_at(storage, lock, within), referenced(store, said, within))
        return Before(items=items, referred=referred, lock=lock)
    if previous_id is None:
        return Before(referred=await referenced(store, said, within))
    if remembered is not None:
        (chain, items), referred = await asyncio.gather(
            loaded(store, previous_id, remembered.chain, within), referenced(store, said, within)
        )
        return Before(chain, [*items, *remembered.items], referred, remembered.items)
    last, referred = await asyncio.gather(previous(store, previous_id, within), referenced(store, said, within))
    if last.lock is not None:  # no chain leads to a conversation
        with too_long_is("previous_response_id"):
            items = [*await items_at(storage, last.lock, within), *shown_of(last)]
        return Before(items=items, referred=referred, unstored=items)
    chain, items = await continued(store, last, within)
    return Before(chain, items, referred)


def memory_of(run: Run, record: Record) -> Remembered:
    """What goes on from the response of a run that is over, and that is not stored."""
    given = run.context if record.lock else record.input  # no chain leads to a conversation
    return Remembered(chain=record.chain, items=shown(given, run.response.output, run.discarded))


def _said(request: CreateResponse) -> list[InputItem]:
    return request.input if isinstance(request.input, list) else []
