"""What a view shows of an item that is a call of a tool, whoever runs it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

Event = dict[str, Any]

LONGEST = 2000
"""Characters of an output that are shown."""
REQUEST = "mcp_approval_request"
_CLIENT = (
    "function_call",
    "custom_tool_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "computer_call",
    "tool_search_call",
)
"""Items of OpenAI's by which the client is to run something."""


@dataclass(frozen=True, slots=True)
class ShownCall:
    """`output` is None until there is one. `failed`: it says what went wrong."""

    name: str
    arguments: str
    output: str | None
    failed: bool
    status: str


def handed_call(item: Event) -> ShownCall | None:
    """A call that the server does not make, or not yet; `status` says why. None for what is no such call."""
    kind = str(item.get("type", ""))
    if kind == REQUEST:  # whoever approves a call sees all that is in it
        arguments = _printable(_text(item.get("arguments")))
        return ShownCall(_printable(tool_name(item)), arguments, None, False, "needs an approval")
    if kind in _CLIENT:
        name = str(item.get("name") or kind.removesuffix("_call"))
        asked = item.get("arguments") or item.get("input") or item.get("action") or item.get("operation")
        return ShownCall(name, _text(asked), None, False, "is for the client, and not run here")
    return None


def tool_name(item: Event) -> str:
    """Of a tool of an MCP server: its label and its name."""
    return f"{item.get('server_label')}/{item.get('name')}"


def shown_call(item: Event) -> ShownCall | None:
    """None for what is no call that the server, or the provider, runs."""
    kind, status = str(item.get("type", "")), str(item.get("status") or "")
    failed = status in ("failed", "incomplete")
    if kind.startswith("serverless:") and "name" in item:
        return ShownCall(str(item["name"]), _text(item.get("arguments")), _output(item), failed, status)
    if kind == "mcp_call":
        error = item.get("error")
        status = "failed" if error else status
        output = _message(error) if error else _output(item)
        return ShownCall(tool_name(item), _text(item.get("arguments")), output, failed or bool(error), status)
    if kind.endswith("_call") and kind not in _CLIENT:  # web_search_call and its like
        action = item.get("action")
        return ShownCall(
            kind.removesuffix("_call"), _text(action), "" if status == "completed" else None, failed, status
        )
    return None


def message_of(error: object) -> str:
    """Of an error as responses and events have it."""
    return _message(error) if error else "no reason was given"


def shortened(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"


def _printable(text: str) -> str:
    """With what a terminal shows nothing of, such as U+200B and tags (U+E0041), written out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _output(item: Event) -> str | None:
    return None if item.get("output") is None else _text(item["output"])


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _message(error: object) -> str:
    found: object = cast("Event", error).get("message") if isinstance(error, dict) else None
    return str(found) if found else str(cast("object", error))
