"""Tools that a request offers, and which of them the model may or must call."""

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Discriminator, Field, JsonValue, Tag

from .base import SLUG, JsonObject, ToolName, Wire, absent, fields_of

_WEB_SEARCH = r"^web_search(_preview)?(_\d{4}_\d{2}_\d{2})?$"


class FunctionTool(Wire):
    """A function that the client runs. `parameters` is a JSON schema."""

    type: Literal["function"] = "function"
    name: ToolName
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class HostedTool(Wire):
    """A tool that this server runs: `{"type": "serverless:<tool>"}`."""

    type: Annotated[str, Field(pattern=rf"^{SLUG}:[a-zA-Z0-9_-]+$")]


class CustomTool(Wire):
    """OpenAI's extension (Codex): a tool whose input is free text, described by `format`."""

    type: Literal["custom"] = "custom"
    name: ToolName
    description: str | None = None
    format: JsonObject | None = absent()


class NamespaceTool(Wire):
    """OpenAI's extension (Codex): functions grouped under one name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Literal["namespace"] = "namespace"
    name: ToolName
    description: str | None = None
    tools: list[FunctionTool]


class IgnoredTool(Wire):
    """OpenAI's own web search, which Codex offers with every request. It is a permission, not an order: it is
    left out of what the model is offered, and of the response's `tools`."""

    type: Annotated[str, Field(pattern=_WEB_SEARCH)]


def _tag(value: object) -> str | None:
    fields = fields_of(value)
    kind = fields.get("type")
    if not isinstance(kind, str):
        return None
    if kind.startswith(f"{SLUG}:"):
        return "hosted"
    if re.match(_WEB_SEARCH, kind):
        return "ignored"
    return kind if kind in ("function", "custom", "namespace") else None


Tool: TypeAlias = Annotated[
    Annotated[FunctionTool, Tag("function")]
    | Annotated[HostedTool, Tag("hosted")]
    | Annotated[CustomTool, Tag("custom")]
    | Annotated[NamespaceTool, Tag("namespace")]
    | Annotated[IgnoredTool, Tag("ignored")],
    Discriminator(
        _tag,
        custom_error_type="unknown_tool_type",
        custom_error_message=f"Unknown tool type: this server has `function`, `{SLUG}:<tool>`, `custom`, `namespace`",
    ),
]

ToolChoiceMode: TypeAlias = Literal["none", "auto", "required"]


class NamedToolChoice(Wire):
    """One tool: `{"type": "function", "name": ...}`, or a hosted tool by its type alone."""

    type: str
    name: str | None = absent()


class AllowedTools(Wire):
    """Restricts which of the offered tools the model may call, without changing what it is shown elsewhere."""

    type: Literal["allowed_tools"] = "allowed_tools"
    mode: ToolChoiceMode = "auto"
    tools: Annotated[list[NamedToolChoice], Field(min_length=1, max_length=128)]


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
