"""What makes a fake upstream speak one dialect: a Wire reads its requests, and a Stream writes one reply."""

import base64
import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias

Body: TypeAlias = dict[str, Any]
Reason: TypeAlias = Literal["stop", "tools", "length", "filter"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a server refuses beyond what its dialect's servers all do. A dialect knows those that it needs.

    `api_key`: every other key. `strict`: what only strict servers refuse. `reasoning`: calls that come back
    without the reasoning before them. `vendor`: what this one refuses, and others don't.
    """

    api_key: str = ""
    strict: bool = True
    reasoning: bool = False
    vendor: str = ""


class Refused(Exception):
    """The request is one that the real server refuses: with this status, in the dialect's error object."""

    def __init__(self, message: str, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def refuse(message: str, status: int = 400, code: str | None = None) -> NoReturn:
    raise Refused(message, status, code)


def need(condition: object, message: str, status: int = 400, code: str | None = None) -> None:
    if not condition:
        raise Refused(message, status, code)


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came. `headers` has lower-case names; `path` is as it was sent, with its query."""

    headers: Mapping[str, str]
    body: Body
    path: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: Body


@dataclass(frozen=True, slots=True)
class Asked:
    """What scenarios know of a request.

    `user` is the text of the last message of the user (a message of tool results is none); `outputs` are the
    tools', as text, and `calls` the model's number of calls, both since that message; `all_calls` is the number
    of all calls. `limit` is the asked number of output tokens, `schema` that of the asked JSON. `thinks`:
    reasoning was not ruled out.
    """

    model: str
    user: str
    tools: Sequence[Tool] = ()
    outputs: Sequence[str] = ()
    calls: int = 0
    all_calls: int = 0
    limit: int | None = None
    schema: Body | None = None
    thinks: bool = True


@dataclass(frozen=True, slots=True)
class Script:
    """A directive: `<scenario>[;<name>=<value>]...`."""

    directive: str
    scenario: str
    values: Mapping[str, str]

    @classmethod
    def of(cls, request: Received, asked: Asked) -> "Script":
        _, found, rest = asked.user.rpartition("/fake ")  # a dialect without two user messages in a row joins them
        said = rest if found else ""
        directive = request.headers.get("x-fake") or said or asked.model.rpartition("!")[2]
        scenario, *pairs = directive.split(";")
        return cls(directive, scenario, {name: value for name, _, value in (pair.partition("=") for pair in pairs)})

    def number(self, name: str, default: int) -> int:
        return int(self.values.get(name, default))


def tokens_of(body: Body) -> int:
    return len(str(body)) // 4


class Stream(ABC):
    """One reply in the dialect's bytes. It opens and closes its blocks by itself, as what it's given changes.

    `words` are the tokens that were written so far, `thoughts` those of them that are reasoning: the
    scenarios count them, for the usage that `end` tells. `content_type` is the dialect's, where it's empty.
    """

    content_type: ClassVar[str] = ""

    def __init__(self, request: Received, asked: Asked, script: Script) -> None:
        self.request, self.asked, self.script = request, asked, script
        self.words = self.thoughts = 0

    @property
    def prompt(self) -> int:
        """Tokens."""
        return tokens_of(self.request.body)

    @abstractmethod
    def begin(self) -> bytes: ...

    @abstractmethod
    def think(self, word: str) -> bytes:
        """A word of reasoning. What signs it comes with whatever ends it."""

    @abstractmethod
    def say(self, word: str) -> bytes: ...

    @abstractmethod
    def refuse(self, word: str) -> bytes:
        """A word of a refusal; as text, where the dialect has none."""

    @abstractmethod
    def call(self, index: int, call_id: str, name: str, arguments: str) -> Iterable[bytes]:
        """A whole call, in as many pieces as the real server makes of one. `arguments` is JSON."""

    @abstractmethod
    def end(self, reason: Reason) -> bytes:
        """All that ends a stream, its usage too."""

    @abstractmethod
    def fail(self, code: int, message: str) -> bytes:
        """An error in the stream, which ends it."""

    @abstractmethod
    def garbage(self) -> bytes:
        """What no reader of this dialect understands."""


class Wire(ABC):
    """One dialect, as a server speaks it.

    `base` is the path that the dialect's base URLs have; `settings` is what a provider's settings must have beside
    the `base_url`, to use this server (no key, unless the dialect can't do without one). `model` is a name as the
    vendor's models have, that reason, for dialects that tell models apart by their names; the tests of all
    dialects ask for `<model>!<directive>`, or for `model` with the directive in the user's message. `signs`: its
    reasoning comes with something to echo.

    It lives as long as its server, so it may remember. But what it needs to know of its own earlier replies
    it should rather read from what comes back, as `sign` and `is_signed` allow.
    """

    base: ClassVar[str] = "/v1"
    settings: ClassVar[Body] = {}
    model: ClassVar[str] = "text"
    signs: ClassVar[bool] = True
    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    @abstractmethod
    def serves(self, path: str) -> bool:
        """Whether a POST to this path asks for a turn. `path` comes without its query."""

    @abstractmethod
    def check(self, request: Received) -> None:
        """Raises Refused for what the real server refuses."""

    @abstractmethod
    def read(self, request: Received) -> Asked:
        """Called for requests that `check` let pass."""

    @abstractmethod
    def stream(self, request: Received, asked: Asked, script: Script) -> Stream: ...

    @abstractmethod
    def error(self, status: int, message: str, code: str | int | None = None) -> Body:
        """The body of an error with this status; in a 200 too, for the scenario `object`."""

    def counts(self, path: str) -> bool:
        """Whether a POST to this path asks for the tokens of an input. Most servers don't count."""
        return False

    def count(self, request: Received) -> Body:
        """What it is answered. Raises Refused for what the real server refuses, also for fields it doesn't take."""
        raise NotImplementedError

    def too_long(self, tokens: int, window: int) -> tuple[int, str, str | None]:
        """Status, words and code of the vendor's, for an input of more tokens than a model's window has."""
        message = (
            f"This model's maximum context length is {window} tokens. However, your messages resulted in {tokens} "
            "tokens. Please reduce the length of the messages."
        )
        return 400, message, "context_length_exceeded"  # chathub-dev/chathub#126

    def error_headers(self, status: int) -> Mapping[str, str]:
        return {}

    def models(self) -> Body:
        """What `GET .../models` answers."""
        return {"object": "list", "data": [{"id": "text", "object": "model", "created": 0, "owned_by": "fake"}]}


def sign(dialect: str, *parts: str) -> str:
    """A signature of reasoning: only the fake that made it can have made it. It begins with `mark(dialect)`."""
    digest = hmac.digest(b"fake", "\0".join((dialect, *parts)).encode(), hashlib.sha256)
    return mark(dialect) + base64.b64encode(digest).decode()


def is_signed(signature: object, dialect: str, *parts: str) -> bool:
    return signature == sign(dialect, *parts)


def mark(dialect: str) -> str:
    """What tells a dialect's signatures from all others', wherever they are found. It is base64, as they are."""
    return base64.b64encode(f"fake {dialect}".ljust(24).encode()).decode()
