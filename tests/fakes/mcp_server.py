"""An MCP server: the package `mcp`, on loopback, in either era. In a test: `async with mcp_server(...) as server`.

In a process of its own: `python -m tests.fakes.mcp_server [--sessions] [--json] [--token T]`: it prints its URL.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError

from openresponses_dev.local.gateway.server import HttpServer

Json = dict[str, Any]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def tool(name: str, schema: Json | None = None, description: str = "", **hints: bool) -> types.Tool:
    return types.Tool(
        name=name,
        description=description or f"The tool {name}.",
        input_schema=schema if schema is not None else {"type": "object"},
        annotations=types.ToolAnnotations.model_validate(hints) if hints else None,
    )


def text(said: str, *, failed: bool = False, **more: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=said)], is_error=failed, **more)


TOOLS = (
    tool(
        "echo", {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}, readOnlyHint=True
    ),
    tool("add", {"type": "object", "properties": {"numbers": {"type": "array", "items": {"type": "number"}}}}),
    tool("large", {"type": "object", "properties": {"characters": {"type": "integer"}}}),
    tool("fail"),
    tool("picture"),
    tool("structured"),
    tool("ask"),
    tool("slow", idempotentHint=True),
    tool("count"),
    tool("whoami", {"type": "object"}),
    tool(
        "where",
        {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}},
    ),
)


@dataclass(slots=True)
class FakeMcp:
    """`requests` are the messages that came, each with its headers, from these `ports`; `calls` those of tools,
    with their `metas`. `given_up` are the calls that ended before they were answered. `slow` sleeps for `sleep`
    seconds.
    """

    tools: list[types.Tool] = field(default_factory=lambda: [*TOOLS])
    url: str = ""
    ports: list[int] = field(default_factory=list[int])
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])
    calls: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])
    metas: list[Json] = field(default_factory=list[Json])
    given_up: list[str] = field(default_factory=list[str])
    sleep: float = 60.0
    page: int = 1000
    counts: dict[str, int] = field(default_factory=dict[str, int])
    forget: Callable[[], None] = lambda: None

    async def list_tools(self, ctx: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        start = int(params.cursor) if params and params.cursor else 0
        end = start + self.page
        more = str(end) if end < len(self.tools) else None
        return types.ListToolsResult(tools=self.tools[start:end], next_cursor=more)

    async def call_tool(self, ctx: Any, params: types.CallToolRequestParams) -> Any:
        arguments = params.arguments or {}
        self.calls.append((params.name, arguments))
        self.metas.append({**(params.meta or {})})
        try:
            return await self._call(ctx, params.name, arguments)
        except BaseException:
            self.given_up.append(params.name)
            raise

    async def _call(self, ctx: Any, name: str, arguments: Json) -> Any:
        match name:
            case "echo" | "where":
                return text(str(arguments.get("text") or arguments.get("region")))
            case "large":
                return text("x" * arguments["characters"])
            case "add":
                return text(str(sum(arguments["numbers"])))
            case "fail":
                return text("It broke.", failed=True)
            case "picture":
                image = types.ImageContent(type="image", data=PIXEL, mime_type="image/png")
                return types.CallToolResult(content=[types.TextContent(type="text", text="Look:"), image])
            case "structured":
                return types.CallToolResult(content=[], structured_content={"answer": 42})
            case "ask":
                wanted = types.ElicitRequestFormParams(
                    message="Who?", requested_schema={"type": "object", "properties": {}}
                )
                return types.InputRequiredResult(
                    result_type="input_required", input_requests={"who": types.ElicitRequest(params=wanted)}
                )
            case "slow":
                await asyncio.sleep(self.sleep)
                return text("at last")
            case "count":  # per session: what a browser's page is to others
                session = ctx.request.headers.get("mcp-session-id", "")
                self.counts[session] = self.counts.get(session, 0) + 1
                return text(str(self.counts[session]))
            case "whoami":
                return text(str(ctx.request.headers.get("authorization")))
            case _:
                raise MCPError(types.INVALID_PARAMS, f"no tool {name}")


class _Old(StreamableHTTPSessionManager):
    """Knows of nothing after 2025-11-25."""

    async def _handle_request(self, scope: Any, receive: Any, send: Any) -> None:
        await self._handle_stateful_request(scope, receive, send)


@asynccontextmanager
async def mcp_server(
    *, sessions: bool = False, json: bool = False, token: str = "", **more: Any
) -> AsyncIterator[FakeMcp]:
    """`sessions`: of the old era alone. `json`: it answers without a stream. `token`: without it there is a 401."""
    served = FakeMcp(**more)
    app: Server[Any] = Server("fake", on_list_tools=served.list_tools, on_call_tool=served.call_tool)
    manager = (_Old if sessions else StreamableHTTPSessionManager)(app, json_response=json)

    def forget() -> None:
        manager._server_instances.clear()

    served.forget = forget

    async def serve(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        served.requests.append((scope["method"], headers))
        served.ports.append(scope["client"][1])
        if token and headers.get("authorization") != f"Bearer {token}":
            challenge = (b"www-authenticate", b'Bearer resource_metadata="http://127.0.0.1/.well-known/oauth"')
            await send({"type": "http.response.start", "status": 401, "headers": [challenge]})
            await send({"type": "http.response.body", "body": b""})
            return
        await manager.handle_request(scope, receive, send)

    server, running, over = HttpServer(serve, 0), asyncio.Event(), asyncio.Event()

    async def run() -> None:
        """In a task of its own, which ends what it has begun: a fixture's end is another one's."""
        async with manager.run():
            running.set()
            await over.wait()

    managing = asyncio.create_task(run())
    await running.wait()
    served.url = f"{await server.start()}/mcp"
    try:
        yield served
    finally:
        await server.stop()
        over.set()
        await managing


async def _main(sessions: bool, json: bool, token: str) -> None:
    async with mcp_server(sessions=sessions, json=json, token=token) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--token", default="")
    asyncio.run(_main(**vars(parser.parse_args())))
