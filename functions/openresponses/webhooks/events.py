"""What an event is: its id, its type and its body. Knows nothing of where it goes.

The body is OpenAI's (openai.types.webhooks.ResponseCompletedWebhookEvent and its siblings). It names the response and
says nothing of what is in it: the receiver reads that with a key of its own.
"""

import json
from dataclasses import dataclass

from ..schema.webhooks import EVENT_TYPES


@dataclass(frozen=True, slots=True)
class Ended:
    """A stored response that is over. `status` is the response's; `ended_at` is in Unix seconds."""

    response_id: str
    status: str
    ended_at: int


@dataclass(frozen=True, slots=True)
class Event:
    """`created_at` is in Unix seconds."""

    id: str
    type: str
    response_id: str
    created_at: int

    @property
    def body(self) -> bytes:
        """The same bytes at each try."""
        told = {
            "id": self.id,
            "object": "event",
            "created_at": self.created_at,
            "type": self.type,
            "data": {"id": self.response_id},
        }
        return json.dumps(told, separators=(",", ":")).encode()


def event_of(ended: Ended) -> Event | None:
    """A response ends once, so its event has the response's own token. None for a status that no event tells."""
    kind = f"response.{ended.status}"
    if kind not in EVENT_TYPES:
        return None
    return Event(f"evt_{ended.response_id.removeprefix('resp_')}", kind, ended.response_id, ended.ended_at)


def sample(kind: str, token: str, now: float) -> Event:
    """An event of a response that there never was."""
    return Event(f"evt_{token}", kind, f"resp_{token}", int(now))
