"""How hard Gemini thinks, for the effort that a request asks. Pure.

Sources: Gemini API, "Gemini thinking", and "OpenAI compatibility", whose table of efforts this is.
"""

from pydantic import JsonValue

from ..core.turn import Turn
from ..schema.base import JsonObject
from ..schema.request import Effort

_BUDGETS: dict[Effort, int] = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}
_LEAST_PRO_BUDGET = 128


def thinking(turn: Turn, generation: float, include_thoughts: bool | None) -> JsonObject:
    """Nothing for models before 2.5, which refuse it. A summary comes where reasoning is asked for at all."""
    reasoning = turn.request.reasoning
    effort = reasoning.effort if reasoning else None
    if include_thoughts is None:
        include_thoughts = reasoning is not None and effort != "none"
    config: dict[str, JsonValue] = {"includeThoughts": True} if include_thoughts else {}
    if effort and generation >= 3:
        config["thinkingLevel"] = _level(effort, turn.model)
    elif effort:
        config["thinkingBudget"] = max(_BUDGETS[effort], _LEAST_PRO_BUDGET if _is_pro(turn.model) else 0)
    return {"thinkingConfig": config} if config and generation >= 2.5 else {}


def _level(effort: Effort, model: str) -> str:
    """No model of Gemini 3 can do without thinking; a Pro one not with a minimum of it."""
    if effort in ("none", "minimal"):
        return "LOW" if _is_pro(model) else "MINIMAL"
    return "HIGH" if effort == "xhigh" else effort.upper()


def _is_pro(model: str) -> bool:
    return "-pro" in model
