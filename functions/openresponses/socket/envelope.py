"""What the door and the worker tell each other, and what the door says and reads itself: a message's lane, and errors.
Standard library only: each message waits for it.

Frames follow `WebSocketErrorEvent` of the specification, and OpenAI's `ResponseSteerFailedEvent`.
"""

import json
from hashlib import sha256
from typing import Any, Literal, NotRequired, TypedDict, cast

from ..core.errors import KitError

MAX_FRAME = 128 * 1024
"""Bytes. API Gateway takes and sends no larger message: `Data` of PostToConnection in botocore has this length."""
MAX_LANE = 64
"""Characters of a `stream_id`."""
LIFE = 3600.0
"""Seconds that a connection lives: the specification's 60 minutes."""


class About(TypedDict):
    """What is known of a connection since it is open. `connected` is in Unix seconds. `names` are those of events,
    as the handshake asked for them; empty is the deployment's choice.
    """

    connected: float
    endpoint: str
    names: Literal["open_responses", "openai", ""]


class Sent(TypedDict):
    """A message at rest: its text, and who sent it. The key is looked up anew for each. `mcp` is absent from one that
    an older door has taken.
    """

    text: str
    key_id: str
    models: list[str]
    mcp: NotRequired[list[str]]
    reasoning: str


class Follow(TypedDict):
    """A stored response whose events from number `after` on are still to be sent, for a message that was taken."""

    response_id: str
    after: int
    message_id: str


class Heir(TypedDict):
    """What the next holder of a lane is invoked with. Ids only: the rest is at rest."""

    lane: str
    holder: str
    follow: NotRequired[Follow]


def heir_of(holder: str) -> str:
    """Who gets a lane after `holder`. Whoever passes it on may die before the heir is invoked: the next one who tries
    invokes the same heir, which begins once.
    """
    return sha256(holder.encode()).hexdigest()[:32]


def error_frame(error: KitError, lane: str = "") -> bytes:
    """A response that can't be continued is a 400 here, as in the specification's example, where HTTP has a 404."""
    missed = error.code == "previous_response_not_found"
    status, kind = (400, "invalid_request") if missed else (error.status, error.type)
    payload = {"type": kind, "code": error.code, "message": error.message, "param": error.param}
    return _frame({"type": "error", "status": status, "error": payload}, lane)


def read(text: str) -> dict[str, Any]:
    """A message's fields; none if it can't be read. Who takes the message says what is wrong."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", fields) if isinstance(fields, dict) else {}


def lane_of(fields: dict[str, Any]) -> str:
    """The lane without a name is that of messages without a `stream_id`, or with a wrong one."""
    lane = fields.get("stream_id")
    return lane if isinstance(lane, str) and len(lane) <= MAX_LANE else ""


def steer_failed(fields: dict[str, Any]) -> bytes:
    """The answer to `response.steer`: it ends no turn."""
    error = {
        "type": "invalid_request_error",
        "code": "steering_not_supported",
        "message": "This server can't steer a response: send its input with the next response.create",
    }
    steer = {"previous_response_id": str(fields.get("previous_response_id", "")), "input": fields.get("input", "")}
    event = {"type": "response.steer.failed", "sequence_number": 0, "error": error, "steer": steer}
    frame = _frame(event, "")
    return frame if len(frame) <= MAX_FRAME else _frame({**event, "steer": {**steer, "input": ""}}, "")


def _frame(fields: dict[str, Any], lane: str) -> bytes:
    return json.dumps({**fields, "stream_id": lane} if lane else fields, ensure_ascii=False).encode()
