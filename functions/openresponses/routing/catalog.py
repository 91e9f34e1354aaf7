"""What the deployment has configured, read when it is needed: providers, and aliases of models.

Everything is a JSON text under a name, `providers/<name>` or `models/<alias>`. The `Parameters` port knows where the
texts are kept, for how long they are remembered, and what happens when they can't be read.
"""

import re
from collections.abc import Iterable
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from ..core.errors import ProviderMisconfigured
from ..core.ports import Parameters
from ..core.settings import ProviderSettings

PROVIDERS, ALIASES = "providers", "models"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")
_Seconds = Annotated[float, Field(gt=0)]


class ProviderParameter(BaseModel):
    """What `providers/<name>` says; `ProviderSettings` tells what it means."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    dialect: Annotated[str, Field(min_length=1)]
    base_url: str = ""
    api_key: str = Field(default="", repr=False)
    headers: dict[str, str] = Field(default={}, repr=False)
    models: tuple[str, ...] = ()
    options: dict[str, JsonValue] = {}
    connect_timeout: _Seconds = 10.0
    first_byte_timeout: _Seconds = 120.0
    idle_timeout: _Seconds = 60.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2


class AliasParameter(BaseModel):
    """What `models/<alias>` says: targets as `provider/model`, the first choice first."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    targets: Annotated[list[Annotated[str, Field(pattern=r"^[^/]+/.+$")]], Field(min_length=1, max_length=16)]


Parameter = TypeVar("Parameter", ProviderParameter, AliasParameter)


def parse(kind: type[Parameter], text: str) -> Parameter:
    """Raises ValueError that names the field, without its value: it may be a secret."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where or 'value'}: {first['msg']}") from None


class Catalog:
    """The `builtin` providers are there without a parameter."""

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
            return None
        before = self._parsed.get(name)
        if before is None or before[0] != text:
            said = _configured(ProviderParameter, f"{PROVIDERS}/{name}", text)
            before = self._parsed[name] = (text, ProviderSettings(name=name, **dict(said)))
        return before[1]

    def serves(self, provider: ProviderSettings, model: str) -> bool:
        """Whether `provider` may be asked for `model`. A built-in one has only the models that it lists."""
        return provider.name not in self._builtin or model in provider.models

    async def alias(self, name: str) -> list[str] | None:
        """Its targets; None if there is no such alias. Raises ProviderMisconfigured, StorageUnavailable."""
        text = await self._text(ALIASES, name)
        return None if text is None else _configured(AliasParameter, f"{ALIASES}/{name}", text).targets

    async def listed(self) -> list[str]:
        """What `GET /v1/models` lists: every alias, and the models that the providers list."""
        aliases = await self._parameters.names(ALIASES)
        providers = [*self._builtin, *(name for name in await self._parameters.names(PROVIDERS))]
        found = [await self.provider(name) for name in dict.fromkeys(providers)]
        return [*aliases, *(f"{each.name}/{model}" for each in found if each for model in each.models)]

    async def _text(self, kind: str, name: str) -> str | None:
        return await self._parameters.get(f"{kind}/{name}") if NAME.fullmatch(name) else None


def _configured(kind: type[Parameter], name: str, text: str) -> Parameter:
    try:
        return parse(kind, text)
    except ValueError as error:
        raise ProviderMisconfigured(f"The server's configuration {name!r} is not valid: {error}") from None
