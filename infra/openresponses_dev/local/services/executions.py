"""What the local cloud tells of an execution of a state machine."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution of a state machine. `state` is the one it is in, None when it has ended.

    `events` is the length of its history: AWS ends an execution at 25,000.
    """

    name: str
    state_machine: str
    status: str
    started: datetime
    stopped: datetime | None
    state: str | None
    events: int
