"""The switches of the dialect `bedrock`."""

from typing import Annotated, Literal

from pydantic import Field

from ..core.settings import ProviderSettings
from ..schema.base import JsonObject
from ._settings_options import Options, read_options


class BedrockOptions(Options):
    """See the table in `bedrock`."""

    region: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")] = ""
    base_models: dict[str, str] = {}
    cache: Literal["5m", "1h", "off"] = "5m"
    structured_output: Literal["auto", "native", "tool"] = "auto"
    extra_body: JsonObject = {}


def options_of(settings: ProviderSettings) -> BedrockOptions:
    return read_options(BedrockOptions, settings)
