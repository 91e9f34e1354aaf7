"""MCP servers and a web search that answer at once, as a source of tools: what the loop has to do with any of them."""

from __future__ import annotations

import json
from typing import Any

from openresponses.core.ports import Offer, Offerable, ToolOutput
from openresponses.core.run import McpServer, OfferedTool, Run
from openresponses.core.server_calls import mcp_name
from openresponses.schema.server_items import McpCall, McpListTools, ServerCall, WebSearchCall
from openresponses.schema.tools import McpTool, WebSearchTool
from tests.unit.kit import PAGE, SEARCH, Json

IMAGE: Json = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"}
TEXT: Json = {"type": "string"}
SCHEMAS: dict[str, Any] = {
    "plain": {"type": "object", "properties": {"what": TEXT}, "required": ["what"]},
    "no_arguments": {"type": "object"},
    "no_schema": {},
    "refers": {
        "type": "object",
        "properties": {
            "where": {"$ref": "#/$defs/Place"},
            "more": {"type": "array", "items": {"$ref": "#/$defs/Place"}},
        },
        "$defs": {"Place": {"type": "object", "properties": {"city": TEXT}, "required": ["city"]}},
    },
    "refers_to_itself": {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    },
    "arrays": {
        "type": "object",
        "properties": {
            "pairs": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
            "any": {"type": "array"},
        },
    },
    "either": {
        "type": "object",
        "anyOf": [{"properties": {"a": TEXT}, "required": ["a"]}, {"properties": {"b": TEXT}, "required": ["b"]}],
    },
    "all": {
        "allOf": [{"$ref": "#/$defs/A"}, {"type": "object", "properties": {"b": TEXT}, "required": ["b"]}],
        "$defs": {"A": {"properties": {"a": TEXT}}},
    },
    "conditions": {
        "type": "object",
        "properties": {"a": TEXT},
        "if": {"required": ["a"]},
        "then": {"required": ["b"]},
        "not": {"required": ["c"]},
    },
    "inside": {
        "type": "object",
        "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}},
        "$defs": {"A": {"type": "object"}, "B": {"type": "object"}},
    },
    "elsewhere": {"type": "object", "properties": {"a": {"$ref": "https://schemas.test/a.json"}}},
    "odd": {"type": "object", "properties": {"a": TEXT, "type": "object"}, "required": ["a", "gone"]},
    "a.b/c d": {"type": "object", "properties": {}},
    "1st": {"type": "object", "properties": {}},
    "caf\u00e9": {"type": "object", "properties": {}},
    "long" * 40: {"type": "object", "properties": {}},
}


class Serving:
    """The server `odd` has a tool for each of `SCHEMAS`, `docs` has `look`, `note` and `break`, `art` has `draw`, and
    `bank` has `pay`.

    A call is answered with its name and its arguments. Keeps what it was asked for.
    """

    def __init__(self) -> None:
        self.called: list[ServerCall] = []
        self.listed: list[str] = []
        self._servers: dict[str, dict[str, Any]] = {
            "odd": SCHEMAS,
            "docs": dict.fromkeys(("look", "note", "break"), SCHEMAS["plain"]),
            "art": {"draw": SCHEMAS["plain"]},
            "bank": {"pay": SCHEMAS["plain"]},
        }

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        match tool:
            case McpTool() if tool.server_label in self._servers:
                if known is None:
                    self.listed.append(tool.server_label)
                server = McpServer(label=tool.server_label, listed=known is None)
                return Offer([self._tool(tool, *each) for each in self._servers[tool.server_label].items()], server)
            case WebSearchTool():
                return Offer([each.model_copy(update={"parameters": SCHEMAS["plain"]}) for each in (SEARCH, PAGE)])
            case _:
                return None

    def _tool(self, tool: McpTool, name: str, schema: Json) -> OfferedTool:
        return OfferedTool(
            name=mcp_name(tool.server_label, name),
            kind="mcp",
            item_type="mcp_call",
            wire_name=name,
            server_label=tool.server_label,
            description=f"It can {name}.",
            parameters=schema,
            needs_approval=tool.require_approval != "never",
        )

    async def call(self, call: ServerCall, run: Run) -> ToolOutput | None:
        if not isinstance(call, McpCall | WebSearchCall):
            return None
        self.called.append(call)
        if isinstance(call, WebSearchCall):
            return ToolOutput("", item={"results": [{"url": "https://a.test/", "title": "A", "text": "found"}]})
        if call.name == "draw":
            return ToolOutput("a picture", item={"content": [{"type": "input_text", "text": "a picture"}, IMAGE]})
        return ToolOutput(f"{call.name} {json.loads(call.arguments)}", failed=call.name == "break")
