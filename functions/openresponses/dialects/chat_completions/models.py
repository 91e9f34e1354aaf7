"""The switches of the dialect `chat_completions`, and what is known of well-known hosts."""

from typing import Literal, TypeAlias

from ...core.settings import ProviderSettings
from ...schema.base import JsonObject
from .._shared.options import Options, read_options

ThinkTags: TypeAlias = Literal[False, True, "open"]


class ChatOptions(Options):
    """See the table in `chat_completions`."""

    developer_role: bool = False
    system: Literal["first", "in_place"] = "first"
    max_completion_tokens: bool = False
    openai_extras: bool = False
    reasoning_echo: Literal["tool_turns", "required", "always", "never"] = "tool_turns"
    reasoning_field: str = "reasoning_content"
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
_HOSTS: dict[str, JsonObject] = {
    "api.openai.com": _OPENAI,
    "openai.azure.com": _OPENAI,
    "api.deepseek.com": {"reasoning_echo": "required"},
    "api.groq.com": _NO_ECHO,
    "api.cerebras.ai": _NO_ECHO,
    "api.mistral.ai": _NO_ECHO,
}
"""Groq, Cerebras and Mistral refuse a message with a field that they don't know (their own 400s and 422s).

DeepSeek refuses a call without one in its thinking mode, whoever made the call ("Missing `reasoning_content`
field": continuedev/continue#11285, mnfst/llm-gateway#992); empty will do.
"""


def options_of(settings: ProviderSettings) -> ChatOptions:
    return read_options(ChatOptions, settings, _HOSTS)
