"""Thought signatures between turns: what a reasoning item carries of them, as JSON of our own.

A signature must come back on the very part it came on ("Thought signatures", Gemini API). But that part is an item
of its own, so the state in a reasoning item says which part it means, and has what is needed to rebuild it.
"""

from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NextPart(_State):
    """The signature of the part that follows: a call, or what the provider ran itself.

    `calls` is the number of calls before it in its turn: with some, it is one more of the same parallel calls.
    """

    next: str
    calls: int = 0


class Thought(_State):
    """A thought part that is signed itself."""

    thought: str
    signature: str


class Spoken(_State):
    """The signed pieces of the text before it: where each begins, what it says, and its signature.

    `length` is that of the whole text; without any, the signatures came on empty texts of their own.
    """

    spoken: tuple[tuple[int, str, str], ...]
    length: int


State: TypeAlias = NextPart | Thought | Spoken
_STATES: TypeAdapter[State] = TypeAdapter(State)


def state_of(data: str | None) -> State | None:
    """None for what isn't ours too."""
    try:
        return _STATES.validate_json(data) if data else None
    except ValidationError:
        return None
