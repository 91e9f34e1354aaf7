"""The options of the dialect `chat_completions`, and the facts about hosts that are their defaults."""

from typing import Literal, TypeAlias

from ...schema.base import JsonObject
from .._shared.facts import Fact, Source
from .._shared.options import Options

ThinkTags: TypeAlias = Literal[False, True, "open"]


class ChatOptions(Options):
    """See the table in the package."""

    developer_role: bool = False
    system: Literal["first", "in_place"] = "first"
    max_completion_tokens: bool = False
    openai_extras: bool = False
    reasoning_echo: Literal["tool_turns", "required", "always", "never"] = "tool_turns"
    reasoning_field: str = "reasoning_content"
    unsigned_call: JsonObject = {}
    think_tags: ThinkTags = False
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
_MOONSHOT = Source("https://github.com/continuedev/continue/pull/11806", "2026-11")
_SIGNATURES = Source("https://ai.google.dev/gemini-api/docs/thought-signatures", "2026-11")
_UNSIGNED: JsonObject = {"extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}}
FACTS = (
    Fact(r"^openai/", _OPENAI, _API),
    Fact(r"^azure/", _OPENAI, _AZURE),
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
    # As DeepSeek, in the mode that is the default.
    Fact(r"^moonshot/", {"reasoning_echo": "required"}, _MOONSHOT),
    # Refuses a message whose first call has no signature, whoever made it: this one is for those of others.
    Fact(r"^(gemini|vertex)/.*gemini-(?![012]\b)", {"unsigned_call": _UNSIGNED}, _SIGNATURES),
    # The others refuse a message with a field that they don't know.
    Fact(r"^(gemini|vertex)/", _NO_ECHO, Source("https://github.com/leookun/cursor-byok/issues/112", "2026-11")),
    Fact(r"^groq/", _NO_ECHO, Source("https://github.com/janhq/jan/issues/8136", "2026-11")),
    Fact(r"^cerebras/", _NO_ECHO, Source("https://github.com/QwenLM/qwen-code/issues/11045", "2026-11")),
    Fact(r"^mistral/", _NO_ECHO, Source("https://github.com/BerriAI/litellm/issues/30835", "2026-11")),
)
"""By `vendor/model`: what the defaults of the options are."""
