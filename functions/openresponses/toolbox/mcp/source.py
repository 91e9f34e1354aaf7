"""MCP servers as a source of tools: those that a request names by their address, and those of the deployment.

A run keeps a request's address and credentials sealed, and of a server of the deployment its label alone: what the
operator has set is read at each use.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TypeAlias
from urllib.parse import urlsplit

from ...core.errors import ConnectorFailed, RequestError, UnknownServer
from ...core.ports import Offer, Offerable, Seal, ToolOutput
from ...core.run import McpServer, OfferedTool, Run
from ...schema.base import JsonObject
from ...schema.server_items import ListedTool, McpCall, McpListTools, ServerCall
from ...schema.tools import McpTool
from ...transport.guard import Guard
from ..source import ToolFailed, arguments_of
from .credentials import McpCredentials, given
from .failures import HEADER_MISMATCH, INVALID_PARAMS, McpFailure, ProtocolFailure
from .listing import KeptClient, McpClients, offered
from .parameters import headers_of, mirrored
from .policy import allowed, needs_approval
from .results import failed, output_of
from .servers import ConfiguredServer

Find: TypeAlias = Callable[[str], Awaitable[ConfiguredServer | None]]
"""The server of the deployment of this label, if the client may use it. Raises KitError."""


class McpSource:
    """For one tenant. `clients` are those of the whole sandbox. The `guard` is of servers that a request names: where
    the operator's are, is the operator's choice.
    """

    def __init__(self, clients: McpClients, tenant: str, seal: Seal, guard: Guard, find: Find) -> None:
        self._clients, self._tenant, self._seal, self._guard, self._find = clients, tenant, seal, guard, find
        self._asked: dict[tuple[str, str], tuple[KeptClient, McpCredentials]] = {}

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        """Raises RequestError, which names a field of `tool`, and ConnectorFailed where the server tells no tools."""
        if not isinstance(tool, McpTool):
            return None
        configured = await self._configured(tool)
        credentials = _credentials(tool, configured)
        tools = _still_known(tool, known)
        if listed := tools is None:
            tools = await self._listed(tool.server_label, credentials, trusted=configured is not None)
        mine = [each for each in tools if allowed(each, tool, configured)]
        server = McpServer(
            label=tool.server_label,
            url="" if configured else _without_secrets(credentials.url),
            sealed="" if configured else await self._sealed(tool.server_label, credentials),
            configured=configured is not None,
            listed=listed,
            narrowed=len(mine) < len(tools) if listed else bool(known and known.narrowed),
        )
        return Offer([offered(each, tool, approval=needs_approval(each, tool, configured)) for each in mine], server)

    async def call(self, call: ServerCall, run: Run) -> ToolOutput | None:
        """A failure is an output that the model reads. Raises ToolFailed where the server is no longer there."""
        if not isinstance(call, McpCall):
            return None
        server = next((each for each in run.servers if each.label == call.server_label), None)
        tool = next((t for t in run.tools if t.server_label == call.server_label and t.wire_name == call.name), None)
        if server is None or tool is None:
            raise ToolFailed(f"The server {call.server_label!r} has no tool {call.name!r} any more. Go on without it.")
        try:
            arguments = arguments_of(call.name, call.arguments, tool.parameters or {})
            credentials = await self._known_credentials(server, call.name)
            kept = await self._kept(credentials, trusted=server.configured)
            self._asked[run.response.id, server.label] = kept, credentials
            return output_of(await called(kept, credentials, run.response.id, tool, arguments))
        except ToolFailed as wrong:
            return failed(ProtocolFailure(INVALID_PARAMS, str(wrong)))
        except (McpFailure, ValueError, RecursionError) as failure:
            return failed(failure if isinstance(failure, McpFailure) else ProtocolFailure(INVALID_PARAMS, str(failure)))

    async def leave(self, run: Run) -> None:
        """End the sessions that calls of `run` began, and keep no connection."""
        keys = [(holder, server.label) for server in run.servers for holder in ("", run.response.id)]
        asked = dict(filter(None, (self._asked.pop(key, None) for key in keys)))
        await asyncio.gather(*(self._left(kept, credentials, run.response.id) for kept, credentials in asked.items()))

    async def _left(self, kept: KeptClient, credentials: McpCredentials, response_id: str) -> None:
        await kept.client.leave(credentials, response_id)
        await kept.client.rest()

    async def _configured(self, tool: McpTool) -> ConfiguredServer | None:
        """The server of the deployment that `tool` names; None if it brings one of its own.

        Raises RequestError: a label of the deployment leads nowhere else, and takes no other credentials.
        """
        found = await self._find(tool.server_label)
        if found is None:
            if not tool.server_url:
                raise UnknownServer(tool.server_label)
            return None
        own = {"server_url": tool.server_url, "headers": tool.headers, "authorization": tool.authorization}
        if name := next((name for name, value in own.items() if value), None):
            what = (
                f"{tool.server_label!r} is an MCP server of this deployment: leave out {name!r}, or take another label"
            )
            raise RequestError(what, param=name)
        return found

    async def _listed(self, label: str, credentials: McpCredentials, *, trusted: bool) -> list[ListedTool]:
        try:
            kept = await self._kept(credentials, trusted=trusted)
        except ValueError as error:
            raise RequestError(f"{label}: server_url {error}", param="server_url") from None
        self._asked["", label] = kept, credentials
        try:
            return await kept.tools(credentials)
        except McpFailure as failure:
            raise ConnectorFailed(label, failure.message) from None

    async def _kept(self, credentials: McpCredentials, *, trusted: bool) -> KeptClient:
        """Raises ValueError for an address that may not be reached."""
        return await self._clients.at(self._tenant, credentials, None if trusted else self._guard)

    async def _sealed(self, label: str, credentials: McpCredentials) -> str:
        return await self._seal.seal(f"mcp:{label}", json.dumps([credentials.url, credentials.headers]))

    async def _known_credentials(self, server: McpServer, name: str) -> McpCredentials:
        """Of a server of a run. Raises ToolFailed."""
        if server.configured:
            found = await self._find(server.label)
            if found is None or (found.allow and name not in found.allow):
                raise ToolFailed(f"The server {server.label!r} has no tool {name!r} any more. Go on without it.")
            return McpCredentials(found.url, found.headers)
        opened = await self._seal.open(server.sealed)
        if opened is None or opened[0] != f"mcp:{server.label}":
            raise ToolFailed(f"The credentials for the server {server.label!r} can't be read any more.")
        url, headers = json.loads(opened[1])
        return McpCredentials(url, headers)


async def called(
    kept: KeptClient, credentials: McpCredentials, holder: str, tool: OfferedTool, arguments: JsonObject
) -> JsonObject:
    """A tool's result. Where the server wants other arguments in headers than it said, it is asked which: once."""
    schema = tool.parameters or {}
    for again in (True, False):
        headers = headers_of(mirrored(schema), arguments)
        try:
            return await kept.client.call(credentials, holder, tool.wire_name, arguments, headers)
        except ProtocolFailure as failure:
            if failure.code != HEADER_MISMATCH or not again:
                raise
        now = await kept.tools(credentials, anew=True)
        schema = next((each.input_schema for each in now if each.name == tool.wire_name), schema)
    raise AssertionError


def _credentials(tool: McpTool, configured: ConfiguredServer | None) -> McpCredentials:
    if configured:
        return McpCredentials(configured.url, configured.headers)
    try:
        return McpCredentials(tool.server_url or "", given(tool.headers, tool.authorization))
    except ValueError as error:
        raise RequestError(f"{tool.server_label}: {error}", param="headers") from None


def _still_known(tool: McpTool, known: McpListTools | None) -> list[ListedTool] | None:
    """What the conversation knows of the server's tools; None if they must be listed: nothing is known, or a tool is
    asked for by name that an earlier request left out.
    """
    if known is None or known.error is not None:
        return None
    names = {each.name for each in known.tools}
    asked = (
        tool.allowed_tools if isinstance(tool.allowed_tools, list) else getattr(tool.allowed_tools, "tool_names", None)
    )
    return None if known.narrowed and not names.issuperset(asked or ()) else known.tools


def _without_secrets(url: str) -> str:
    """Its host, and a hash that tells it from every other address."""
    split = urlsplit(url)
    return f"{split.scheme}://{split.hostname or ''}#{sha256(url.encode()).hexdigest()[:32]}"
