"""How much a model is to reason, in the words of its family, and the knobs that this leaves it. Pure.

Sources: the user guide of Amazon Bedrock, "Extended thinking", "Adaptive thinking" and `OutputConfig`; that of Amazon
Nova 2, "Extended thinking"; for gpt-oss and Qwen, what pydantic-ai has recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core.turn import Turn
from ..schema.base import JsonObject
from ..schema.request import Effort
from ._bedrock_models import Traits
from ._json import fields, objects

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}
_LEAST_BUDGET = 1024
_ANSWER_TOKENS = 8192
"""Beside a budget, where the request has no limit of its own: the limit counts both."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`more` are `additionalModelRequestFields`, `effort` is `outputConfig.effort`."""

    inference: JsonObject
    more: JsonObject = field(default_factory=JsonObject)
    effort: str | None = None


def asked(turn: Turn, traits: Traits, messages: Sequence[JsonObject], *, forced: bool) -> Asked:
    """`forced`: the turn must call a tool."""
    effort = turn.request.reasoning.effort if turn.request.reasoning else None
    limit = turn.max_output_tokens
    match traits.thinking:
        case "adaptive" | "always" if effort:
            return _adaptive(turn, traits, effort)
        case "budget" if effort and effort != "none" and not forced and _may_think(messages):
            return _budget(_BUDGETS[effort], limit, turn, traits)
        case "nova" if effort and effort != "none":
            return _nova(effort, limit, turn, traits)
        case "effort" if effort and effort != "none":
            level = {"minimal": "low", "xhigh": "high"}.get(effort, effort)
            return Asked(_inference(turn, traits.sampling, limit), {"reasoning_effort": level})
        case "qwen" if effort and effort != "none":
            level = "low" if effort in ("minimal", "low") else "high"
            return Asked(_inference(turn, traits.sampling, limit), {"reasoning_config": level})
        case _:
            return Asked(_inference(turn, traits.sampling, limit))


def _adaptive(turn: Turn, traits: Traits, effort: Effort) -> Asked:
    """Newer models think without showing it, unless a summary is asked for. None of them takes sampling then."""
    if effort == "none":
        off: JsonObject = {"thinking": {"type": "disabled"}} if traits.thinking == "adaptive" else {}
        return Asked(_inference(turn, traits.sampling, turn.max_output_tokens), off)
    thinking: JsonObject = {"type": "adaptive"}
    if turn.request.reasoning and turn.request.reasoning.summary:
        thinking["display"] = "summarized"
    highest = "xhigh" if traits.sampling == 0 else "max"
    level = {"minimal": "low", "xhigh": highest}.get(effort, effort)
    return Asked(_inference(turn, 0, turn.max_output_tokens), {"thinking": thinking}, level)


def _budget(budget: int, limit: int | None, turn: Turn, traits: Traits) -> Asked:
    """The budget must be below the limit, and leave something for the answer."""
    budget = budget if limit is None else min(budget, limit * 3 // 4)
    if budget < _LEAST_BUDGET:
        return Asked(_inference(turn, traits.sampling, limit))
    thinking: JsonObject = {"type": "enabled", "budget_tokens": budget}
    return Asked(_inference(turn, 0, limit or budget + _ANSWER_TOKENS), {"thinking": thinking})


def _nova(effort: Effort, limit: int | None, turn: Turn, traits: Traits) -> Asked:
    """At `high`, Nova 2 refuses a limit, and sampling too: a request that has a limit gets `medium`."""
    level = {"minimal": "low", "xhigh": "high"}.get(effort, effort)
    if level == "high" and limit is not None:
        level = "medium"
    sampling = 0 if level == "high" else traits.sampling
    reasoning: JsonObject = {"type": "enabled", "maxReasoningEffort": level}
    return Asked(_inference(turn, sampling, limit), {"reasoningConfig": reasoning})


def _inference(turn: Turn, sampling: int, limit: int | None) -> JsonObject:
    """Bedrock's temperatures end at 1."""
    temperature, top_p = turn.request.temperature, turn.request.top_p
    inference: JsonObject = {}
    if limit is not None:
        inference["maxTokens"] = limit
    if temperature is not None and sampling:
        inference["temperature"] = min(temperature, 1.0)
    if top_p is not None and (sampling == 2 or (sampling == 1 and temperature is None)):
        inference["topP"] = top_p
    return inference


def _may_think(messages: Sequence[JsonObject]) -> bool:
    """With a budget, the model's last message must begin with its signed reasoning, if it has calls. One that another
    provider's model began, or that came back without its state, goes on without thinking."""
    for message in reversed(messages):
        if message["role"] == "assistant":
            content = objects(message["content"])
            calls = any("toolUse" in block for block in content)
            return not calls or "reasoningContent" in fields(content[0])
    return True
