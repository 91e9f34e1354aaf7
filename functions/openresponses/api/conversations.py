"""The routes of conversations and their items."""

from collections.abc import Collection, Sequence
from typing import TypeVar

from pydantic import TypeAdapter
from starlette.responses import JSONResponse, Response

from ..core.conversations import Conversation
from ..responses.view import shown_item
from ..schema.base import Wire
from ..schema.conversation import ConversationChange, ConversationResource, NewConversation, NewItems
from ..schema.items import Item
from .body import IncludeQuery, ItemsQuery, parse_body, parse_query, read_body
from .call import Call

_ITEM: TypeAdapter[Item] = TypeAdapter(Item, config={"defer_build": True})
W = TypeVar("W", bound=Wire)


async def create_conversation(call: Call) -> Response:
    asked = await _body(call, NewConversation)
    return _shown(await call.stored.conversations.create(asked.items or [], asked.metadata or {}))


async def retrieve_conversation(call: Call) -> Response:
    return _shown(await call.stored.conversations.retrieve(_id(call)))


async def update_conversation(call: Call) -> Response:
    asked = await _body(call, ConversationChange)
    return _shown(await call.stored.conversations.describe(_id(call), asked.metadata or {}))


async def delete_conversation(call: Call) -> Response:
    await call.stored.conversations.delete(_id(call))
    return JSONResponse({"id": _id(call), "object": "conversation.deleted", "deleted": True})


async def create_items(call: Call) -> Response:
    query, asked = parse_query(IncludeQuery, call.request), await _body(call, NewItems)
    return _listing(await call.stored.conversations.add(_id(call), asked.items), query.include, more=False)


async def list_items(call: Call) -> Response:
    asked = parse_query(ItemsQuery, call.request)
    items, more = await call.stored.conversations.page(
        _id(call), limit=asked.limit, newest_first=asked.order == "desc", after=asked.after
    )
    return _listing(items, asked.include, more=more)


async def retrieve_item(call: Call) -> Response:
    query = parse_query(IncludeQuery, call.request)
    item = await call.stored.conversations.item(_id(call), _item_id(call))
    return JSONResponse(_dumped(item, query.include))


async def delete_item(call: Call) -> Response:
    return _shown(await call.stored.conversations.remove(_id(call), _item_id(call)))


def _id(call: Call) -> str:
    return call.request.path_params["conversation_id"]


def _item_id(call: Call) -> str:
    return call.request.path_params["item_id"]


async def _body(call: Call, kind: type[W]) -> W:
    return parse_body(kind, await read_body(call.request, call.settings.max_body_bytes))


def _shown(conversation: Conversation) -> Response:
    shown = ConversationResource(id=conversation.id, created_at=conversation.created_at, metadata=conversation.metadata)
    return Response(shown.model_dump_json(), media_type="application/json")


def _listing(items: Sequence[Item], include: Collection[str], *, more: bool) -> Response:
    listing = {
        "object": "list",
        "data": [_dumped(item, include) for item in items],
        "first_id": items[0].id if items else None,
        "last_id": items[-1].id if items else None,
        "has_more": more,
    }
    return JSONResponse(listing)


def _dumped(item: Item, include: Collection[str]) -> object:
    return _ITEM.dump_python(shown_item(item, include), mode="json")
