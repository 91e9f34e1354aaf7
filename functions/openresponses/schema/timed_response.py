"""A stored response with its timeline. Imported for who asks for it: a response in a stream has no such field."""

from pydantic import ConfigDict

from .base import absent
from .response import Response
from .timeline import TIMELINE, TimelineEntry


class TimedResponse(Response):
    """`timeline` begins with what was done first."""

    model_config = ConfigDict(defer_build=True)

    timeline: list[TimelineEntry] | None = absent(alias=TIMELINE)
