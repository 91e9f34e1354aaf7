"""Our MCP client, as tests ask with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from openresponses.toolbox.mcp.client import McpClient
from openresponses.toolbox.mcp.credentials import McpCredentials, given
from openresponses.transport.guard import Guard
from openresponses.transport.http import Http
from tests.fakes.mcp_server import Json

HOLDER = "resp_1"


def connected(url: str) -> Http:
    seconds = {"connect_timeout": 5.0, "first_byte_timeout": 60.0, "idle_timeout": 60.0}
    return Http(url, {}, guard=Guard(loopback=True), repeats=False, **seconds)


class Asking:
    """One client with one set of credentials."""

    def __init__(self, url: str, headers: dict[str, str] | None = None, authorization: str | None = None) -> None:
        self.client = McpClient(connected(url))
        self.credentials = McpCredentials(url, given(headers, authorization))

    async def names(self, seconds: float = 10.0) -> list[str]:
        return [str(tool["name"]) for tool in (await self.client.tools(self.credentials, seconds)).tools]

    async def call(self, name: str, arguments: Json | None = None, holder: str = HOLDER, seconds: float = 10.0) -> Json:
        return await self.client.call(self.credentials, holder, name, arguments or {}, {}, seconds)

    async def text(self, name: str, arguments: Json | None = None, holder: str = HOLDER) -> str:
        """The first text of a result."""
        return (await self.call(name, arguments, holder))["content"][0]["text"]


@asynccontextmanager
async def asking(
    url: str, headers: dict[str, str] | None = None, authorization: str | None = None
) -> AsyncIterator[Asking]:
    asked = Asking(url, headers, authorization)
    try:
        yield asked
    finally:
        await asked.client.rest()
