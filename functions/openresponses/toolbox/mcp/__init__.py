"""Tools of MCP servers: a request's own, and those that the operator has set up. Imported as a request needs it.

`client` speaks both eras of the protocol, `json_rpc` is one exchange of it over HTTP, `parameters` what of a call goes
into headers, `results` what a model reads of an answer, `credentials` what must never be read, `listing` which tools a
model is offered, `servers` what the operator has set up. `source` puts them together.
Facts: modelcontextprotocol.io/specification, revisions 2026-07-28 and 2025-11-25, and the package `mcp` 2.3.0.
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from ...core.ports import Offer, Offerable, ToolOutput
from ...core.run import Run
from ...schema.server_items import McpCall, McpListTools, ServerCall
from ...schema.tools import McpTool

if TYPE_CHECKING:
    from .source import McpSource


class McpTools:
    """The source of one tenant, which `make` imports as a request names the first server."""

    def __init__(self, make: "Callable[[], McpSource]") -> None:
        self._make = make

    @cached_property
    def _source(self) -> "McpSource":
        return self._make()

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        return await self._source.offer(tool, known) if isinstance(tool, McpTool) else None

    async def call(self, call: ServerCall, run: Run) -> ToolOutput | None:
        return await self._source.call(call, run) if isinstance(call, McpCall) else None

    async def leave(self, run: Run) -> None:
        if "_source" in self.__dict__:
            await self._source.leave(run)
