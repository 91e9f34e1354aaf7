"""What the deployment has configured, read when it is needed: providers, and aliases of models.

Everything is a JSON text under a name, `providers/<name>` or `models/<alias>`. The `Parameters` port knows where the
texts are kept, for how long they are remembered, and what happens when they can't be read.
"""

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, JsonValue

from ..core.errors import ProviderMisconfigured
from ..core.ports import Parameters
from ..core.settings import UNKNOWN_FIELD, BadField, ProviderSettings, parse_document

PROVIDERS, ALIASES = "providers", "models"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")


def _target(text: str) -> str:
    provider, _, model = text.partition("/")
    if not NAME.fullmatch(provider) or not model or not model.isprintable() or model != model.strip():
        raise ValueError("a target is provider/model, such as openai/gpt-5-mini")
    return text


@dataclass(frozen=True, slots=True)
class _Alias:
    """What `models/<alias>` says: targets as `provider/model`, the first choice first."""

    targets: Annotated[list[Annotated[str, AfterValidator(_target)]], Field(min_length=1, max_length=16)]

    __pydantic_config__ = ConfigDict(extra="forbid")


def parse_provider(name: str, text: str) -> ProviderSettings:
    """What `providers/<name>` says. Raises BadField."""
    document = parse_document(dict[str, JsonValue], text)
    if "name" in document:
        raise BadField(("name",), UNKNOWN_FIELD)
    return parse_document(ProviderSettings, {"name": name, **document})


def parse_alias(text: str) -> list[str]:
    """The targets that `models/<alias>` says. Raises BadField."""
    return parse_document(_Alias, text).targets


class Catalog:
    """The `builtin` providers are there without a parameter. What it remembers, operators named and no client."""

    def __init__(self, parameters: Parameters, builtin: Iterable[ProviderSettings] = ()) -> None:
        self._parameters = parameters
        self._builtin = {provider.name: provider for provider in builtin}
        self._parsed: dict[str, tuple[str, ProviderSettings]] = {}

    async def provider(self, name: str) -> ProviderSettings | None:
        """None if there is none. Raises ProviderMisconfigured, StorageUnavailable."""
        if name in self._builtin:
            return self._builtin[name]
        text = await self._text(PROVIDERS, name)
        if text is None:
            self._parsed.pop(name, None)
            return None
        before = self._parsed.get(name)
        if before is None or before[0] != text:
            with _misconfigured(f"{PROVIDERS}/{name}"):
                before = self._parsed[name] = (text, parse_provider(name, text))
        return before[1]

    def serves(self, provider: ProviderSettings, model: str) -> bool:
        """Whether `provider` may be asked for `model`. A built-in one has only the models that it lists."""
        return provider.name not in self._builtin or model in provider.models

    async def alias(self, name: str) -> list[str] | None:
        """Its targets; None if there is no such alias. Raises ProviderMisconfigured, StorageUnavailable."""
        text = await self._text(ALIASES, name)
        if text is None:
            return None
        with _misconfigured(f"{ALIASES}/{name}"):
            return parse_alias(text)

    async def providers(self) -> list[str]:
        """The names of all."""
        return list(dict.fromkeys([*self._builtin, *await self._parameters.names(PROVIDERS)]))

    async def listed(self) -> list[str]:
        """What `GET /v1/models` lists: every alias, and the models that the providers list."""
        aliases = await self._parameters.names(ALIASES)
        found = [await self.provider(name) for name in await self.providers()]
        return [*aliases, *(f"{each.name}/{model}" for each in found if each for model in each.models)]

    async def _text(self, kind: str, name: str) -> str | None:
        return await self._parameters.get(f"{kind}/{name}") if NAME.fullmatch(name) else None


@contextmanager
def _misconfigured(name: str) -> Generator[None]:
    try:
        yield
    except ValueError as error:
        raise ProviderMisconfigured(f"The server's configuration {name!r} is not valid: {error}") from None
