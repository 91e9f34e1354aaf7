"""The switches of the dialect `anthropic`."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ..core.settings import ProviderSettings
from ._settings_options import Options, read_options

ThinkingMode: TypeAlias = Literal["adaptive", "budget", "none"]


class AnthropicOptions(Options):
    """See the table in `anthropic`."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    thinking: ThinkingMode | None = None
    drop_stale_thinking: bool = True
    cache: Literal["5m", "1h", False] = "5m"
    structured_outputs: bool | None = None
    strict_tools: bool = False
    web_search: bool = False


def options_of(settings: ProviderSettings) -> AnthropicOptions:
    return read_options(AnthropicOptions, settings)
