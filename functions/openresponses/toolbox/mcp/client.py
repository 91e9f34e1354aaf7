"""An MCP server, asked in the era of the protocol that it speaks: which tools it has, and what a call of one gives.

Since 2026-07-28 each request stands alone. Before, a session began with `initialize`. Which one it is, is asked once:
`server/discover` (2026-07-28, basic/versioning, "Backward Compatibility with Initialization-Based Versions"). Whatever
is no sign of the new era means the old one, as in `mcp` 2.3.0 (`client/_probe.py`). The transport of 2024-11-05, with
an event stream of its own, is not spoken: it is deprecated since 2025-03-26.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from ... import __name__ as product
from ...core.spans import outgoing
from ...schema.base import JsonObject
from ...schema.limits import MAX_TOOLS
from ...transport.http import Http
from .credentials import McpCredentials
from .failures import (
    CAPABILITY_MISSING,
    INVALID_REQUEST,
    MODERN,
    PARSE_ERROR,
    VERSION_UNSUPPORTED,
    HttpFailure,
    McpFailure,
    ProtocolFailure,
    timed_out,
)
from .json_rpc import CALL, JsonRpc
from .parameters import encoded

STATELESS = "2026-07-28"
SESSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Of the old era, the newest first: it is what `initialize` proposes."""
CALL_SECONDS = 120.0
LIST_SECONDS = 20.0
"""For all pages. A client waits for them before the first event of its response."""
PROBE_SECONDS = 5.0
COURTESY_SECONDS = 1.0
"""For what is only polite: to say that a request was given up, and that a session is over."""
MAX_PAGES = 64
MAX_LISTING = 1024 * 1024
"""Characters of a server's tools: a quarter of a million tokens."""
MAX_SESSIONS = 32
"""Of one server. The one that was used least recently ends."""
_LISTING = ""
_INFO: JsonObject = {"name": product, "version": "0"}
_SESSION_ID = re.compile(r"[!-~]{1,1024}")


class ServerTools(NamedTuple):
    """A server's tools, as it describes them, and how many `seconds` they stay so, as it says; 0 if it doesn't."""

    tools: list[JsonObject]
    seconds: float


@dataclass(slots=True)
class _Session:
    version: str
    id: str | None
    used: bool = False

    @property
    def headers(self) -> dict[str, str]:
        version = {"mcp-protocol-version": self.version}
        return version if self.id is None else {**version, "mcp-session-id": self.id}


class McpClient:
    """One server, as one client with its credentials sees it. It keeps no credentials: each request brings them.

    In the old era each `holder`, a response, has a session of its own: what a server keeps for one, such as the pages
    of a browser, another one does not see. Whoever takes a response over begins with a new one.
    """

    def __init__(self, http: Http) -> None:
        self._http, self._rpc = http, JsonRpc(http)
        self._stateless: bool | None = None
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._choosing, self._opening = asyncio.Lock(), asyncio.Lock()

    async def tools(self, credentials: McpCredentials, seconds: float = LIST_SECONDS) -> ServerTools:
        """Every tool, page after page. Raises McpFailure."""
        try:
            async with asyncio.timeout(seconds):
                return await self._listed(credentials, seconds)
        except TimeoutError:
            raise timed_out(seconds) from None
        finally:
            await self.leave(credentials, _LISTING)

    async def call(
        self,
        credentials: McpCredentials,
        holder: str,
        name: str,
        arguments: JsonObject,
        mirrored: Mapping[str, str],
        seconds: float = CALL_SECONDS,
    ) -> JsonObject:
        """A tool's result. `mirrored` are the headers that repeat arguments. Raises McpFailure."""
        params: JsonObject = {"name": name, "arguments": arguments}
        if trace := outgoing():  # https://modelcontextprotocol.io/community/seps/414-request-meta
            params["_meta"] = {**trace}
        headers = {"mcp-name": encoded(name), **mirrored}
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(credentials, holder, CALL, params, headers, seconds)
        except TimeoutError:
            raise timed_out(seconds) from None

    async def leave(self, credentials: McpCredentials, holder: str) -> None:
        """End the holder's session, if it has one. Never raises for what the server says to it."""
        if (session := self._sessions.pop(holder, None)) and session.id is not None:
            await self._rpc.end(credentials, session.headers, seconds=COURTESY_SECONDS)

    async def rest(self) -> None:
        """Keep no connection: a sandbox that is frozen wakes up to a server that has closed it."""
        await self._http.aclose()

    async def _listed(self, credentials: McpCredentials, seconds: float) -> ServerTools:
        tools: list[JsonObject] = []
        seconds_kept: list[float] = []
        size, cursor = 0, None
        for _ in range(MAX_PAGES):
            params: JsonObject = {} if cursor is None else {"cursor": cursor}
            page = await self._ask(credentials, _LISTING, "tools/list", params, {}, seconds)
            listed, ttl, cursor = page.get("tools"), page.get("ttlMs"), page.get("nextCursor")
            if not isinstance(listed, list):
                raise ProtocolFailure(PARSE_ERROR, "The server's list of tools is no list")
            tools += [tool for tool in listed if isinstance(tool, dict)]
            size += len(str(listed))
            if len(tools) > MAX_TOOLS or size > MAX_LISTING:
                raise ProtocolFailure(INVALID_REQUEST, "The server has more tools than a model can be offered")
            seconds_kept.append(ttl / 1000 if isinstance(ttl, int | float) else 0.0)
            if not isinstance(cursor, str) or not cursor:
                return ServerTools(tools, min(seconds_kept))
        raise ProtocolFailure(INVALID_REQUEST, f"The server's list of tools has more than {MAX_PAGES} pages")

    async def _ask(
        self,
        credentials: McpCredentials,
        holder: str,
        method: str,
        params: JsonObject,
        headers: Mapping[str, str],
        seconds: float,
        *,
        again: bool = True,
    ) -> JsonObject:
        """The result of a request in the server's era. Where that turns out to be another one, it is sent again: what
        was refused so has had no effect.
        """
        known = self._stateless is not None
        stateless = await self._era(credentials)
        try:
            if stateless:
                return await self._alone(credentials, method, params, headers, seconds)
            return await self._within(credentials, holder, method, params, seconds)
        except McpFailure as failure:
            if not again or not _tells_of_the_other(failure, stateless=stateless, known=known):
                raise
            self._stateless = True if not stateless and failure.code in MODERN else None
        return await self._ask(credentials, holder, method, params, headers, seconds, again=False)

    async def _era(self, credentials: McpCredentials) -> bool:
        async with self._choosing:
            if self._stateless is None:
                self._stateless = await self._discovered(credentials)
            return self._stateless

    async def _discovered(self, credentials: McpCredentials) -> bool:
        try:
            found = await self._alone(credentials, "server/discover", {}, {}, PROBE_SECONDS)
        except McpFailure as failure:
            if failure.status == HTTPStatus.UNAUTHORIZED:
                raise
            if not isinstance(failure, ProtocolFailure) or failure.code not in MODERN:
                return False
            supported = failure.data.get("supported") if isinstance(failure.data, dict) else None
            if failure.code != VERSION_UNSUPPORTED or not isinstance(supported, list):
                return True
            if not any(version in SESSIONS for version in supported):
                raise
            return False
        versions = found.get("supportedVersions")
        return isinstance(versions, list) and STATELESS in versions

    async def _alone(
        self, credentials: McpCredentials, method: str, params: JsonObject, headers: Mapping[str, str], seconds: float
    ) -> JsonObject:
        """A request of the new era. What a result of another type than `complete` asks for, nobody here can give."""
        told = params.get("_meta")
        meta: JsonObject = {
            **(told if isinstance(told, dict) else {}),
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientInfo": _INFO,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        sent = {"mcp-protocol-version": STATELESS, "mcp-method": method, **headers}
        answer = await self._rpc.ask(credentials, method, {**params, "_meta": meta}, sent, seconds=seconds)
        kind = answer.result.get("resultType", "complete")
        if kind == "input_required":
            raise ProtocolFailure(
                CAPABILITY_MISSING, "The tool asks its user a question, and no user can be asked from here"
            )
        if kind != "complete":
            raise ProtocolFailure(PARSE_ERROR, "The server's result is of a type that nobody asked for")
        return answer.result

    async def _within(
        self, credentials: McpCredentials, holder: str, method: str, params: JsonObject, seconds: float
    ) -> JsonObject:
        """A request of the old era. A session that the server has forgotten is begun anew, once: it says so by 404, and
        servers after the example of the TypeScript SDK by 400.
        """
        session = await self._session(credentials, holder)
        lost = session.used and session.id is not None
        try:
            return await self._asked(credentials, session, method, params, seconds)
        except McpFailure as failure:
            if not lost or failure.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):
                raise
        if self._sessions.get(holder) is session:
            del self._sessions[holder]
        session = await self._session(credentials, holder)
        return await self._asked(credentials, session, method, params, seconds)

    async def _asked(
        self, credentials: McpCredentials, session: _Session, method: str, params: JsonObject, seconds: float
    ) -> JsonObject:
        """Whoever gives a request up says so: in the old era the end of a connection doesn't."""
        request_id = self._rpc.next_id()
        try:
            answer = await self._rpc.ask(
                credentials, method, params, session.headers, seconds=seconds, request_id=request_id
            )
        except asyncio.CancelledError:
            given_up: JsonObject = {"requestId": request_id, "reason": "Nobody waits for it any more"}
            with suppress(asyncio.CancelledError):
                await self._rpc.tell(
                    credentials, "notifications/cancelled", given_up, session.headers, seconds=COURTESY_SECONDS
                )
            raise
        session.used = True
        return answer.result

    async def _session(self, credentials: McpCredentials, holder: str) -> _Session:
        async with self._opening:
            if (session := self._sessions.get(holder)) is None:
                session = self._sessions[holder] = await self._begun(credentials)
            self._sessions.move_to_end(holder)
            oldest = next(iter(self._sessions)) if len(self._sessions) > MAX_SESSIONS else None
        if oldest is not None:
            await self.leave(credentials, oldest)
        return session

    async def _begun(self, credentials: McpCredentials) -> _Session:
        """Source: 2025-11-25, basic/lifecycle, "Initialization"."""
        params: JsonObject = {"protocolVersion": SESSIONS[0], "capabilities": {}, "clientInfo": _INFO}
        answer = await self._rpc.ask(credentials, "initialize", params, {}, seconds=LIST_SECONDS)
        version, session_id = answer.result.get("protocolVersion"), answer.headers.get("mcp-session-id")
        if not isinstance(version, str) or version not in SESSIONS:
            raise ProtocolFailure(INVALID_REQUEST, "The server speaks no version of MCP that is spoken here")
        if session_id is not None and not _SESSION_ID.fullmatch(session_id):
            raise ProtocolFailure(INVALID_REQUEST, "The server's session has an id that HTTP can't carry")
        session = _Session(version, session_id)
        await self._rpc.tell(credentials, "notifications/initialized", {}, session.headers, seconds=COURTESY_SECONDS)
        return session


def _tells_of_the_other(failure: McpFailure, *, stateless: bool, known: bool) -> bool:
    """Whether a server that failed so is of the other era: it has changed since it was asked, or hides what it is."""
    if not stateless and failure.code in MODERN:
        return True
    refused = isinstance(failure, HttpFailure) and failure.status in (400, 404, 405)
    return known and (refused or failure.code == VERSION_UNSUPPORTED)
