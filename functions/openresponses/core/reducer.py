"""The one place where a response changes: `apply(response, event)`. Folding the log gives the response."""

from ..schema.events import (
    Event,
    OutputItemAdded,
    OutputItemDone,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseQueued,
    ToolProgress,
)
from ..schema.items import Item
from ..schema.response import Response
from .server_calls import told

TERMINAL = (ResponseCompleted, ResponseFailed, ResponseIncomplete)
_LIFECYCLE = (ResponseCreated, ResponseQueued, ResponseInProgress, *TERMINAL)


def apply(response: Response, event: Event) -> Response:
    """The response after `event`. Deltas change nothing: `output_item.done` carries the finished item, and before that
    an event carries the arguments of a call that this server is to make.
    """
    if event.type.endswith(".delta"):  # nearly all of a stream, and the quickest test
        return response
    if isinstance(event, _LIFECYCLE):
        return event.response
    if isinstance(event, OutputItemAdded):
        return response.model_copy(update={"output": [*response.output, event.item]})
    if isinstance(event, OutputItemDone):
        return _with(response, event.output_index, event.item)
    if isinstance(event, ToolProgress):
        before = response.output[event.output_index]
        after = told(before, event)
        return response if after is before else _with(response, event.output_index, after)
    return response


def _with(response: Response, index: int, item: Item) -> Response:
    output = [*response.output]
    output[index] = item
    return response.model_copy(update={"output": output})
