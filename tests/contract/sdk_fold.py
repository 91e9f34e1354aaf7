"""What the official SDK makes of a stream: the accumulator behind `client.responses.stream`."""

from __future__ import annotations

from typing import Any, cast

from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

from tests.unit.kit import Json


def accumulated(events: list[Json]) -> Json:
    """Its final response. The SDK raises if an index is taken twice, or an item stays open."""
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in events:
        state.handle_event(cast("Any", construct_type(type_=ResponseStreamEvent, value=event)))
    assert state._completed_response is not None
    return state._completed_response.to_dict(warnings=False)
