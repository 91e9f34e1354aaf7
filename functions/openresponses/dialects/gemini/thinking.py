"""Thought signatures between turns: what a reasoning item carries of them, as JSON of our own.

A signature must come back on the very part it came on ("Thought signatures", Gemini API). But that part is an item
of its own, so the state in a reasoning item says which part it means, and has what is needed to rebuild it.
"""

from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError

from ...schema.base import JsonObject
from ...schema.effort import nearest
from ...schema.request import ReasoningSettings
from .models import GeminiModel

_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}
_LEAST_PRO_BUDGET = 128


def thinking(reasoning: ReasoningSettings | None, model: GeminiModel, include_thoughts: bool | None) -> JsonObject:
    """Nothing for models that don't think, which refuse it. A summary comes where reasoning is asked for at all."""
    effort = reasoning.effort if reasoning else None
    if include_thoughts is None:
        include_thoughts = reasoning is not None and effort != "none"
    config: dict[str, JsonValue] = {"includeThoughts": True} if include_thoughts else {}
    if effort and model.is_3 and not model.makes_images:  # none of these can do without thinking
        level = nearest(effort, model.levels)
        config |= {"thinkingLevel": level.upper()} if level else {}
    elif effort and not model.is_3 and (known := nearest(effort, _BUDGETS)):
        config["thinkingBudget"] = max(_BUDGETS[known], _LEAST_PRO_BUDGET if model.is_pro else 0)
    return {"thinkingConfig": config} if config and model.thinks else {}


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
