"""`openresponses mcp test LABEL TOOL`: one call of a tool, by the code that the server uses."""

from __future__ import annotations

import asyncio
import sys
import time
from secrets import token_hex

from openresponses.core.ports import ToolOutput
from openresponses.schema.tools import McpTool
from openresponses.toolbox.mcp.credentials import McpCredentials
from openresponses.toolbox.mcp.listing import McpClients, offered
from openresponses.toolbox.mcp.policy import allowed
from openresponses.toolbox.mcp.results import output_of
from openresponses.toolbox.mcp.servers import ConfiguredServer
from openresponses.toolbox.mcp.source import called
from openresponses.toolbox.source import ToolFailed, arguments_of
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.problems import Problem, meant


def call_tool(server: ConfiguredServer, name: str, arguments: str) -> int:
    """The exit status. It asks for no approval: who calls it has given it. Raises McpFailure, ValueError, Problem."""
    begun = time.monotonic()
    try:
        output = asyncio.run(_called(server, name, arguments))
    except ToolFailed as wrong:
        output = ToolOutput(str(wrong), failed=True)
    said = "failed after" if output.failed else "took"
    say(f"the call {said} {time.monotonic() - begun:.2f} s; the model reads:", sys.stderr)
    say(output.text)
    return int(output.failed)


async def _called(server: ConfiguredServer, name: str, arguments: str) -> ToolOutput:
    credentials, asked = (
        McpCredentials(server.url, server.headers),
        McpTool.model_validate({"server_label": server.label}),
    )
    kept = await McpClients(time.monotonic).at("", credentials, None)
    tools = {each.name: each for each in await kept.tools(credentials) if allowed(each, asked, server)}
    if name not in tools:
        raise Problem(f"{server.label} offers no tool {name}{meant(name, tools)}", f"one of {', '.join(tools)}")
    tool, holder = offered(tools[name], asked, approval=False), token_hex(8)
    try:
        given = arguments_of(name, arguments, tool.parameters or {})
        return output_of(await called(kept, credentials, holder, tool, given))
    finally:
        await kept.client.leave(credentials, holder)
        await kept.client.rest()
