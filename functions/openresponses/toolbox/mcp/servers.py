"""The MCP servers that the operator has set up. A parameter `mcp/<label>` is one. It is JSON:

    {"url": "https://...", "headers": {<name>: <secret>}, "description": "...", "approval": "always", "allow": [<tool>]}

A request names it by its `server_label` alone, and never sees its address or its headers. They are read anew whenever
the server is asked, so no run holds them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, JsonValue

from ...core.ports import Parameters
from ...core.settings import UNKNOWN_FIELD, BadField, Headers, parse_document
from ...schema.limits import MAX_NAME, MAX_URL
from ..source import ToolMisconfigured

SERVERS = "mcp"
LABEL = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")
Approval: TypeAlias = Literal["always", "never"]

_OURS = {"accept", "connection", "content-length", "content-type", "host", "mcp-session-id", "transfer-encoding"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _address(url: str) -> str:
    try:
        parts = None if any(each <= " " or each == "\x7f" for each in url) else urlsplit(url)  # which drops a newline
        host, _ = (parts.hostname, parts.port) if parts else ("", None)
    except ValueError:
        parts, host = None, ""
    if parts is None:
        raise ValueError("it is no URL")
    if not host or parts.username is not None or parts.fragment:
        raise ValueError("it is a URL with a host, and without a user or a fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise ValueError("it begins with https://")
    return url


def _headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name in headers:
        if name.lower() in _OURS:
            raise ValueError(f"{name} is set by this server")
    return headers


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """`approval` says whether a client must approve each call. `allow` are the tools that requests may use, none for
    all of them.
    """

    label: Annotated[str, Field(pattern=f"^{LABEL.pattern}$")]
    url: Annotated[str, Field(max_length=MAX_URL), AfterValidator(_address)]
    headers: Annotated[Headers, AfterValidator(_headers)] = field(default_factory=dict[str, str], repr=False)
    description: Annotated[str, Field(max_length=1024)] = ""
    approval: Approval = "always"
    allow: tuple[Annotated[str, Field(min_length=1, max_length=MAX_NAME)], ...] = ()

    __pydantic_config__ = ConfigDict(extra="forbid")


def parse_server(label: str, text: str) -> ConfiguredServer:
    """What `mcp/<label>` says. Raises BadField."""
    document = parse_document(dict[str, JsonValue], text)
    if "label" in document:
        raise BadField(("label",), UNKNOWN_FIELD)
    return parse_document(ConfiguredServer, {"label": label, **document})


class ConfiguredServers:
    """What it remembers, operators named and no client."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._parsed: dict[str, tuple[str, ConfiguredServer]] = {}

    async def find(self, label: str) -> ConfiguredServer | None:
        """None if there is none. Raises ToolMisconfigured, StorageUnavailable."""
        text = await self._parameters.get(f"{SERVERS}/{label}") if LABEL.fullmatch(label) else None
        if text is None:
            self._parsed.pop(label, None)
            return None
        before = self._parsed.get(label)
        if before is None or before[0] != text:
            try:
                before = self._parsed[label] = (text, parse_server(label, text))
            except ValueError as error:
                raise ToolMisconfigured(
                    f"The server's configuration '{SERVERS}/{label}' is not valid: {error}"
                ) from None
        return before[1]
