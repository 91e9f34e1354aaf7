"""The settings from the environment: the one place that reads it."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from ..core.settings import EventNames, ProviderSettings, Settings

OFFLINE = ProviderSettings(name="offline", dialect="offline", models=("demo",))


class _Provider(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dialect: str
    base_url: str = ""
    api_key: str = ""
    headers: dict[str, str] = {}
    models: tuple[str, ...] = ()
    options: dict[str, JsonValue] = {}
    connect_timeout: Annotated[float, Field(gt=0)] = 10.0
    first_byte_timeout: Annotated[float, Field(gt=0)] = 120.0
    idle_timeout: Annotated[float, Field(gt=0)] = 60.0


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Raises ValueError that names the variable, without its value: it may hold a secret."""
    get = environment.get
    return Settings(
        providers={OFFLINE.name: OFFLINE, **_providers(get("OPENRESPONSES_PROVIDERS") or "{}")},
        default_provider=get("OPENRESPONSES_DEFAULT_PROVIDER") or OFFLINE.name,
        api_keys=tuple(key for each in get("OPENRESPONSES_API_KEYS", "").split(",") if (key := each.strip())),
        event_names=_event_names(get("OPENRESPONSES_EVENT_NAMES") or "open_responses"),
        max_turns=_number("OPENRESPONSES_MAX_TURNS", get("OPENRESPONSES_MAX_TURNS") or "64"),
        max_body_bytes=_number("OPENRESPONSES_MAX_BODY_BYTES", get("OPENRESPONSES_MAX_BODY_BYTES") or "6291456"),
        heartbeat_seconds=_number("OPENRESPONSES_HEARTBEAT_SECONDS", get("OPENRESPONSES_HEARTBEAT_SECONDS") or "15"),
    )


def _providers(text: str) -> dict[str, ProviderSettings]:
    try:
        parsed = TypeAdapter(dict[str, _Provider]).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"OPENRESPONSES_PROVIDERS: {where or 'value'}: {first['msg']}") from None
    return {name: ProviderSettings(name=name, **provider.model_dump()) for name, provider in parsed.items()}


def _event_names(text: str) -> EventNames:
    if text == "open_responses" or text == "openai":
        return text
    raise ValueError("OPENRESPONSES_EVENT_NAMES: must be 'open_responses' or 'openai'")


def _number(name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{name}: must be a whole number above 0")
    return number
