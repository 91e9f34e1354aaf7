"""A tenant's responses by time, on DynamoDB: the index `by-time` of the table.

    list_pk  "<tenant>/list"
    list_sk  when the response was created, in milliseconds, and its id
    listed   what a list shows of it, and when it expires: compressed JSON. The index holds no other attribute

They are attributes of the item `record`. So the index is written with it, once as the response is created and once as
it ends: to renew a lease changes nothing that is in the index, and DynamoDB writes an index only if something is.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html, "Write capacity units"

A record of version 0.1 has none of them, and is not listed.
"""

import zlib

from pydantic import ConfigDict

from ...core.listing import MAX_READ, ListedResponse, Listing, Order, Wanted, listed, place_in_time
from ...core.timeline import Timeline
from ...schema.base import Wire
from ...schema.response import Response
from .layout import DAY, TenantLayout
from .table import Item
from .values import Attribute

_GROWS = 4
"""How many times as much is read as before, while too little of it is wanted: 1,000 entries take four calls."""


class _Entry(Wire):
    model_config = ConfigDict(defer_build=True)

    expires: float
    response: ListedResponse


def index_keys(layout: TenantLayout, response: Response, created: float) -> Item:
    return {"list_pk": {"S": _pk(layout)}, "list_sk": {"S": place_in_time(response, created)}}


def pack_listed(layout: TenantLayout, response: Response, timeline: Timeline | None = None) -> Attribute:
    expires = response.created_at + layout.response_days * DAY
    entry = _Entry(expires=expires, response=listed(response, timeline))
    return {"B": zlib.compress(entry.model_dump_json(exclude_defaults=True).encode())}


async def page(layout: TenantLayout, wanted: Wanted, *, limit: int, order: Order, after: str | None) -> Listing | None:
    beyond = None
    if after is not None:
        record = await layout.table.get(layout.key(after, "record"))
        if "list_sk" not in record or not layout.alive(record):
            return None
        beyond = record["list_sk"]["S"]
    found, last_id, left, most = list[ListedResponse](), None, MAX_READ, limit + 1
    while True:
        items, more = await layout.table.query_index(
            _pk(layout), beyond=beyond, forward=order == "asc", most=min(most, left)
        )
        for position, item in enumerate(items, 1):
            entry = _Entry.model_validate_json(zlib.decompress(item["listed"]["B"]))
            beyond, last_id = item["list_sk"]["S"], entry.response.id
            if entry.expires > layout.now() and wanted.fits(entry.response):
                found.append(entry.response)
            if len(found) == limit:
                return Listing(found, last_id, more or position < len(items))
        left, most = left - len(items), most * _GROWS
        if not more or not left:
            return Listing(found, last_id, more)


def _pk(layout: TenantLayout) -> str:
    return f"{layout.tenant}/list"
