"""The switches of the dialect `anthropic`."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..core.settings import ProviderSettings

ThinkingMode: TypeAlias = Literal["adaptive", "budget", "none"]


class AnthropicOptions(BaseModel):
    """See the table in `anthropic`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    thinking: ThinkingMode | None = None
    drop_stale_thinking: bool = True
    cache: Literal["5m", "1h", False] = "5m"
    structured_outputs: bool | None = None
    strict_tools: bool = False
    web_search: bool = False


def options_of(settings: ProviderSettings) -> AnthropicOptions:
    """Raises ValueError that names a wrong option, without its value."""
    try:
        return AnthropicOptions.model_validate(settings.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"provider {settings.name!r}: options.{where}: {first['msg']}") from None
