"""The options of the dialect `chat_completions`, and the facts about hosts that are their defaults."""

from typing import Literal, TypeAlias

from ...schema.base import JsonObject
from ...schema.effort import EFFORTS
from .._shared.facts import Fact, Source
from .._shared.rules import FACTS as RULES
from .._shared.rules import RuleOptions

ThinkTags: TypeAlias = Literal[False, True, "open"]


class ChatOptions(RuleOptions):
    """See the table in the package."""

    developer_role: bool = False
    system: Literal["first", "in_place"] = "first"
    max_completion_tokens: bool = False
    openai_extras: bool = False
    prompt_cache_key: bool = False
    effort_fields: dict[str, JsonObject] = {}
    service_tiers: dict[str, str] = {"flex": "flex", "priority": "priority"}
    strict_tools: Literal["as_asked", "all_or_none", "never"] = "as_asked"
    call_ids: Literal["any", "nine_alphanumeric"] = "any"
    reasoning_echo: Literal["tool_turns", "required", "always", "never"] = "tool_turns"
    reasoning_field: str = "reasoning_content"
    unsigned_call: JsonObject = {}
    think_tags: ThinkTags = False
    reasoning_placeholder: str = ""
    include_usage: bool = True
    omit: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    extra_body: JsonObject = {}


_OPENAI: JsonObject = {
    "developer_role": True,
    "system": "in_place",
    "max_completion_tokens": True,
    "openai_extras": True,
    "reasoning_echo": "never",
}
_NO_ECHO: JsonObject = {"reasoning_echo": "never"}
_REASONING: JsonObject = {"reasoning_field": "reasoning"}
_API = Source("https://platform.openai.com/docs/api-reference/chat/create", "2026-11")
_AZURE = Source("https://learn.microsoft.com/en-us/azure/foundry/openai/how-to/reasoning", "2026-11")
_DEEPSEEK = Source("https://github.com/continuedev/continue/issues/11285", "2026-11")
_SIGNATURES = Source("https://ai.google.dev/gemini-api/docs/thought-signatures", "2026-11")
_UNSIGNED: JsonObject = {"extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}}
_CACHE_KEY: JsonObject = {"prompt_cache_key": True}
_ON_OR_OFF: JsonObject = {
    "effort_fields": {"none": {"thinking": {"type": "disabled"}}, "high": {"thinking": {"type": "enabled"}}}
}
_OFF: JsonObject = {"effort_fields": {"none": {"thinking": {"type": "disabled"}}}}
_NESTED: JsonObject = {"effort_fields": {word: {"reasoning": {"effort": word}} for word in EFFORTS}}
_PENALTIES = ("presence_penalty", "frequency_penalty")
_KIMI = Source("https://platform.kimi.ai/docs/api/chat.md", "2026-11")
_MISTRAL = Source("https://docs.mistral.ai/api", "2026-11")
FACTS = (
    *RULES,
    Fact(r"^openai/", _OPENAI, _API),
    Fact(
        r"^openai/",
        {"service_tiers": {tier: tier for tier in ("default", "flex", "scale", "priority", "fast")}},
        Source(
            "https://github.com/openai/openai-python/blob/main/src/openai/types/chat/completion_create_params.py",
            "2026-11",
        ),
    ),
    Fact(r"^azure/", _OPENAI, _AZURE),
    Fact(r"^deepseek/", _OFF, Source("https://api-docs.deepseek.com/guides/thinking_mode", "2026-11")),
    Fact(
        r"^qwen/",
        {"effort_fields": {"none": {"enable_thinking": False}, "high": {"enable_thinking": True}}},
        Source("https://github.com/cloudwego/eino/issues/994", "2026-11"),
    ),
    Fact(
        r"^groq/",
        {"service_tiers": {"flex": "flex", "priority": "performance"}},
        Source("https://console.groq.com/docs/service-tiers", "2026-11"),
    ),
    Fact(r"^groq/", {"omit": ["logprobs", "top_logprobs"]}, Source("https://console.groq.com/docs/openai", "2026-11")),
    Fact(
        r"^cerebras/",
        {"omit": [*_PENALTIES, "service_tier", "parallel_tool_calls"], **_CACHE_KEY},
        Source("https://inference-docs.cerebras.ai/resources/openai", "2026-11"),
    ),
    Fact(
        r"^cerebras/",
        {"strict_tools": "all_or_none"},
        Source("https://github.com/RooCodeInc/Roo-Code/issues/10334", "2026-11"),
    ),
    Fact(r"^mistral/", {"include_usage": False, "omit": ["user", "service_tier"], **_CACHE_KEY}, _MISTRAL),
    Fact(
        r"^mistral/",
        {"call_ids": "nine_alphanumeric"},
        Source("https://github.com/nearai/ironclaw/issues/1241", "2026-11"),
    ),
    Fact(r"^xai/", {"omit": _PENALTIES}, Source("https://docs.x.ai/docs/guides/reasoning", "2026-11")),
    Fact(r"^moonshot/", {"max_completion_tokens": True, "strict_tools": "never", **_CACHE_KEY, **_ON_OR_OFF}, _KIMI),
    # Their sampling is fixed: any other value is an error.
    Fact(r"^moonshot/kimi-", {"omit": ["temperature", "top_p", *_PENALTIES]}, _KIMI),
    Fact(r"^moonshot/kimi-k3", {"effort_fields": {}}, _KIMI),
    Fact(
        r"^moonshot/",
        {"reasoning_echo": "required", "reasoning_placeholder": " "},
        Source("https://github.com/theopenco/llmgateway/pull/2093", "2026-11"),
    ),
    Fact(
        r"^zai/",
        {"omit": ["user", "service_tier", *_PENALTIES], "strict_tools": "never", **_ON_OR_OFF},
        Source("https://docs.z.ai/api-reference/llm/chat-completion", "2026-11"),
    ),
    Fact(r"^zai/glm-5\.[23]", _OFF, Source("https://docs.z.ai/guides/capabilities/thinking-mode", "2026-11")),
    Fact(
        r"^together/",
        {"effort_fields": {"none": {"reasoning": {"enabled": False}}, "high": {"reasoning": {"enabled": True}}}},
        Source("https://docs.together.ai/docs/inference/chat/reasoning", "2026-11"),
    ),
    Fact(
        r"^together/.*(gpt-oss|glm-5\.3)",
        {"effort_fields": {}},
        Source("https://docs.together.ai/docs/inference/chat/reasoning", "2026-11"),
    ),
    # A number of them is all that it knows of log probabilities.
    Fact(
        r"^together/",
        {"omit": ["logprobs"], "rename": {"top_logprobs": "logprobs"}},
        Source(
            "https://github.com/togethercomputer/together-py/blob/main/src/together/types/chat/completion_create_params.py",
            "2026-11",
        ),
    ),
    Fact(
        r"^openrouter/",
        _NESTED,
        Source("https://openrouter.ai/docs/guides/best-practices/reasoning-tokens", "2026-11"),
    ),
    # Refuses a call without reasoning in its thinking mode, whoever made the call; empty reasoning will do.
    Fact(r"^deepseek/", {"reasoning_echo": "required"}, _DEEPSEEK),
    # The field in which they say reasoning, and take it back within a tool turn.
    Fact(
        r"^openrouter/",
        _REASONING,
        Source("https://openrouter.ai/docs/guides/best-practices/reasoning-tokens", "2026-11"),
    ),
    Fact(r"^vllm/", _REASONING, Source("https://docs.vllm.ai/en/latest/features/reasoning_outputs/", "2026-11")),
    Fact(r"^ollama/", _REASONING, Source("https://github.com/ollama/ollama/blob/main/openai/openai.go", "2026-11")),
    # Refuses a message whose first call has no signature, whoever made it: this one is for those of others.
    Fact(r"^(gemini|vertex)/.*gemini-(?![012]\b)", {"unsigned_call": _UNSIGNED}, _SIGNATURES),
    # The others refuse a message with a field that they don't know.
    Fact(r"^(gemini|vertex)/", _NO_ECHO, Source("https://github.com/leookun/cursor-byok/issues/112", "2026-11")),
    Fact(r"^groq/", _NO_ECHO, Source("https://github.com/janhq/jan/issues/8136", "2026-11")),
    Fact(r"^cerebras/", _NO_ECHO, Source("https://github.com/QwenLM/qwen-code/issues/11045", "2026-11")),
    Fact(r"^mistral/", _NO_ECHO, Source("https://github.com/BerriAI/litellm/issues/30835", "2026-11")),
)
"""By `vendor/model`: what the defaults of the options are."""
