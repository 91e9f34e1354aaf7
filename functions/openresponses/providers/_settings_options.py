"""A provider's `options` in the settings: the switches of its dialect, and what is known of well-known hosts."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..core.settings import ProviderSettings
from ..schema.base import JsonObject


class Options(BaseModel):
    """A dialect's switches. The table in its module says what they do."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Kind = TypeVar("Kind", bound=Options)


def read_options(kind: type[Kind], settings: ProviderSettings, hosts: Mapping[str, JsonObject] | None = None) -> Kind:
    """The settings' options over the host's. Raises ValueError that names a wrong option, without its value."""
    host = settings.base_url.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    known: JsonObject = {}
    for name, options in (hosts or {}).items():
        if host == name or host.endswith("." + name):
            known = options
    try:
        return kind.model_validate(known | settings.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"provider {settings.name!r}: options.{where}: {first['msg']}") from None
