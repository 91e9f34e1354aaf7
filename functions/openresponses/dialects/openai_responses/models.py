"""The options of the dialect `openai_responses`, and the facts about hosts and models that are their defaults."""

from typing import Literal

from ...schema.base import JsonObject
from .._shared.facts import UNSOURCED, Fact, Source
from .._shared.rules import FACTS as RULES
from .._shared.rules import RuleOptions

_OPENAI: JsonObject = {
    "custom_tools": True,
    "upstream_tools": ["web_search", "file_search", "code_interpreter", "image_generation", "tool_search"],
    "omit": ["presence_penalty", "frequency_penalty"],
}
_AZURE: JsonObject = {**_OPENAI, "key_header": "api-key", "reasoning_ids": False}
_API = Source("https://platform.openai.com/docs/api-reference/responses/create", "2026-11")
_IDS = Source("https://github.com/vercel/ai/issues/12687", "2026-11")
_PENALTIES = ("presence_penalty", "frequency_penalty")
_DEEPSEEK = Source(
    "https://github.com/pydantic/pydantic-ai/tree/main/tests/models/cassettes/test_deepseek_responses",
    "2026-11",
)
FACTS = (
    *RULES,
    Fact(r"^openai/", _OPENAI, _API),  # which has no penalties
    # Azure refused the ids of reasoning that it had not stored.
    Fact(r"^(azure|foundry)/", _AZURE, _IDS),
    # Takes the reasoning of its own turns back, which it gives as plain text.
    Fact(r"^deepseek/", {"echo_reasoning": "content"}, _DEEPSEEK),
    # Signs the reasoning of other vendors' models in fields beside its content.
    Fact(r"^openrouter/", {"echo_reasoning": "content"}, UNSOURCED),
    Fact(r"^xai/", {"omit": _PENALTIES}, Source("https://docs.x.ai/docs/guides/reasoning", "2026-11")),
    # Each of these is an error there, and it has no encrypted reasoning.
    Fact(
        r"^groq/",
        {
            "encrypted_reasoning": False,
            "omit": ["include", "prompt_cache_key", "safety_identifier", "top_logprobs", "truncation", *_PENALTIES],
        },
        UNSOURCED,
    ),
    # Refuse to be asked for it: "not supported with this model".
    Fact(r"/(ft:)?(gpt-3|gpt-4|chatgpt-|gpt-5-chat)", {"encrypted_reasoning": False}, UNSOURCED),
)
"""By `vendor/model`: what the defaults of the options are."""


class ResponsesOptions(RuleOptions):
    """See the table in the package."""

    developer_role: bool = True
    custom_tools: bool = False
    upstream_tools: frozenset[
        Literal["web_search", "file_search", "code_interpreter", "image_generation", "mcp", "tool_search"]
    ] = frozenset()
    encrypted_reasoning: bool | None = None
    echo_reasoning: Literal["encrypted", "content", "never"] = "encrypted"
    reasoning_ids: bool = True
    native_compaction: bool = False
    key_header: Literal["authorization", "api-key"] = "authorization"
    omit: tuple[str, ...] = ()
    extra_body: JsonObject = {}

    def asks_for_encrypted_reasoning(self) -> bool:
        return self.echo_reasoning != "never" if self.encrypted_reasoning is None else self.encrypted_reasoning
