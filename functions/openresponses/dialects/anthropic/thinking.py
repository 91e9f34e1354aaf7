"""Thinking: what a turn asks for, and the blocks of it that go back as they came.

Sources: "Thinking", "Extended thinking", "Effort" and "Preserved thinking" at platform.claude.com/docs.
"""

import json
from typing import NamedTuple

from pydantic import JsonValue

from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.effort import nearest
from .._shared.json import count, fields, loads, text
from .models import Profile

BINDING_BETA = "thinking-binding-controls-2026-08-01"
MIN_BUDGET, MAX_BUDGET = 1024, 32_000
_SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
"""How much of `max_tokens` a thinking budget is. A budget must be less than the limit, and at least 1,024."""


class Thought(NamedTuple):
    """A block of thinking, and whether its message began before it."""

    block: JsonObject
    goes_on: bool


def opaque_of(block: JsonObject, index: int) -> str:
    """A block as the state that our client keeps: all of it, since a client may drop what it was shown."""
    return json.dumps({"block": block, "index": index}, ensure_ascii=False, separators=(",", ":"))


def thinking_block(state: str | None, *, signed: bool) -> Thought | None:
    """The block behind `state`. None where there is none, or (`signed`) one that the API refuses: a block that was
    cut before its signature."""
    try:
        value = fields(loads(state or ""))
    except ValueError:
        return None
    match value.get("block"):
        case {"type": "thinking", "thinking": str(thinking), "signature": str(signature)} if signature or not signed:
            block: JsonObject = {"type": "thinking", "thinking": thinking, "signature": signature}
        case {"type": "redacted_thinking", "data": str(data)} if data:
            block = {"type": "redacted_thinking", "data": data}
        case _:
            return None
    return Thought(block, count(value.get("index")) > 0)


def is_off(turn: Turn, profile: Profile) -> bool:
    """Whether the turn turns thinking off. What was thought before then stays out, too."""
    return _effort(turn) == "none" and profile.off is not None


def thinking(
    turn: Turn, profile: Profile, max_tokens: int, *, began_without: bool, drop_stale: bool
) -> JsonObject | None:
    """The field `thinking`. None: as the model does by default.

    `began_without`: the calls whose results are sent now came without thinking, as another provider's do. A model
    with budgets can't begin to think then ("a final `assistant` message must start with a thinking block").
    """
    asked = turn.request.reasoning
    wanted = asked is not None and (asked.effort is not None or asked.summary is not None)
    forced = turn.tool_choice == "required" and profile.forced_calls
    if profile.thinking == "none":
        return None
    if is_off(turn, profile):
        return {"type": profile.off}
    if forced and not profile.forces_while_thinking:
        return {"type": "disabled"}
    shown: JsonObject = {"display": "summarized"} if profile.claude and asked and asked.summary else {}
    if profile.thinking == "adaptive":
        stale: JsonObject = {"block_binding": {"prefix_mismatch_behavior": "drop_block"}}
        bound = stale if profile.bound and drop_stale else {}
        return {"type": "adaptive", **shown, **bound} if bound or (wanted and not forced) else None
    share = _SHARES.get(_effort(turn) or "medium")
    if not wanted or share is None or forced or began_without or max_tokens <= MIN_BUDGET:
        return None
    budget = min(MAX_BUDGET, max(MIN_BUDGET, int(max_tokens * share)))
    return {"type": "enabled", "budget_tokens": budget, **shown}


def effort(turn: Turn, profile: Profile) -> JsonValue:
    """`output_config.effort`; None: the model's default. Where thinking can't be turned off, the least."""
    if profile.thinking != "adaptive" or is_off(turn, profile):
        return None
    match _effort(turn):
        case "none" | "minimal":
            return "low"
        case "xhigh":
            return profile.top_effort
        case asked:
            return asked


def began_without_thinking(messages: list[tuple[str, list[JsonValue]]]) -> bool:
    """Whether the messages end with results of calls whose turn doesn't begin with thinking."""
    turn: list[JsonValue] = []
    for role, content in reversed(messages):
        if role == "assistant":
            turn = content
        elif role == "user" and not any(fields(block).get("type") == "tool_result" for block in content):
            break
    return bool(turn) and not text(fields(turn[0]).get("type")).endswith("thinking")


def _effort(turn: Turn) -> str | None:
    asked = turn.request.reasoning.effort if turn.request.reasoning else None
    return nearest(asked, ("none", *_SHARES)) if asked else None
