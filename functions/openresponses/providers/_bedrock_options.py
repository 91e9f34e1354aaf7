"""The switches of the dialect `bedrock`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..core.settings import ProviderSettings
from ..schema.base import JsonObject


class BedrockOptions(BaseModel):
    """See the table in `bedrock`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")] = ""
    base_models: dict[str, str] = {}
    cache: Literal["5m", "1h", "off"] = "5m"
    structured_output: Literal["auto", "native", "tool"] = "auto"
    extra_body: JsonObject = {}


def options_of(settings: ProviderSettings) -> BedrockOptions:
    """Raises ValueError that names a wrong option, without its value."""
    try:
        return BedrockOptions.model_validate(settings.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"provider {settings.name!r}: options.{where}: {first['msg']}") from None
