"""What a deployment configures, as values. Where they come from (environment, SSM) is `entry`'s business."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import JsonValue

from ..schema.base import JsonObject
from .run import ReasoningShown

EventNames: TypeAlias = Literal["open_responses", "openai"]


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One named provider. `dialect` is a module of `providers/`; timeouts are seconds. `retries` are those of a request
    that it did not begin to answer.

    `models` are the names that `GET /v1/models` lists; any other model is still passed on.
    `options` are the dialect's own switches, described in its module.
    """

    name: str
    dialect: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    models: tuple[str, ...] = ()
    options: JsonObject = field(default_factory=dict[str, JsonValue])
    connect_timeout: float = 10.0
    first_byte_timeout: float = 120.0
    idle_timeout: float = 60.0
    retries: int = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole deployment.

    `default_provider` is asked for a model whose name says no provider. `store` counts for a request that doesn't say.
    A stored loop goes on in the state machine after `inline_turns` or `inline_seconds`, or when less than
    `turn_seconds`, a worst-case turn, is left. `flush_seconds` is how long an event of an inline stream may wait for
    its log. An execution's history may grow to `history_events` before another one goes on (Step Functions ends it at
    25,000). `reasoning` is what clients may see of it. A provider is tried again until `retry_seconds` after a turn
    began.
    """

    default_provider: str = ""
    event_names: EventNames = "open_responses"
    max_turns: int = 64
    max_body_bytes: int = 6 * 1024 * 1024
    heartbeat_seconds: float = 15.0
    store: bool = True
    inline_turns: int = 10
    inline_seconds: float = 120.0
    turn_seconds: float = 300.0
    flush_seconds: float = 0.5
    history_events: int = 20_000
    reasoning: ReasoningShown = "all"
    retry_seconds: float = 30.0
