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

ENCRYPTED_REASONING = "reasoning.encrypted_content"


def shown_item(item: Item, include: Collection[str]) -> Item:
    if isinstance(item, Reasoning) and item.encrypted_content and ENCRYPTED_REASONING not in include:
        return item.model_copy(update={"encrypted_content": None})
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
