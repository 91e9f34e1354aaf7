"""What a section of the file has, and a deployment likewise: entries, each a document that can be compared.

A document leaves out what is as it would be anyway, so that two of them are equal if they mean the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, TypeAlias, cast, get_args

from pydantic import JsonValue, TypeAdapter

from openresponses.client_keys import ClientKey
from openresponses.core.bill import dollars
from openresponses.core.settings import ProviderSettings
from openresponses.core.storage import Limits
from openresponses.schema.request import CreateResponse
from openresponses.toolbox.lambda_functions import LambdaTool
from openresponses.toolbox.mcp.servers import ConfiguredServer
from openresponses.toolbox.web_search.configuration import Configuration

Section: TypeAlias = Literal["providers", "mcp", "tools", "aliases", "prompts", "tenants", "keys"]
SECTIONS: tuple[Section, ...] = get_args(Section)
"""In the order in which they are set, so that what is named is there before what names it."""
Document: TypeAlias = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Id:
    """Which entry it is. `tenant` is empty but for prompts and keys."""

    section: Section
    name: str
    tenant: str = ""

    def __str__(self) -> str:
        return dotted((self.section, self.name))


WEB_SEARCH = Id("tools", "web_search")
"""The one tool with a secret."""


def tenants_of(entries: Iterable[Id]) -> set[str]:
    """Those that entries name."""
    return {each.name if each.section == "tenants" else each.tenant for each in entries} - {""}


@dataclass(frozen=True, slots=True)
class Ends:
    """When a key ends: `seconds` after it was made, or at a time, in Unix seconds; never, without either."""

    seconds: int | None = None
    at: int | None = None

    def of(self, created_at: int) -> int | None:
        return created_at + self.seconds if self.seconds is not None else self.at


def dotted(place: tuple[str | int, ...]) -> str:
    """A path as TOML writes it: a part in quotes, where it is no bare key."""
    return ".".join(_part(str(each)) for each in place)


def _part(text: str) -> str:
    bare = text and all(each.isascii() and (each.isalnum() or each in "_-") for each in text)
    return text if bare else json.dumps(text, ensure_ascii=False)


def provider_document(settings: ProviderSettings) -> Document:
    document = _without_defaults(ProviderSettings, settings, "name")
    prices = cast("dict[str, dict[str, JsonValue]]", document.get("prices", {}))
    said = {
        model: {part: amount for part, amount in price.items() if amount is not None} for model, price in prices.items()
    }
    return {**document, "prices": cast("JsonValue", said)} if said else document


def server_document(server: ConfiguredServer) -> Document:
    return _without_defaults(ConfiguredServer, server, "label")


def tool_document(tool: Configuration | LambdaTool) -> Document:
    return tool.model_dump(mode="json", exclude_defaults=True)


def prompt_document(body: CreateResponse) -> Document:
    """As it is when it was stored and read again."""
    again = CreateResponse.model_validate_json(body.model_dump_json(exclude_unset=True))
    return again.model_dump(mode="json", exclude_unset=True)


def limits_document(limits: Limits) -> Document:
    found: Document = {
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "usd_per_day": None if limits.pico_per_day is None else dollars(limits.pico_per_day),
        "usd_per_month": None if limits.pico_per_month is None else dollars(limits.pico_per_month),
        "concurrent": limits.concurrent,
    }
    return {name: most for name, most in found.items() if most is not None}


def key_document(key: ClientKey, limits: Limits) -> Document:
    """`expires` is in Unix seconds."""
    said: Document = {
        "models": [*key.models],
        "mcp": [*key.mcp],
        "reasoning": key.reasoning,
        "expires": key.expires_at,
    }
    return {**{name: value for name, value in said.items() if value}, **limits_document(limits)}


def _without_defaults(kind: type[Any], value: object, name: str) -> Document:
    """The fields of a dataclass, but for its name."""
    dumped = cast("Mapping[str, JsonValue]", TypeAdapter(kind).dump_python(value, mode="json"))
    defaults = {
        each.name: each.default_factory() if each.default_factory is not MISSING else each.default
        for each in fields(kind)
    }
    return {
        field: given
        for field, given in dumped.items()
        if field != name and given != ([] if defaults[field] == () else defaults[field])
    }
