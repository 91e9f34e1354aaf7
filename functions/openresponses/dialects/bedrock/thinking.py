"""How much a model is to reason, in the words of its family, and the knobs that this leaves it. Pure.

Sources: the user guide of Amazon Bedrock, "Extended thinking", "Adaptive thinking" and "Preserved thinking"; that of
Amazon Nova 2, "Extended thinking"; for gpt-oss and Qwen, what pydantic-ai has recorded.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.effort import nearest
from .._shared.json import fields, loads, objects
from .models import Traits


def kept(block: JsonObject) -> str:
    return json.dumps(block, ensure_ascii=False, separators=(",", ":"))


def restored(state: str | None) -> JsonObject | None:
    """The block that `kept` made a state of; None for anything else."""
    try:
        block = loads(state or "")
    except ValueError:
        return None
    match block:
        case {"redactedContent": str(), **rest} if not rest:
            return block
        case {"reasoningText": {"text": str(), "signature": str(), **more}, **rest} if not (rest or more):
            return block
        case {"reasoningText": {"text": str(), **more}, **rest} if not (rest or more):
            return block
        case _:
            return None


_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
_LEAST_BUDGET = 1024
_BINDING_BETA = "thinking-binding-controls-2026-08-01"
_ANSWER_TOKENS = 8192
"""Beside a budget, where the request has no limit of its own: the limit counts both."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`inferenceConfig` and `additionalModelRequestFields`."""

    inference: JsonObject
    more: JsonObject = field(default_factory=JsonObject)


def is_off(turn: Turn, traits: Traits) -> bool:
    """Whether the turn turns reasoning off, for a model that can: what was thought before stays out then, too."""
    return traits.thinking == "adaptive" and bool(traits.off) and _effort(turn) == "none"


def asked(turn: Turn, traits: Traits, messages: Sequence[JsonObject], *, forced: bool) -> Asked:
    """`forced`: the turn must call a tool."""
    effort, limit = _effort(turn), turn.max_output_tokens
    wanted = effort not in (None, "none") or (effort is None and _summary(turn))
    match traits.thinking:
        case "adaptive":
            return _adaptive(effort, turn, traits, messages)
        case "budget" if wanted and not forced and _may_think(messages):
            return _budget(_BUDGETS[effort or "medium"], limit, turn, traits)
        case "nova" if wanted:
            return _nova(_level(effort or "medium"), limit, turn, traits)
        case "effort" if wanted and effort:
            return Asked(_inference(turn, traits.sampling, limit), {"reasoning_effort": _level(effort)})
        case "qwen" if wanted and effort:
            level = "low" if effort in ("minimal", "low") else "high"
            return Asked(_inference(turn, traits.sampling, limit), {"reasoning_config": level})
        case _:
            return Asked(_inference(turn, traits.sampling, limit))


def _adaptive(effort: str | None, turn: Turn, traits: Traits, messages: Sequence[JsonObject]) -> Asked:
    """Newer models show none of it, unless a summary is asked for. Where nothing turns it off, `none` is the least.

    Reasoning that is bound to what came before it is left out by the model where that has changed, as it does when
    tools or instructions come and go, rather than refused.
    """
    limit = turn.max_output_tokens
    if is_off(turn, traits):
        return Asked(_inference(turn, traits.sampling, limit), {"thinking": {"type": traits.off}})
    thinking: JsonObject = {"type": "adaptive"}
    more: JsonObject = {"thinking": thinking}
    if _summary(turn):
        thinking["display"] = "summarized"
    if traits.bound and _has_reasoning(messages):
        thinking["block_binding"] = {"prefix_mismatch_behavior": "drop_block"}
        more["anthropic_beta"] = [_BINDING_BETA]
    elif not (effort or _summary(turn)):
        return Asked(_inference(turn, traits.sampling, limit))
    highest = "xhigh" if traits.sampling == 0 else "max"
    if effort:
        more["output_config"] = {"effort": {"none": "low", "minimal": "low", "xhigh": highest}.get(effort, effort)}
    return Asked(_inference(turn, 0, limit), more)


def _budget(budget: int, limit: int | None, turn: Turn, traits: Traits) -> Asked:
    """The budget must be below the limit, and leave something for the answer."""
    budget = budget if limit is None else min(budget, limit * 3 // 4)
    if budget < _LEAST_BUDGET:
        return Asked(_inference(turn, traits.sampling, limit))
    thinking: JsonObject = {"type": "enabled", "budget_tokens": budget}
    return Asked(_inference(turn, 0, limit or budget + _ANSWER_TOKENS), {"thinking": thinking})


def _nova(level: str, limit: int | None, turn: Turn, traits: Traits) -> Asked:
    """At `high`, Nova 2 refuses a limit, and sampling too: a request that has a limit gets `medium`."""
    if level == "high" and limit is not None:
        level = "medium"
    sampling = 0 if level == "high" else traits.sampling
    reasoning: JsonObject = {"type": "enabled", "maxReasoningEffort": level}
    return Asked(_inference(turn, sampling, limit), {"reasoningConfig": reasoning})


def _level(effort: str) -> str:
    return nearest(effort, ("low", "medium", "high")) or effort


def _effort(turn: Turn) -> str | None:
    asked = turn.request.reasoning.effort if turn.request.reasoning else None
    return nearest(asked, ("none", *_BUDGETS)) if asked else None


def _summary(turn: Turn) -> bool:
    return bool(turn.request.reasoning and turn.request.reasoning.summary)


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


def _has_reasoning(messages: Sequence[JsonObject]) -> bool:
    return any("reasoningContent" in block for message in messages for block in objects(message["content"]))


def _may_think(messages: Sequence[JsonObject]) -> bool:
    """With a budget, the model's last message must begin with its signed reasoning, if it has calls. One that another
    provider's model began, or that came back without its state, goes on without thinking."""
    for message in reversed(messages):
        if message["role"] == "assistant":
            content = objects(message["content"])
            calls = any("toolUse" in block for block in content)
            return not calls or "reasoningContent" in fields(content[0])
    return True
