"""`openresponses mcp`: the MCP servers that requests name by their label, with the secrets that they want."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from cyclopts import Parameter
from pydantic import JsonValue

from openresponses.schema.server_items import ListedTool
from openresponses.schema.tools import McpTool
from openresponses.toolbox.mcp.credentials import McpCredentials
from openresponses.toolbox.mcp.failures import McpFailure
from openresponses.toolbox.mcp.listing import McpClients
from openresponses.toolbox.mcp.policy import allowed
from openresponses.toolbox.mcp.servers import LABEL, SERVERS, Approval, ConfiguredServer, parse_server
from openresponses_dev.local.command_line import command
from openresponses_dev.local.terminal import say
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.mcp_trial import call_tool
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.problems import BadSetting, Problem, meant, warn
from openresponses_dev.manage.provider_options import HEADER, read_headers
from openresponses_dev.manage.providers import too_near, without_secrets

_WORDS = {"url": ("the URL", "an address such as https://mcp.example.com/mcp"), "headers": HEADER}
_SHOWN = 60
"""Characters of a description."""


def set_server(
    label: Annotated[str, Parameter(help="how requests name it, as `server_label`")],
    url: Annotated[str, Parameter(help="of its MCP endpoint")],
    /,
    *,
    header: Annotated[tuple[str, ...], Parameter(metavar="NAME", help="its value is read, and kept secret")] = (),
    approval: Annotated[Approval, Parameter(help="whether a client must approve each call")] = "always",
    allow: Annotated[
        tuple[str, ...], Parameter(metavar="TOOL,...", help="what requests may use of it (default: all)")
    ] = (),
    description: Annotated[str, Parameter(metavar="TEXT", help="for your own list")] = "",
    where: Where = Where(),
) -> int:
    deployment = deployment_at(where)
    document: dict[str, JsonValue] = {"url": url, "approval": approval}
    if description:
        document["description"] = description
    if allow:
        document["allow"] = [tool for word in allow for tool in word.split(",")]
    text = with_headers(label, document, header)
    parameters.write(deployment, SERVERS, label, text)
    say(f"{label} is set {deployment.soon}")
    if warning := too_near(deployment, url):
        warn(warning)
    say(f"try it:  {deployment.command(f'mcp test {label}')}")
    return 0


def with_headers(label: str, document: dict[str, JsonValue], names: Sequence[str]) -> str:
    """The document of a server. Reads its headers, after all that can be checked without them. Raises Problem."""
    try:
        server_of(label, json.dumps({**document, "headers": dict.fromkeys(names, "unread")}))
        headers = read_headers(names, label)
        text = json.dumps({**document, "headers": headers}, ensure_ascii=False)
        server_of(label, text)
    except BadSetting as bad:
        raise bad.typed(_WORDS, command("mcp set --help")) from None
    return text


def list_servers(*, as_json: AsJson = False, where: Where = Where()) -> int:
    found = parameters.read_all(deployment_at(where), SERVERS)
    head = ("LABEL", "URL", "HEADERS", "APPROVAL", "TOOLS", "DESCRIPTION")
    show([*map(_document, found)], head, map(_row, found), as_json=as_json)
    return 0


def try_server(
    label: str,
    tool: Annotated[str, Parameter(help="to be called (default: the tools are listed)")] = "",
    arguments: Annotated[str, Parameter(metavar="JSON", help="what the model would give")] = "{}",
    /,
    *,
    as_json: AsJson = False,
    where: Where = Where(),
) -> int:
    """The exit status: 1 where a call failed. Of a call, standard output is what the model would read."""
    deployment = deployment_at(where)
    server = stored_server(deployment, label)
    begun = time.monotonic()
    try:
        if tool:
            return call_tool(server, tool, arguments)
        tools = asyncio.run(_tools(server))
    except (McpFailure, ValueError) as failure:
        raise Problem(f"{label}: {failure}", _mend(failure, deployment, server)) from None
    say(f"{label} answered in {time.monotonic() - begun:.2f} s: {len(tools)} tools", sys.stderr if as_json else None)
    data = [_tool(tool, server) for tool in tools]
    rows = (
        (
            str(each["name"]),
            "yes" if each["offered"] else "no",
            server.approval,
            "yes" if each["only_reads"] else "no",
            _shortened(str(each["description"] or "-")),
        )
        for each in data
    )
    show(data, ("TOOL", "OFFERED", "APPROVAL", "ONLY READS", "DESCRIPTION"), rows, as_json=as_json)
    if missing := {*server.allow} - {tool.name for tool in tools}:
        warn(f"it has no tool {', '.join(sorted(missing))}, which --allow names")
    return 0


def remove_server(label: str, /, *, where: Where = Where()) -> int:
    deployment = deployment_at(where)
    if not parameters.delete(deployment, SERVERS, label):
        raise _missing(deployment, label)
    say(f"{label} is removed {deployment.soon}")
    return 0


def stored_server(deployment: Deployment, label: str) -> ConfiguredServer:
    """Raises Problem."""
    found = parameters.read(deployment, SERVERS, label)
    if found is None:
        raise _missing(deployment, label)
    return server_of(label, found.text)


def server_of(label: str, document: str) -> ConfiguredServer:
    """The server as a function would read it. Raises BadSetting, which quotes no value of the document."""
    if not LABEL.fullmatch(label):
        raise BadSetting(
            "", (), f"{label!r} is no server's label: a letter, then letters, digits, '_' and '-', 64 at most"
        )
    try:
        return parse_server(label, document)
    except ValueError as error:
        raise BadSetting.read(f"MCP server {label!r}", error) from None


async def _tools(server: ConfiguredServer) -> list[ListedTool]:
    """Raises McpFailure."""
    credentials = McpCredentials(server.url, server.headers)
    kept = await McpClients(time.monotonic).at("", credentials, None)
    return await kept.tools(credentials)


def _mend(failure: Exception, deployment: Deployment, server: ConfiguredServer) -> str:
    again = deployment.command(f"mcp set {server.label} URL --header Authorization")
    if isinstance(failure, McpFailure) and failure.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"give it other credentials: {again}"
    return f"see whether {without_secrets(server.url)} is an MCP endpoint, and can be reached from here"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def _missing(deployment: Deployment, label: str) -> Problem:
    near = meant(label, [each.name for each in parameters.read_all(deployment, SERVERS)])
    return Problem(f"there is no MCP server {label} in {deployment.title}{near}", deployment.command("mcp list"))


def _tool(tool: ListedTool, server: ConfiguredServer) -> dict[str, object]:
    return {
        "name": tool.name,
        "offered": allowed(tool, McpTool.model_validate({"server_label": server.label}), server),
        "approval": server.approval,
        "only_reads": (tool.annotations or {}).get("readOnlyHint") is True,
        "description": tool.description or None,
    }


def _document(found: parameters.Parameter) -> dict[str, object]:
    try:
        server = server_of(found.name, found.text)
    except Problem as problem:
        nothing = dict.fromkeys(("url", "headers", "approval", "allow", "description"))
        return {"label": found.name, **nothing, "error": str(problem)}
    return {
        "label": server.label,
        "url": without_secrets(server.url),
        "headers": list(server.headers),
        "approval": server.approval,
        "allow": list(server.allow) or None,
        "description": server.description or None,
        "error": None,
    }


def _row(found: parameters.Parameter) -> tuple[str, ...]:
    try:
        server = server_of(found.name, found.text)
    except Problem as problem:
        return (found.name, "-", "-", "-", "-", str(problem))
    headers, tools = " ".join(server.headers) or "-", " ".join(server.allow) or "all"
    return server.label, without_secrets(server.url), headers, server.approval, tools, server.description or "-"
