"""How hard Gemini thinks, for the effort that a request asks. Pure.

Sources: Gemini API, "Gemini thinking", and "OpenAI compatibility", whose table of efforts this is.
"""

from pydantic import JsonValue

from ..schema.base import JsonObject
from ..schema.request import Effort, ReasoningSettings
from ._gemini_options import GeminiModel

_BUDGETS: dict[Effort, int] = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}
_LEAST_PRO_BUDGET = 128


def thinking(reasoning: ReasoningSettings | None, model: GeminiModel, include_thoughts: bool | None) -> JsonObject:
    """Nothing for models that don't think, which refuse it. A summary comes where reasoning is asked for at all."""
    effort = reasoning.effort if reasoning else None
    if include_thoughts is None:
        include_thoughts = reasoning is not None and effort != "none"
    config: dict[str, JsonValue] = {"includeThoughts": True} if include_thoughts else {}
    if effort and model.is_3 and not model.makes_images:
        config["thinkingLevel"] = _level(effort, model)
    elif effort and not model.is_3:
        config["thinkingBudget"] = max(_BUDGETS[effort], _LEAST_PRO_BUDGET if model.is_pro else 0)
    return {"thinkingConfig": config} if config and model.thinks else {}


def _level(effort: Effort, model: GeminiModel) -> str:
    """From Gemini 3 on, no model can do without thinking."""
    if effort in ("none", "minimal"):
        return "MINIMAL" if model.has_minimal_level else "LOW"
    return "HIGH" if effort == "xhigh" else effort.upper()
