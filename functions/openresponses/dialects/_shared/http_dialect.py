"""A provider that is asked over HTTP. A dialect says what goes over its wire; all the rest is here."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from ...core import deltas as d
from ...core.errors import StreamViolation
from ...core.settings import ProviderSettings
from ...core.spans import outgoing
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...transport.errors import BadStatus, TransportError
from ...transport.http import Http, Network, Sign
from .errors import UpstreamErrors
from .events import Decoder, Objects, decoded, objects_of
from .facts import Fact
from .json import dumps, fields, loads
from .options import with_options
from .shared_state import refuse_shared
from .tools import secrets_of


@dataclass(frozen=True, slots=True)
class WireTurn:
    """One turn as it goes over a wire: what is sent, and what decodes the reply.

    `path` is percent-encoded already. `whole`: the reply is one JSON object, which this reads into the objects of a
    stream.
    """

    path: str
    body: JsonObject
    decoder: Decoder
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    whole: Callable[[AsyncIterator[bytes]], Objects] | None = None


@dataclass(frozen=True, slots=True)
class WireCount:
    """How the tokens of a turn are asked for: only what the vendor's route for that takes. They are the answer's
    field `named`.
    """

    path: str
    body: JsonObject
    named: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(kw_only=True, eq=False, repr=False)  # its headers have the key
class HttpDialect:
    """The connection of one provider. Raises ValueError for settings that can't work.

    - `wire` encodes a turn. It raises RequestError for content that the wire can't carry.
    - `headers` are the dialect's; the settings' win over them.
    - `allowed` are the fields that a request may set itself: see `options`.
    - `objects` finds the objects in a reply's bytes. By default, they are server-sent events.
    - `base_url` is asked once, where the settings have no URL. `sign` is asked for each request.
    - `network` replaces the network, for tests.
    """

    settings: ProviderSettings
    errors: UpstreamErrors
    wire: Callable[[Turn], WireTurn]
    headers: Mapping[str, str]
    allowed: tuple[Fact, ...] = ()
    objects: Callable[[AsyncIterator[bytes]], Objects] = objects_of
    base_url: Callable[[], Awaitable[str]] | None = None
    sign: Sign | None = None
    network: Network | None = None

    def __post_init__(self) -> None:
        self.errors = replace(self.errors, secrets=self.settings.secrets)
        configured = self.settings.base_url or not self.base_url
        self._http = self._opened(self.settings.base_url) if configured else None

    def encode(self, turn: Turn) -> WireTurn:
        """What is sent for `turn`, with the request's own options. Raises RequestError."""
        wire = self.wire(turn)
        if self.settings.options.get("shared_files") is not True:
            refuse_shared(turn, self.settings.base_url)
        return replace(wire, body=with_options(wire.body, turn, self.settings, self.allowed))

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        """One turn's deltas. Raises ProviderError, and RequestError for content that this wire can't carry."""
        wire, http, errors = self.encode(turn), await self.connected(), self._errors_of(turn)
        try:
            headers = {**wire.headers, **outgoing()}
            async with http.post(wire.path, dumps(wire.body), query=wire.query, headers=headers) as reply:
                async with (
                    aclosing(reply.whole() if wire.whole else reply.stream()) as chunks,
                    aclosing((wire.whole or self.objects)(chunks)) as objects,
                    aclosing(decoded(objects, wire.decoder, errors, reply.heard)) as deltas,
                ):
                    async for delta in deltas:
                        yield delta
                await reply.drain()
        except TransportError as error:
            raise errors.of_transport(error) from None

    async def connected(self) -> Http:
        if self._http is None and self.base_url:
            base_url = await self.base_url()
            self._http = self._http or self._opened(base_url)
        assert self._http
        return self._http

    async def aclose(self) -> None:
        if self._http:
            await self._http.aclose()

    def _errors_of(self, turn: Turn) -> UpstreamErrors:
        """What the client gave for an MCP server is no more quoted than our key."""
        secrets = [secret for tool in turn.upstream_tools for secret in secrets_of(tool)]
        return replace(self.errors, secrets=(*self.errors.secrets, *secrets)) if secrets else self.errors

    def _opened(self, base_url: str) -> Http:
        settings = self.settings
        try:
            return Http(
                base_url,
                {**self.headers, **settings.headers},
                connect_timeout=settings.connect_timeout,
                first_byte_timeout=settings.first_byte_timeout,
                idle_timeout=settings.idle_timeout,
                sign=self.sign,
                network=self.network,
            )
        except ValueError as error:
            raise ValueError(f"provider {settings.name!r}: {error}") from None


@dataclass(kw_only=True, eq=False, repr=False)
class CountingDialect(HttpDialect):
    """One whose vendor counts. `counting` says how, for an encoded turn. `uncounted` are words of a vendor that refuses
    to, for a model.
    """

    counting: Callable[[WireTurn], WireCount]
    uncounted: tuple[bytes, ...] = ()

    async def count(self, turn: Turn) -> int | None:
        """The tokens of the turn's input. None where the address has no such route, or the vendor doesn't count for the
        model. Raises ProviderError, and RequestError for content that this wire can't carry.
        """
        asked, http = self.counting(self.encode(turn)), await self.connected()
        errors = self._errors_of(turn)
        headers = {"accept": "application/json", **asked.headers}
        try:
            async with http.post(asked.path, dumps(asked.body), headers=headers) as reply:
                answer = b"".join([chunk async for chunk in reply.whole()])
        except BadStatus as error:
            if error.status in _NO_SUCH_ROUTE or any(words in error.body for words in self.uncounted):
                return None
            raise errors.of_transport(error) from None
        except TransportError as error:
            raise errors.of_transport(error) from None
        return _tokens_in(answer, asked.named)


_NO_SUCH_ROUTE = (404, 405, 501)


def _tokens_in(answer: bytes, name: str) -> int:
    try:
        found = fields(loads(answer)).get(name)
    except ValueError:
        found = None
    if not isinstance(found, int) or found < 0:
        raise StreamViolation("The provider answered with something that is no count of tokens")
    return found


def bearer(settings: ProviderSettings) -> dict[str, str]:
    """The header that most servers want the key in; none without a key."""
    key = settings.api_key.strip()
    return {"authorization": f"Bearer {key}"} if key else {}
