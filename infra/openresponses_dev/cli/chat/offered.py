"""The words that offer tools, in `--tool` and `/tools`: a type, or an MCP server."""

from __future__ import annotations

from openresponses_dev.local.answer.calls import Event
from openresponses_dev.local.command_line import command
from openresponses_dev.manage.problems import Problem

_MCP = "mcp:"
_OF_CLIENTS = ("function", "custom", "namespace", "local_shell", "shell", "apply_patch", "computer", "tool_search")


def tool_of(word: str) -> Event:
    """A request's tool: for a type such as `web_search`, for an MCP server of the deployment (`mcp:LABEL`), or for
    another one (`mcp:LABEL=URL`). Raises Problem.
    """
    if word.startswith(_MCP):
        label, _, url = word.removeprefix(_MCP).partition("=")
        return {"type": "mcp", "server_label": label, **({"server_url": url} if url else {})}
    if word == "mcp":
        raise Problem("mcp needs the label of a server", f"mcp:LABEL; {command('mcp list')} shows a deployment's")
    if word == "none":
        raise Problem("none stands alone: it offers no tools")
    if word in _OF_CLIENTS:
        raise Problem(f"{word} is a tool that the client runs, and chat runs none", command("tools add"))
    return {"type": word}


def word_of(tool: Event) -> str:
    if tool["type"] != "mcp":
        return str(tool["type"])
    return f"{_MCP}{tool['server_label']}" + (f"={tool['server_url']}" if "server_url" in tool else "")
