"""What each generation of Anthropic's models refuses on Bedrock, in addition to what Bedrock does.

Sources: the user guide of Amazon Bedrock, "Adaptive thinking" and "Preserved thinking"; what's new in each model
(platform.claude.com/docs); recorded refusals in vercel/ai, `packages/amazon-bedrock/src/__fixtures__`.
"""

import hashlib
import json
import re
from typing import Any

from tests.fakes.anthropic_rules import check_subset
from tests.fakes.wire import Body, is_signed, need, sign

DIALECT = "bedrock"
BINDING = "thinking-binding-controls-2026-08-01"
SAID = "The model returned the following errors: "


def check(model: str, body: Body) -> None:
    """Raises Refused."""
    more, inference = body.get("additionalModelRequestFields", {}), body.get("inferenceConfig", {})
    thinking, effort = more.get("thinking", {}), more.get("output_config", {}).get("effort")
    version, always, unforced = _version(model), _always_thinks(model), _unforced(model)
    kind = thinking.get("type", "")
    known = {"enabled": {"type", "budget_tokens", "display"}, "adaptive": {"type", "display"}}.get(kind, {"type"})
    if BINDING in more.get("anthropic_beta", ()):
        known = known | {"block_binding"}
    need(thinking.keys() <= known, f"{SAID}thinking.{kind}: Extra inputs are not permitted")
    need(kind != "enabled" or (3, 7) <= version < (4, 7), f'{SAID}"thinking.type.enabled" is not supported')
    need(kind != "adaptive" or version >= (4, 6), f"{SAID}adaptive thinking is not supported on this model")
    need(kind != "disabled" or not (always or unforced), f'{SAID}"thinking.type.disabled" is not supported')
    need(not effort or version >= (4, 6), f"{SAID}This model does not support the effort parameter.")
    need(effort != "xhigh" or version >= (4, 7), f"{SAID}output_config.effort: 'xhigh' is not supported")
    sampled = inference.keys() & {"temperature", "topP"}
    need(not sampled or version < (4, 7), f"{SAID}`temperature` is deprecated for this model.")
    need(len(sampled) < 2 or version < (4, 1), f"{SAID}`temperature` and `top_p` cannot both be specified")
    need(not sampled or kind not in ("enabled", "adaptive"), f"{SAID}`temperature` may only be set to 1 when thinking")
    forced = body.get("toolConfig", {}).get("toolChoice", {}).keys() & {"any", "tool"}
    need(not forced or not unforced, f'{SAID}tool_choice: type "tool" and "any" are not supported for this model.')
    native = version >= (4, 5) and version not in ((4, 7), (4, 8))
    need("outputConfig" not in body or native, f"{SAID}output_config.format: Extra inputs are not permitted")
    for tool in body.get("toolConfig", {}).get("tools", ()):
        strict = tool.get("toolSpec", {}).get("strict")
        need(not strict or (4, 5) <= version < (4, 7), f"{SAID}tools.0.custom.strict: Extra inputs are not permitted")
        if strict:
            check_subset("toolSpec.inputSchema.json", tool["toolSpec"]["inputSchema"]["json"])
    if form := body.get("outputConfig", {}).get("textFormat"):
        check_subset("outputConfig.textFormat", json.loads(form["structure"]["jsonSchema"]["schema"]))
    drop = thinking.get("block_binding", {}).get("prefix_mismatch_behavior") == "drop_block"
    _signatures(body, bound=version >= (5, 1) and not drop)


def signature_of(text: str, body: Body, messages: int) -> str:
    """Of reasoning that came after so many messages: of its text, and of all that was before it."""
    return f"{sign(DIALECT, text)}.{_prefix(body, messages)}"


def _signatures(body: Body, *, bound: bool) -> None:
    for index, message in enumerate(body["messages"]):
        for block in message["content"]:
            thought = block.get("reasoningContent", {}).get("reasoningText")
            if thought is None:
                continue
            need("signature" in thought, f"{SAID}thinking.signature: Field required")
            signed, _, prefix = thought["signature"].partition(".")
            need(is_signed(signed, DIALECT, thought["text"]), f"{SAID}Invalid `signature` in `thinking` block")
            need(
                not bound or prefix == _prefix(body, index),
                f"{SAID}messages.{index}: Invalid `signature` in `thinking` block. The block is bound to a different "
                "conversation.",
            )


def _prefix(body: Body, messages: int) -> str:
    """Cache points and reasoning are left out of it."""
    unbound = {"cachePoint", "reasoningContent"}

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value if not (isinstance(each, dict) and each.keys() & unbound)]
        return {name: plain(each) for name, each in value.items()} if isinstance(value, dict) else value

    tools = body.get("toolConfig", {}).get("tools", [])
    before = plain([body.get("system", []), tools, body["messages"][:messages]])
    return hashlib.sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()[:24]


def _version(model: str) -> tuple[int, int]:
    found = re.search(r"claude-(?:[a-z]+-)?(\d)(?:-(\d)(?!\d))?", model)
    return (int(found[1]), int(found[2] or 0)) if found else (4, 7)


def _always_thinks(model: str) -> bool:
    return bool(re.search(r"fable|mythos", model)) or ("opus" in model and _version(model) >= (5, 5))


def _unforced(model: str) -> bool:
    return _always_thinks(model) or ("sonnet" in model and _version(model) >= (5, 5))
