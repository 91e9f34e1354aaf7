"""What a client is shown of a response. It gets some fields only if it asks for them with `include`."""

from collections.abc import Collection, Iterable

from ..schema.events import (
    OutputItemDone,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseQueued,
    StreamEvent,
)
from ..schema.items import Item, Reasoning
from ..schema.response import Response
from ..schema.server_items import WebSearchCall

ENCRYPTED_REASONING = "reasoning.encrypted_content"
SEARCH_SOURCES = "web_search_call.action.sources"


def shown_item(item: Item, include: Collection[str]) -> Item:
    if isinstance(item, Reasoning) and item.encrypted_content and ENCRYPTED_REASONING not in include:
        return item.model_copy(update={"encrypted_content": None})
    if isinstance(item, WebSearchCall) and item.results is not None and item.action.get("type") == "search":
        action = {name: value for name, value in item.action.items() if name != "sources"}
        if SEARCH_SOURCES in include:
            action["sources"] = [{"type": "url", "url": each.url} for each in item.results]
        return item.model_copy(update={"action": action})
    return item


def shown_response(response: Response, include: Iterable[str]) -> Response:
    wanted = set(include)
    return response.model_copy(update={"output": [shown_item(item, wanted) for item in response.output]})


def shown_event(event: StreamEvent, include: Collection[str]) -> StreamEvent:
    if event.type.endswith(".delta"):  # nearly all of a stream, and the quickest test
        return event
    match event:
        case OutputItemDone():
            item = shown_item(event.item, include)
            return event if item is event.item else event.model_copy(update={"item": item})
        case (
            ResponseCreated()
            | ResponseQueued()
            | ResponseInProgress()
            | ResponseCompleted()
            | ResponseFailed()
            | ResponseIncomplete()
        ):
            return event.model_copy(update={"response": shown_response(event.response, include)})
        case _:
            return event
