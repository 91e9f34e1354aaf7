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
)
from ..schema.response import Response

TERMINAL = (ResponseCompleted, ResponseFailed, ResponseIncomplete)
_LIFECYCLE = (ResponseCreated, ResponseQueued, ResponseInProgress, *TERMINAL)


def apply(response: Response, event: Event) -> Response:
    """The response after `event`. Deltas change nothing: `output_item.done` carries the finished item."""
    if event.type.endswith(".delta"):  # nearly all of a stream, and the quickest test
        return response
    if isinstance(event, _LIFECYCLE):
        return event.response
    if isinstance(event, OutputItemAdded):
        return response.model_copy(update={"output": [*response.output, event.item]})
    if isinstance(event, OutputItemDone):
        output = [*response.output]
        output[event.output_index] = event.item
        return response.model_copy(update={"output": output})
    return response
