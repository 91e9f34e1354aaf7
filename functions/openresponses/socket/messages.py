"""What a message asks for: the body of a create, and what a socket has besides."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from ..core.errors import RequestError
from ..parsing.habits import refuse_habits
from ..parsing.json import read_as, read_object
from ..schema.request import CreateResponse
from .envelope import MAX_LANE

HTTP_ONLY = ("stream", "stream_options", "background")
"""`WebSocketResponseCreateEvent` gives them a length of at least 1 and at most 0: nothing can be sent in them. Yet
Codex 0.171 and the Agents SDKs (0.24 in Python, 0.20 in JavaScript) send `"stream": true`, which is what they get.
"""


class CreateMessage(CreateResponse):
    """`response.create`. `stream_id` and `generate` are OpenAI's (`ResponseCreate` in openai-python 3.57)."""

    model_config = ConfigDict(defer_build=True)

    type: Literal["response.create"] = "response.create"
    stream_id: Annotated[str, Field(max_length=MAX_LANE)] | None = None
    generate: bool | None = None


def parse(text: str) -> CreateMessage:
    """Raises RequestError, which names the field."""
    data = read_object(text.encode("utf-8", "surrogatepass"))
    kind = data.get("type")
    if kind != "response.create":
        shown = repr(kind) if isinstance(kind, str) and len(kind) <= 64 else "something else"
        raise RequestError(
            f"'type' must be 'response.create'; it is {shown if kind is not None else 'missing'}",
            param="type",
            code="unknown_message_type",
        )
    _refuse_http(data)
    refuse_habits(data)
    asked = read_as(CreateMessage, data)
    asked.stream = True
    return asked


def _refuse_http(data: dict[str, JsonValue]) -> None:
    for name in HTTP_ONLY:
        if name in data and not (name == "stream" and data[name] is True):
            raise RequestError(
                f"{name!r} has no meaning on a WebSocket: leave it out", param=name, code="unsupported_parameter"
            )
