"""What is kept of a response at rest."""

from dataclasses import dataclass

from pydantic import ConfigDict

from ..schema.base import Wire
from ..schema.events import Event
from ..schema.items import Item
from ..schema.response import Response
from .chain import Link
from .conversations import Lock
from .timeline import Timeline

TERMINAL_STATUSES = ("completed", "incomplete", "failed", "cancelled")


class Record(Wire):
    """One stored response.

    `input` is what its own request brought; `chain` leads to the responses before it, `lock` is of the conversation
    before it: it has one of them at most. `discarded` names output items of dead turns. `lease`, in Unix seconds, is
    how long an inline worker vouches for it; null once a state machine has it. `timeline` is of one that is over; older
    records have none.
    """

    model_config = ConfigDict(defer_build=True)  # no model contains a record

    response: Response
    input: list[Item] = []
    chain: list[Link] = []
    lock: Lock | None = None
    discarded: list[str] = []
    lease: float | None = None
    timeline: Timeline | None = None

    @property
    def over(self) -> bool:
        return self.response.status in TERMINAL_STATUSES


@dataclass(frozen=True, slots=True)
class Batch:
    """One write of the event log. An empty batch is a fence: its writer has taken the log over."""

    number: int
    events: list[Event]


@dataclass(frozen=True, slots=True)
class Claim:
    """What an idempotency key stands for: a response, and the body of the request that made it.

    `instead_of` is the response of an earlier claim, of which nothing is left: this claim takes its place.
    """

    key: str
    response_id: str
    body_hash: str
    instead_of: str = ""
