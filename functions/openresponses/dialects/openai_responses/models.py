"""The options of the dialect `openai_responses`, and the facts about hosts and models that are their defaults."""

from typing import Literal

from ...schema.base import JsonObject
from .._shared.facts import UNSOURCED, Fact, Source, facts_of
from .._shared.options import Options

_OPENAI: JsonObject = {
    "custom_tools": True,
    "upstream_tools": ["web_search", "file_search", "code_interpreter", "image_generation", "mcp"],
    "omit": ["presence_penalty", "frequency_penalty"],
}
_AZURE: JsonObject = {**_OPENAI, "key_header": "api-key", "reasoning_ids": False}
_API = Source("https://platform.openai.com/docs/api-reference/responses/create", "2026-11")
_IDS = Source("https://github.com/vercel/ai/issues/12687", "2026-11")
_DEEPSEEK = Source("https://api-docs.deepseek.com/guides/thinking_mode", "2026-11")
HOSTS = (
    Fact(r"\.api\.openai\.com$", _OPENAI, _API),  # which has no penalties
    # Azure refused the ids of reasoning that it had not stored.
    Fact(r"\.(openai|services\.ai|cognitiveservices)\.azure\.com$", _AZURE, _IDS),
    # Wants the reasoning of its own turns back, which it gives as plain text.
    Fact(r"\.api\.deepseek\.com$", {"echo_reasoning": "content"}, _DEEPSEEK),
    # Signs the reasoning of other vendors' models in fields beside its content.
    Fact(r"\.openrouter\.ai$", {"echo_reasoning": "content"}, UNSOURCED),
)
"""By the host of `base_url`: what its defaults are."""

MODELS = (
    # Refuse to be asked for it: "not supported with this model".
    Fact(r"^(.*/)?(ft:)?(gpt-3|gpt-4|chatgpt-|gpt-5-chat)", {"encrypted_reasoning": False}, UNSOURCED),
)
"""By the model's name: which do without `encrypted_reasoning`."""


class ResponsesOptions(Options):
    """See the table in the package."""

    developer_role: bool = True
    custom_tools: bool = False
    upstream_tools: frozenset[Literal["web_search", "file_search", "code_interpreter", "image_generation", "mcp"]] = (
        frozenset()
    )
    encrypted_reasoning: bool | None = None
    echo_reasoning: Literal["encrypted", "content", "never"] = "encrypted"
    reasoning_ids: bool = True
    key_header: Literal["authorization", "api-key"] = "authorization"
    omit: tuple[str, ...] = ()
    extra_body: JsonObject = {}

    def asks_for_encrypted_reasoning(self, model: str) -> bool:
        if self.encrypted_reasoning is None:
            return self.echo_reasoning != "never" and facts_of(MODELS, model).get("encrypted_reasoning", True)
        return self.encrypted_reasoning
