"""Houses whose tools are those of MCP servers, and what their clients say of approvals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from openresponses.core import deltas as d
from openresponses.core.ports import Offer, Offerable, ToolOutput
from openresponses.core.run import McpServer, OfferedTool, Run
from openresponses.core.turn import Turn
from openresponses.schema.server_items import McpCall, McpListTools, ServerCall
from openresponses.schema.tools import McpTool, ToolFilter
from tests.contract.machine import House
from tests.contract.served import client_of
from tests.unit.cases import ANSWER
from tests.unit.kit import Json, Said, Script, Tools

DICE: Json = {"type": "mcp", "server_label": "dice", "server_url": "https://dice.example/mcp"}
FREE: Json = {"type": "mcp", "server_label": "free", "server_url": "https://free.example/mcp"} | {
    "require_approval": "never"
}
SIX = '{"sides": 6}'
_ANNOTATIONS: dict[str, Json] = {"peek": {"readOnlyHint": True}, "set": {"idempotentHint": True}}


class Servers(Tools):
    """Every MCP server that a request names. Each has the tools `roll`, `peek` (which only reads), and `set` (which may
    be called twice). `began` are the calls, in order. Each is told to `on_call`, if there is one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.began: list[McpCall] = []
        self.on_call: Callable[[], None] | None = None

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        if not isinstance(tool, McpTool):
            return await super().offer(tool, known)
        allowed = tool.allowed_tools
        names = (allowed.tool_names if isinstance(allowed, ToolFilter) else allowed) or ["roll", "peek", "set"]
        url = tool.server_url or ""
        server = McpServer(label=tool.server_label, url=url, configured=not url, listed=known is None)
        return Offer([_tool(tool, name) for name in names], server)

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        if not isinstance(call, McpCall):
            return await super().call(call, run)
        self.began.append(call)
        if self.on_call is not None:
            self.on_call()
        return ToolOutput(f"{call.name}({call.arguments})")


def _tool(tool: McpTool, name: str) -> OfferedTool:
    return OfferedTool(
        name=f"{tool.server_label}__{name}",
        kind="mcp",
        item_type="mcp_call",
        wire_name=name,
        server_label=tool.server_label,
        parameters={"type": "object"},
        annotations=_ANNOTATIONS.get(name),
        needs_approval=tool.require_approval != "never",
    )


def asks(*calls: str, arguments: str = SIX) -> list[Said]:
    """A turn that calls these tools, by the names that the model knows."""
    said: list[Said] = []
    for number, name in enumerate(calls):
        said.append(d.ToolCall(f"c{number}", arguments, call_id=f"call_{number}", name=name))
    return [*said, d.Finish("stop")]


ROLL = asks("dice__roll")


class Answering(Script):
    """Says the turns of `turns`, and from then on the same answer."""

    async def stream(self, turn: Turn) -> AsyncIterator[d.Delta]:  # type: ignore[override]
        if len(self.asked) >= len(self.turns):
            self.turns.append(ANSWER)
        async for said in super().stream(turn):
            yield said


class Casino(House):
    """A house whose model says `turns`, and then answers."""

    def __init__(self, *turns: list[Said], servers: Servers | None = None, **more: Any) -> None:
        self.script, self.servers = Answering([*turns]), servers or Servers()
        super().__init__(self.script, self.servers, **more)

    @property
    def made(self) -> list[str]:
        """The calls that were begun."""
        return [f"{call.server_label}.{call.name}({call.arguments})" for call in self.servers.began]

    async def post(self, headers: Json | None = None, **request: Any) -> Any:
        asked = {"model": "m", "input": "roll", "tools": [DICE], **request}
        async with client_of(self) as client:
            return await client.post("/responses", json=asked, headers=headers or {})

    async def answer(self, headers: Json | None = None, **request: Any) -> Json:
        response = await self.post(headers, **request)
        assert response.status_code == 200, response.text
        return response.json()

    async def refusal(self, headers: Json | None = None, **request: Any) -> str:
        """The code, and the index of the approval that is refused."""
        response = await self.post(headers, **request)
        assert response.status_code == 400, response.text
        error = response.json()["error"]
        place = str(error["param"]).removeprefix("input[").removesuffix("].approval_request_id")
        return f"{error['code']} {place}"


def approval(request: Json | str, approve: bool = True, **more: Any) -> Json:
    request_id = request if isinstance(request, str) else request["id"]
    return {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve, **more}


def user(text: str) -> Json:
    return {"type": "message", "role": "user", "content": text}


def of_type(response: Json, kind: str) -> list[Json]:
    return [item for item in response["output"] if item["type"] == kind]


def requests_in(response: Json) -> list[Json]:
    return of_type(response, "mcp_approval_request")


def calls_in(response: Json) -> list[Json]:
    return of_type(response, "mcp_call")


def kinds(response: Json) -> list[str]:
    return [item["type"] for item in response["output"]]
