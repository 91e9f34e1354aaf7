"""What the operator set: the parameter `tools/web_search`, a SecureString. It is JSON:

{"backend": "brave" | "tavily" | "exa" | "searxng", "key": "...", "base_url": "https://..."}
"""

import logging
from typing import Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..source import ToolMisconfigured

Name: TypeAlias = Literal["brave", "tavily", "exa", "searxng"]
NAMES: tuple[Name, ...] = get_args(Name)
PARAMETER = "tools/web_search"
_log = logging.getLogger(__name__)


class Configuration(BaseModel):
    """Which service searches. `base_url` is another than the service's own; SearXNG has none, and needs no key."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    backend: Name
    key: str = Field("", max_length=2048, pattern=r"^[!-~]*$")
    base_url: str = Field("", max_length=2048)

    @model_validator(mode="after")
    def _complete(self) -> "Configuration":
        if self.backend == "searxng" and not self.base_url:
            raise ValueError("searxng needs a base_url")
        if self.backend != "searxng" and not self.key:
            raise ValueError(f"{self.backend} needs a key")
        return self


def parsed(text: str) -> Configuration:
    """Raises ValueError, which quotes no value."""
    try:
        return Configuration.model_validate_json(text)
    except ValidationError as error:
        wrong = [
            ": ".join(filter(None, [".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")]))
            for each in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise ValueError("; ".join(wrong)) from None


def configured(text: str) -> Configuration:
    """Raises ToolMisconfigured, which is logged for the operator."""
    try:
        return parsed(text)
    except ValueError as error:
        _log.error("the parameter %s is wrong: %s", PARAMETER, error)
        raise ToolMisconfigured("Web search is not set up correctly on this server") from None
