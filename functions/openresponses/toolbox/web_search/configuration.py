"""What the operator set: the parameter `tools/web_search`, a SecureString. It is JSON:

{"backend": "brave" | "tavily" | "exa" | "searxng", "key": "...", "base_url": "https://..."}
"""

import logging
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...core.settings import UNKNOWN_FIELD, BadField, one_word
from ...transport.http import base_of
from ..source import ToolMisconfigured

Name: TypeAlias = Literal["brave", "tavily", "exa", "searxng"]
NAMES: tuple[Name, ...] = get_args(Name)
PARAMETER = "tools/web_search"
_log = logging.getLogger(__name__)


def _address(url: str) -> str:
    if url:
        try:
            base_of(url)
        except ValueError:
            raise ValueError("must be an http or https URL") from None
    return url


class Configuration(BaseModel):
    """Which service searches. `base_url` is another than the service's own; SearXNG has none, and needs no key."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    backend: Name
    key: Annotated[str, Field(max_length=2048), AfterValidator(one_word)] = ""
    base_url: Annotated[str, Field(max_length=2048), AfterValidator(_address)] = ""

    @model_validator(mode="after")
    def _complete(self) -> "Configuration":
        if self.backend == "searxng" and not self.base_url:
            raise ValueError("searxng needs a base_url")
        if self.backend != "searxng" and not self.key:
            raise ValueError(f"{self.backend} needs a key")
        return self


def parsed(text: str) -> Configuration:
    """Raises BadField."""
    try:
        return Configuration.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        what = UNKNOWN_FIELD if first["type"] == "extra_forbidden" else first["msg"]
        raise BadField(first["loc"], what.removeprefix("Value error, ")) from None


def configured(text: str) -> Configuration:
    """Raises ToolMisconfigured, which is logged for the operator."""
    try:
        return parsed(text)
    except ValueError as error:
        _log.error("the parameter %s is wrong: %s", PARAMETER, error)
        raise ToolMisconfigured("Web search is not set up correctly on this server") from None
