"""The switches of the dialect `chat_completions`, and what is known of well-known hosts."""

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from ..core.settings import ProviderSettings
from ..schema.base import JsonObject

ThinkTags: TypeAlias = Literal[False, True, "open"]


class ChatOptions(BaseModel):
    """See the table in `chat_completions`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    """The settings' options over the host's. Raises ValueError that names a wrong option, without its value."""
    host = settings.base_url.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    known: JsonObject = {}
    for name, options in _HOSTS.items():
        if host == name or host.endswith("." + name):
            known = options
    try:
        return ChatOptions.model_validate({**known, **settings.options})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"provider {settings.name!r}: options.{where}: {first['msg']}") from None
