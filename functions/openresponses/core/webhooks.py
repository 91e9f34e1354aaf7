"""Webhooks at rest: where a tenant's events are sent, and the events that no try could deliver. Pure: no I/O.

Nothing imports this at a cold start: see who names these types only for a type checker.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from pydantic import TypeAdapter

MAX_ENDPOINTS = 20
"""Of a tenant. All of them are one item at rest, and an event is sent to all of them at once."""
DEAD_LETTER_DAYS = 30


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A secret as its tenant's seal keeps it. It signs until `until`, in Unix seconds; without one, until it is
    replaced.
    """

    sealed: str = field(repr=False)
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events of some types are sent. `secrets` sign all of them; the newest is the first, and `hint` is what is
    shown of it. Times are Unix seconds. A URL may hold a token, so it is not printed.
    """

    id: str
    name: str
    url: str = field(repr=False)
    event_types: tuple[str, ...]
    secrets: tuple[SigningSecret, ...]
    hint: str
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Registered:
    """A tenant's endpoints, in the order in which they were made, and how often they were changed."""

    endpoints: Sequence[Endpoint] = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up, and why its last try failed. Times are Unix seconds."""

    event_id: str
    event_type: str
    response_id: str
    endpoint_id: str
    reason: str
    created_at: int
    given_up_at: int


@cache
def endpoints_adapter() -> TypeAdapter[tuple[Endpoint, ...]]:
    return TypeAdapter(tuple[Endpoint, ...])


@cache
def letter_adapter() -> TypeAdapter[DeadLetter]:
    return TypeAdapter(DeadLetter)
