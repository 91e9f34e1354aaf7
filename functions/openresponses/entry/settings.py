"""The settings from the environment: the one place that knows its variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..core.run import REASONING_SHOWN, ReasoningShown
from ..core.settings import EventNames, Price, ProviderSettings, Settings

OFFLINE = ProviderSettings(
    name="offline", dialect="offline", models=("demo",), retries=0, prices={"*": Price(input="0", output="0")}
)
"""The model that needs no provider. It pretends to be one, so nobody gets its answers unless it was chosen."""


def built_in(default_provider: str) -> tuple[ProviderSettings, ...]:
    """The providers that are there without a parameter: the offline one, where it is the default."""
    return (OFFLINE,) if default_provider == OFFLINE.name else ()


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Raises ValueError that names the variable."""
    get = environment.get
    return Settings(
        default_provider=get("OPENRESPONSES_DEFAULT_PROVIDER") or OFFLINE.name,
        event_names=_event_names(get("OPENRESPONSES_EVENT_NAMES") or "open_responses"),
        max_turns=_number(environment, "OPENRESPONSES_MAX_TURNS", 64),
        max_body_bytes=_number(environment, "OPENRESPONSES_MAX_BODY_BYTES", 6_291_456),
        heartbeat_seconds=_number(environment, "OPENRESPONSES_HEARTBEAT_SECONDS", 15),
        store=_flag(environment, "OPENRESPONSES_STORE", True),
        inline_turns=_number(environment, "OPENRESPONSES_INLINE_TURNS", 10),
        inline_seconds=_number(environment, "OPENRESPONSES_INLINE_SECONDS", 120),
        turn_seconds=_number(environment, "OPENRESPONSES_TURN_SECONDS", 300),
        flush_seconds=_number(environment, "OPENRESPONSES_FLUSH_MILLISECONDS", 500) / 1000,
        reasoning=_reasoning(get("OPENRESPONSES_REASONING") or "all"),
        allowed_origins=tuple(get("OPENRESPONSES_ALLOWED_ORIGINS", "").replace(",", " ").split()),
        public_docs=_flag(environment, "OPENRESPONSES_PUBLIC_DOCS", True),
        console=_flag(environment, "OPENRESPONSES_CONSOLE", False),
        websocket_url=get("OPENRESPONSES_WEBSOCKET_URL", ""),
        mcp_hosts=_hosts(get("OPENRESPONSES_MCP_HOSTS", "*")),
        loopback=_flag(environment, "OPENRESPONSES_LOOPBACK", False),
        otlp_endpoint=get("OPENRESPONSES_OTLP_ENDPOINT", "").strip(),
    )


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Where things are. Without a `table` nothing is stored. Without an `ssm_prefix` there is no provider but a
    built-in one, and every tool is a file. A parameter is read again after `config_seconds`. With a `key_arn`, what the
    server itself configures is encrypted with that KMS key. `tools` is a folder of further tools. `tracebacks`: the log
    tells all that is wrong with a tool.
    """

    region: str
    table: str
    bucket: str
    state_machine_arn: str
    response_days: int
    log_days: int
    ssm_prefix: str
    config_seconds: int
    key_arn: str
    tools: str
    tracebacks: bool


def aws_settings_from(environment: Mapping[str, str]) -> AwsSettings:
    """Raises ValueError that names the variable."""
    get = environment.get
    return AwsSettings(
        region=get("AWS_REGION") or get("AWS_DEFAULT_REGION") or "us-east-1",
        table=get("OPENRESPONSES_TABLE", ""),
        bucket=get("OPENRESPONSES_BUCKET", ""),
        state_machine_arn=get("OPENRESPONSES_STATE_MACHINE_ARN", ""),
        response_days=_number(environment, "OPENRESPONSES_RESPONSE_DAYS", 30),
        log_days=_number(environment, "OPENRESPONSES_LOG_DAYS", 7),
        ssm_prefix=get("OPENRESPONSES_SSM_PREFIX", "").rstrip("/"),
        config_seconds=_number(environment, "OPENRESPONSES_CONFIG_SECONDS", 60),
        key_arn=get("OPENRESPONSES_KEY_ARN", ""),
        tools=get("OPENRESPONSES_TOOLS", "").rstrip("/"),
        tracebacks=_flag(environment, "OPENRESPONSES_TRACEBACKS", False),
    )


def _event_names(text: str) -> EventNames:
    if text == "open_responses" or text == "openai":
        return text
    raise ValueError("OPENRESPONSES_EVENT_NAMES: must be 'open_responses' or 'openai'")


def _reasoning(text: str) -> ReasoningShown:
    for each in REASONING_SHOWN:
        if each == text:
            return each
    raise ValueError(f"OPENRESPONSES_REASONING: must be one of {REASONING_SHOWN}")


_HOST = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(text.lower().replace(",", " ").split())
    if hosts == ("none",):
        return ()
    if not all(map(_HOST.fullmatch, hosts)):
        raise ValueError("OPENRESPONSES_MCP_HOSTS: must be '*', 'none', or names of hosts, such as '*.example.com'")
    return hosts


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
