"""Tools that a request offers, and which of them the model may or must call."""

import re
from typing import Annotated, Literal, TypeAlias, Union

from pydantic import ConfigDict, Discriminator, Field, Tag

from .base import (
    ABSENT_IF_NULL,
    HOSTED_TYPE,
    SLUG,
    Json,
    JsonObject,
    Name,
    ToolName,
    Wire,
    absent,
    entries,
    fields_of,
)
from .limits import MAX_DOMAINS, MAX_HEADERS, MAX_NAME, MAX_SECRET, MAX_TOOLS, MAX_URL

SERVER_LABEL = r"^[a-zA-Z][a-zA-Z0-9_-]*$"
_WEB_SEARCH = r"^web_search(_preview)?(_\d{4}_\d{2}_\d{2})?$"
_UPSTREAM = (
    r"^(file_search|code_interpreter|image_generation|mcp|shell|programmatic_tool_calling|web_search[a-z0-9_]*)$"
)
_CLIENT = ("local_shell", "shell", "apply_patch", "computer", "computer_use_preview", "tool_search")


class FunctionTool(Wire):
    """A function that the client runs. `parameters` is a JSON schema."""

    type: Literal["function"] = "function"
    name: ToolName
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class HostedTool(Wire):
    """A tool that this server runs: `{"type": "serverless:<tool>"}`."""

    type: Annotated[str, Field(pattern=HOSTED_TYPE, max_length=MAX_NAME)]


class CustomTool(Wire):
    """OpenAI's extension (Codex): a tool whose input is free text, described by `format`."""

    type: Literal["custom"] = "custom"
    name: ToolName
    description: str | None = None
    format: JsonObject | None = absent()


class NamespaceTool(Wire):
    """OpenAI's extension (Codex): functions grouped under one name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Literal["namespace"] = "namespace"
    name: ToolName
    description: str | None = None
    tools: Annotated[
        list[Annotated[FunctionTool | CustomTool, Discriminator("type")]],
        Field(max_length=MAX_TOOLS, fail_fast=True),
        ABSENT_IF_NULL,
    ] = []


class ClientTool(Wire):
    """A tool of OpenAI's that the client runs: see `core.client_tools`. The model is offered it as a function.

    A `tool_search` that the provider would run is not needed here: the model is offered every tool at once.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Literal["local_shell", "shell", "apply_patch", "computer", "computer_use_preview", "tool_search"]
    execution: Name | None = absent()
    description: str | None = absent()
    parameters: JsonObject | None = absent()
    environment: Json = absent()
    display_width: int | None = absent()
    display_height: int | None = absent()


class UpstreamTool(Wire):
    """OpenAI's extension: a tool that the model's provider runs itself. Its own fields are kept as they came.

    No provider runs a `shell` in a container or `programmatic_tool_calling` for this server.

    An MCP server and a web search are one of these where the provider runs them: see `McpTool`, `WebSearchTool`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Annotated[str, Field(pattern=_UPSTREAM)]


_ToolNames: TypeAlias = Annotated[list[Name], Field(max_length=MAX_TOOLS, fail_fast=True)]


class ToolFilter(Wire):
    """Some of a server's tools: those of these names, those that only read (`readOnlyHint`), or those that are both."""

    tool_names: _ToolNames | None = absent()
    read_only: bool | None = absent()


class ApprovalFilter(Wire):
    """Which tools need an approval, and which don't. One that is in neither needs it."""

    always: ToolFilter | None = absent()
    never: ToolFilter | None = absent()


class McpTool(Wire):
    """The tools of a remote MCP server. `server_url` is left out for a server of the deployment.

    `headers` and `authorization` are the client's secrets: no item, event or response shows them, and at rest they are
    sealed. Without `require_approval`, every call needs an approval.
    Source: `openai.types.responses.tool_param.Mcp`. Fields that it alone knows are kept for a provider that runs it.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Literal["mcp"] = "mcp"
    server_label: Annotated[str, Field(min_length=1, max_length=64, pattern=SERVER_LABEL)]
    server_url: Annotated[str, Field(max_length=MAX_URL)] | None = absent()
    server_description: str | None = absent()
    headers: Annotated[dict[Name, Annotated[str, Field(max_length=MAX_SECRET)]], entries(MAX_HEADERS)] | None = absent()
    authorization: Annotated[str, Field(max_length=MAX_SECRET)] | None = absent()
    allowed_tools: _ToolNames | ToolFilter | None = absent()
    require_approval: Literal["always", "never"] | ApprovalFilter | None = absent()


class SearchFilters(Wire):
    """Of a web search. Subdomains of `allowed_domains` are allowed too."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    allowed_domains: Annotated[list[Name], Field(max_length=MAX_DOMAINS, fail_fast=True)] | None = absent()


class UserLocation(Wire):
    """Where the user is, about. `country` has two letters."""

    type: Literal["approximate"] = "approximate"
    country: Name | None = None
    city: Name | None = None
    region: Name | None = None
    timezone: Name | None = None


class WebSearchTool(Wire):
    """Web search: by the provider where it searches itself, else by this server.

    Codex offers it with every request. It is a permission, not an order: where nobody searches, the model is not
    offered it, and the response's `tools` leave it out.
    Source: `openai.types.responses.WebSearchToolParam`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Annotated[str, Field(pattern=_WEB_SEARCH)]
    filters: SearchFilters | None = absent()
    search_context_size: Literal["low", "medium", "high"] | None = absent()
    user_location: UserLocation | None = absent()


def _tag(value: object) -> str | None:
    fields = fields_of(value)
    kind = fields.get("type")
    if not isinstance(kind, str):
        return None
    if kind.startswith(f"{SLUG}:"):
        return "hosted"
    environment = fields_of(fields.get("environment")).get("type") or "local"
    if kind in _CLIENT and (kind != "shell" or environment == "local"):
        return "client"
    if kind == "mcp":
        return "mcp"
    if re.fullmatch(_WEB_SEARCH, kind):
        return "web_search"
    if re.fullmatch(_UPSTREAM, kind) and not kind.startswith("web_search"):
        return "upstream"
    return kind if kind in ("function", "custom", "namespace") else None


Tool: TypeAlias = Annotated[
    Union[
        Annotated[FunctionTool, Tag("function")],
        Annotated[HostedTool, Tag("hosted")],
        Annotated[CustomTool, Tag("custom")],
        Annotated[NamespaceTool, Tag("namespace")],
        Annotated[ClientTool, Tag("client")],
        Annotated[McpTool, Tag("mcp")],
        Annotated[WebSearchTool, Tag("web_search")],
        Annotated[UpstreamTool, Tag("upstream")],
    ],
    Discriminator(
        _tag,
        custom_error_type="unknown_tool_type",
        custom_error_message=f"`function`, `{SLUG}:<tool>`, `custom`, `namespace`, one of OpenAI's that the client "
        "runs (`local_shell`, `shell`, `apply_patch`, `computer`, `tool_search`), `mcp`, `web_search`, or one that the "
        "model's provider runs (`file_search`, `code_interpreter`, `image_generation`)",
    ),
]

ToolChoiceMode: TypeAlias = Literal["none", "auto", "required"]


class NamedToolChoice(Wire):
    """One tool: `{"type": "function", "name": ...}`, or a hosted or upstream tool by its type alone.

    `server_label` tells MCP servers apart; `name` is then a tool of that server.
    """

    type: Name
    name: Name | None = absent()
    server_label: Name | None = absent()


class AllowedTools(Wire):
    """Restricts which of the offered tools the model may call, without changing what it is shown elsewhere."""

    type: Literal["allowed_tools"] = "allowed_tools"
    mode: ToolChoiceMode = "auto"
    tools: Annotated[list[NamedToolChoice], Field(min_length=1, max_length=128, fail_fast=True)]


def _choice_tag(value: object) -> str:
    if isinstance(value, str):
        return "mode"
    fields = fields_of(value)
    return "allowed_tools" if fields.get("type") == "allowed_tools" else "named"


ToolChoice: TypeAlias = Annotated[
    Annotated[ToolChoiceMode, Tag("mode")]
    | Annotated[NamedToolChoice, Tag("named")]
    | Annotated[AllowedTools, Tag("allowed_tools")],
    Discriminator(_choice_tag),
]
