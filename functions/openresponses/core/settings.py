"""What a deployment configures, as values. Where they come from (environment, SSM) is `entry`'s business."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Literal, TypeAlias, TypeVar, cast

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from ..schema.base import JsonObject
from .run import ReasoningShown

EventNames: TypeAlias = Literal["open_responses", "openai"]
Kind = TypeVar("Kind")
UNKNOWN_FIELD = "there is no such field"


class BadField(ValueError):
    """What is wrong with a document of the configuration. `place` leads to the field; an empty one is the whole. No
    value is quoted: it may be a secret. `of` says whose document it is.
    """

    def __init__(self, place: Sequence[str | int], what: str, of: str = "") -> None:
        self.place, self.what = tuple(place), what
        super().__init__(f"{f'{of}: ' if of else ''}{'.'.join(map(str, place)) or 'value'}: {what}")


def parse_document(kind: type[Kind], value: str | JsonObject) -> Kind:
    """What a document of the configuration says. Raises BadField."""
    reader = _reader(kind)
    try:
        return reader.validate_json(value) if isinstance(value, str) else reader.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        what = UNKNOWN_FIELD if first["type"] == "unexpected_keyword_argument" else first["msg"]
        raise BadField(first["loc"], what.removeprefix("Value error, ")) from None


@cache
def _reader(kind: type[Kind]) -> TypeAdapter[Kind]:
    """Built when it is needed: building it takes milliseconds of a cold start."""
    return TypeAdapter(kind)


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2"""
_FIELD = re.compile(r"[!-~](?:[\t -~]*[!-~])?")
"""A header's value: https://www.rfc-editor.org/rfc/rfc9110#section-5.5 (no client may rely on more than ASCII)."""


def _named(headers: object) -> object:
    for name in cast("dict[object, object]", headers) if isinstance(headers, dict) else ():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            shown = str(name).partition(":")[0]  # what follows may be the secret
            raise ValueError(f"{shown!r} is no name of a header that HTTP can carry: letters, digits and '-'")
    return cast("object", headers)


def _carried(value: str) -> str:
    if not _FIELD.fullmatch(value := value.strip()):
        raise ValueError("HTTP can't carry it: it is empty, or has a control character or what is not ASCII")
    return value


def one_word(key: str) -> str:
    """A key without the space around it, that a paste or a file may bring. Raises ValueError."""
    word = key.strip()
    if (key and not word) or not word.isascii() or not word.isprintable() or " " in word:
        raise ValueError("HTTP can't carry it in a key: it has a space, a control character or what is not ASCII")
    return word


Headers: TypeAlias = Annotated[Mapping[str, Annotated[str, AfterValidator(_carried)]], BeforeValidator(_named)]
Seconds: TypeAlias = Annotated[float, Field(gt=0)]


def _dollars(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
        raise ValueError("must be US dollars for a million tokens, such as 1.25")
    return text


Dollars: TypeAlias = Annotated[str, AfterValidator(_dollars)]
"""As a text, so that no digit is lost."""


@dataclass(frozen=True, slots=True)
class Price:
    """What an operator says that a model costs: US dollars for a million tokens. `cached` is for input that the
    provider had in its cache, `cache_write` for input that it put there: as other input, unless they are given.
    """

    input: Dollars
    output: Dollars
    cached: Dollars | None = None
    cache_write: Dollars | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One named provider. `routing.catalog` reads it from JSON, by the rules that the fields have here.

    `dialect` is a folder of `dialects/`. `models` are the names that `GET /v1/models` lists; any other model is still
    passed on. `options` are the dialect's own switches, described in its module. A request that the provider does not
    begin to answer is tried again `retries` times. `prices` are the operator's own, by the model's name or a pattern
    with `*`: a name wins over a pattern, and the first pattern over the next.
    """

    name: str
    dialect: Annotated[str, Field(min_length=1)]
    base_url: str = ""
    api_key: Annotated[str, AfterValidator(one_word)] = field(default="", repr=False)
    headers: Headers = field(default_factory=dict[str, str], repr=False)
    models: tuple[str, ...] = ()
    options: JsonObject = field(default_factory=dict[str, JsonValue])
    connect_timeout: Seconds = 10.0
    first_byte_timeout: Seconds = 120.0
    idle_timeout: Seconds = 60.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])

    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no client may see. Shorter words are no secrets, and occur in any text."""
        return tuple(each for each in (self.api_key.strip(), *self.headers.values()) if len(each) > 5)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole deployment.

    `default_provider` is asked for a model whose name says no provider. `store` counts for a request that doesn't say.
    A stored loop goes on in the state machine after `inline_turns` or `inline_seconds`, or when less than
    `turn_seconds`, a worst-case turn, is left. `flush_seconds` is how long an event of an inline stream may wait for
    its log. An execution's history may grow to `history_events` before another one goes on (Step Functions ends it at
    25,000, and a task that waits for a sandbox adds thousands). `reasoning` is what clients may see of it. A provider
    is tried again until `retry_seconds` after a turn began. `allowed_origins` are those of pages that may call the
    server, `*` for all. `public_docs`: the API's documentation is served to everybody, otherwise to nobody. `console`:
    so is the console's page. Whoever wants a WebSocket is sent to `websocket_url`, if there is one. A request may name
    MCP servers at `mcp_hosts`, which are patterns: a name, one that begins with `*.` for all below it, or `*`.
    `loopback`: what a request names may be on this machine, as in a local cloud. Spans are sent to the collector at
    `otlp_endpoint`; empty traces nothing.
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
    history_events: int = 12_000
    reasoning: ReasoningShown = "all"
    retry_seconds: float = 30.0
    allowed_origins: tuple[str, ...] = ()
    public_docs: bool = True
    console: bool = False
    websocket_url: str = ""
    mcp_hosts: tuple[str, ...] = ("*",)
    loopback: bool = False
    otlp_endpoint: str = ""
