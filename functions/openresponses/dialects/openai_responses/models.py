"""The switches of the dialect `openai_responses`, and what is known of well-known hosts."""

import re
from typing import Literal

from ...core.settings import ProviderSettings
from ...schema.base import JsonObject
from .._shared.options import Options, read_options

_WITHOUT_REASONING = re.compile(r"(.*/)?(ft:)?(gpt-3|gpt-4|chatgpt-|gpt-5-chat)")
"""OpenAI's models that refuse to be asked for encrypted reasoning ("not supported with this model")."""


class ResponsesOptions(Options):
    """See the table in `openai_responses`."""

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
            return self.echo_reasoning != "never" and not _WITHOUT_REASONING.match(model)
        return self.encrypted_reasoning


_OPENAI: JsonObject = {
    "custom_tools": True,
    "upstream_tools": ["web_search", "file_search", "code_interpreter", "image_generation", "mcp"],
    "omit": ["presence_penalty", "frequency_penalty"],
}
_AZURE: JsonObject = {**_OPENAI, "key_header": "api-key", "reasoning_ids": False}
_HOSTS: dict[str, JsonObject] = {
    "api.openai.com": _OPENAI,
    "openai.azure.com": _AZURE,
    "services.ai.azure.com": _AZURE,
    "cognitiveservices.azure.com": _AZURE,
    "openrouter.ai": {"echo_reasoning": "content"},
}
"""OpenAI's API has no penalties. Azure refused the ids of reasoning that it has not stored (vercel/ai#12687).
OpenRouter signs the reasoning of other vendors' models in fields beside its content."""


def options_of(settings: ProviderSettings) -> ResponsesOptions:
    return read_options(ResponsesOptions, settings, _HOSTS)
