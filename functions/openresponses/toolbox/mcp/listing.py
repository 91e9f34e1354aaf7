"""What a server listed: as tools that a model is offered, and kept for a while. Knows no HTTP.

Kept for a tenant, a server and its credentials, in this process alone, about as long as the server says: see
`MIN_KEPT_SECONDS`. One request asks, and those that come meanwhile wait for its answer.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import cast

from pydantic import TypeAdapter

from ...core.run import OfferedTool, model_name
from ...schema.base import JsonObject
from ...schema.limits import MAX_NAME
from ...schema.server_items import ListedTool
from ...schema.tools import McpTool
from ...transport.guard import Guard
from ...transport.http import Http
from .client import CALL_SECONDS, LIST_SECONDS, McpClient
from .credentials import McpCredentials
from .failures import timed_out
from .parameters import mirrored

MIN_KEPT_SECONDS, MAX_KEPT_SECONDS = 60.0, 300.0
"""A server says how long its list stays fresh (`ttlMs`; server/utilities/caching). SDKs write 0 where its author said
nothing, and older servers write nothing: a client then goes by its own judgement."""
CONNECT_SECONDS = 10.0
MAX_CLIENTS = 64
MAX_KEPT_BYTES = 16 * 1024 * 1024
"""Of all listings."""
_log = logging.getLogger(__name__)


class KeptClient:
    """A client, and what its server listed last: as JSON, since that is a tenth of what the objects take."""

    def __init__(self, client: McpClient, now: Callable[[], float]) -> None:
        self.client, self._now = client, now
        self.listed, self._until = b"", 0.0
        self._asking = asyncio.Lock()

    async def tools(self, credentials: McpCredentials, *, anew: bool = False) -> list[ListedTool]:
        """Raises McpFailure. `anew`: what is kept is out of date."""
        try:
            async with asyncio.timeout(LIST_SECONDS), self._asking:
                if anew or not self.listed or self._now() >= self._until:
                    found = await self.client.tools(credentials)
                    self.listed = _LISTED.dump_json(tools_of(found.tools), exclude_none=True)
                    self._until = self._now() + min(max(found.seconds, MIN_KEPT_SECONDS), MAX_KEPT_SECONDS)
        except TimeoutError:
            raise timed_out(LIST_SECONDS) from None
        return _LISTED.validate_json(self.listed)


class McpClients:
    """Those that a sandbox keeps. The one used least recently goes first. `now` gives seconds that only grow."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: OrderedDict[tuple[str, bool, str], KeptClient] = OrderedDict()

    async def at(self, tenant: str, credentials: McpCredentials, guard: Guard | None) -> KeptClient:
        """The client of this tenant and these credentials. Without a `guard` it connects to wherever its URL leads.

        Raises ValueError for a URL that the guard refuses.
        """
        key = (tenant, guard is None, credentials.digest())
        if (found := self._kept.get(key)) is None:
            found = self._kept[key] = KeptClient(McpClient(_connections(credentials.url, guard)), self._now)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_CLIENTS or self._too_much():
            _, oldest = self._kept.popitem(last=False)
            await oldest.client.rest()
        return found

    def _too_much(self) -> bool:
        return len(self._kept) > 1 and sum(len(each.listed) for each in self._kept.values()) > MAX_KEPT_BYTES


def _connections(url: str, guard: Guard | None) -> Http:
    """The client's own limits of time are the shorter ones. No call reaches its server twice."""
    return Http(
        url,
        {},
        connect_timeout=CONNECT_SECONDS,
        first_byte_timeout=2 * CALL_SECONDS,
        idle_timeout=2 * CALL_SECONDS,
        guard=guard,
        repeats=False,
    )


def tools_of(raw: Sequence[JsonObject]) -> list[ListedTool]:
    """The tools among what a server listed. One without a name, or of a name that came before, is left out; so is one
    whose headers are wrong, as the specification asks.
    """
    found: dict[str, ListedTool] = {}
    for each in raw:
        name, description, annotations = each.get("name"), each.get("description"), each.get("annotations")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or name in found:
            continue
        schema = _object_schema(each.get("inputSchema"))
        try:
            mirrored(schema)
        except ValueError as error:
            _log.warning("a tool of an MCP server is left out: %s", error)
            continue
        found[name] = ListedTool(
            name=name,
            description=description if isinstance(description, str) else None,
            input_schema=schema,
            annotations=annotations if isinstance(annotations, dict) else None,
        )
    return list(found.values())


def _object_schema(schema: object) -> JsonObject:
    """A schema of an object, which every provider asks for, with all that the server says of it."""
    given = cast("JsonObject", schema) if isinstance(schema, dict) else {}
    properties = given.get("properties")
    return {**given, "type": "object", "properties": properties if isinstance(properties, dict) else {}}


def offered(tool: ListedTool, asked: McpTool, *, approval: bool) -> OfferedTool:
    return OfferedTool(
        name=model_name(asked.server_label, tool.name),
        kind="mcp",
        item_type="mcp_call",
        wire_name=tool.name,
        server_label=asked.server_label,
        description=tool.description,
        parameters=tool.input_schema,
        annotations=tool.annotations,
        needs_approval=approval,
    )


_LISTED = TypeAdapter(list[ListedTool])
