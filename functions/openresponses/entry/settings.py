"""The settings from the environment: the one place that knows its variables."""

from collections.abc import Mapping
from dataclasses import dataclass
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
        max_turns=_number(environment, "OPENRESPONSES_MAX_TURNS", 64),
        max_body_bytes=_number(environment, "OPENRESPONSES_MAX_BODY_BYTES", 6_291_456),
        heartbeat_seconds=_number(environment, "OPENRESPONSES_HEARTBEAT_SECONDS", 15),
        store=_flag(environment, "OPENRESPONSES_STORE", True),
        inline_turns=_number(environment, "OPENRESPONSES_INLINE_TURNS", 10),
        inline_seconds=_number(environment, "OPENRESPONSES_INLINE_SECONDS", 120),
        turn_seconds=_number(environment, "OPENRESPONSES_TURN_SECONDS", 300),
        flush_seconds=_number(environment, "OPENRESPONSES_FLUSH_MILLISECONDS", 500) / 1000,
    )


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Where things are. Without a `table` nothing is stored, without an `ssm_prefix` only files are tools."""

    region: str
    table: str
    bucket: str
    state_machine_arn: str
    tenant: str
    response_days: int
    log_days: int
    ssm_prefix: str


def aws_settings_from(environment: Mapping[str, str]) -> AwsSettings:
    """Raises ValueError that names the variable."""
    get = environment.get
    return AwsSettings(
        region=get("AWS_REGION") or get("AWS_DEFAULT_REGION") or "us-east-1",
        table=get("OPENRESPONSES_TABLE", ""),
        bucket=get("OPENRESPONSES_BUCKET", ""),
        state_machine_arn=get("OPENRESPONSES_STATE_MACHINE_ARN", ""),
        tenant=get("OPENRESPONSES_TENANT") or "default",
        response_days=_number(environment, "OPENRESPONSES_RESPONSE_DAYS", 30),
        log_days=_number(environment, "OPENRESPONSES_LOG_DAYS", 7),
        ssm_prefix=get("OPENRESPONSES_SSM_PREFIX", "").rstrip("/"),
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


def _flag(environment: Mapping[str, str], name: str, default: bool) -> bool:
    match environment.get(name) or str(default).lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            raise ValueError(f"{name}: must be 'true' or 'false'")


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    try:
        number = int(environment.get(name) or default)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{name}: must be a whole number above 0")
    return number
