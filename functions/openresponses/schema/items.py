"""Items: the one form of context and of output. An item that a response made can be sent back as input."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from .base import (
    ABSENT_IF_NULL,
    FAST,
    SLUG,
    GivenId,
    Id,
    Json,
    Name,
    ToolName,
    Wire,
    absent,
    fields_of,
)
from .content import InputImage, InputPart, InputText, Part, ReasoningText, SummaryText
from .limits import MAX_PARTS, MAX_SEALED, MAX_TOOLS
from .server_items import (
    OURS,
    CallId,
    HostedToolCall,
    ItemStatus,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    OutputParts,
    WebSearchCall,
    completed_if_null,
)
from .tools import Tool

Role: TypeAlias = Literal["user", "assistant", "system", "developer"]
Phase: TypeAlias = Name
"""`commentary`, `final_answer`, and what comes next: a client's is passed on. A response has the standard's two."""
Tools: TypeAlias = Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True), ABSENT_IF_NULL]

_STATUSES = get_args(ItemStatus)


def _nearest_status(value: object) -> object:
    if value in _STATUSES or not isinstance(value, str | None):
        return value
    return "incomplete" if value in ("failed", "cancelled") else "completed"


Status: TypeAlias = Annotated[ItemStatus, BeforeValidator(_nearest_status)]
"""The words grow: of those that the standard lacks, the nearest."""


class Message(Wire):
    """`content` may come as a string: it is then one text part of the role's kind."""

    type: Annotated[Literal["message"], ABSENT_IF_NULL] = "message"
    id: Id = ""
    status: Status = "completed"
    role: Role
    content: Annotated[list[Part], FAST]
    phase: Phase | None = absent()

    @field_validator("content", mode="before")
    @classmethod
    def _text_is_a_part(cls, value: object, info: Any) -> object:
        if value is None and info.data.get("role") == "assistant":
            return []
        if not isinstance(value, str):
            return value
        kind = "output_text" if info.data.get("role") == "assistant" else "input_text"
        return [{"type": kind, "text": value}]


class FunctionCall(Wire):
    """A call of a function that the client runs. `namespace` is set where the client grouped its functions."""

    type: Literal["function_call"] = "function_call"
    id: Id = ""
    call_id: CallId
    name: ToolName
    arguments: Annotated[str, ABSENT_IF_NULL] = ""
    status: Status = "completed"
    namespace: Name | None = absent()


class FunctionCallOutput(Wire):
    type: Literal["function_call_output"] = "function_call_output"
    id: Id = ""
    call_id: CallId
    output: str | OutputParts
    status: Status = "completed"


class CustomToolCall(Wire):
    """OpenAI's extension: a call whose input is free text, not JSON."""

    type: Literal["custom_tool_call"] = "custom_tool_call"
    id: Id = ""
    call_id: CallId
    name: ToolName
    input: Annotated[str, ABSENT_IF_NULL] = ""
    status: Status = "completed"
    namespace: Name | None = absent()


class CustomToolCallOutput(Wire):
    type: Literal["custom_tool_call_output"] = "custom_tool_call_output"
    id: Id = ""
    call_id: CallId
    output: str | OutputParts
    status: Status = "completed"


class Reasoning(Wire):
    type: Literal["reasoning"] = "reasoning"
    id: Id = ""
    status: Status = "completed"
    summary: Annotated[list[SummaryText], FAST] = []
    content: Annotated[list[ReasoningText], FAST] = []
    encrypted_content: str | None = absent()

    @field_validator("content", "summary", mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        return [] if value is None else value


def _absent_if_completed(value: object) -> object:
    return value if value in ("in_progress", "incomplete") else None


class Compaction(Wire):
    """Stands for the conversation before it. `encrypted_content` is sealed: see `routing.compacted`.

    `created_by` says what made it, where that says what is shown of the items before it: see `core.compaction`.
    `status` is ours, and absent once the item is complete.
    """

    type: Literal["compaction"] = "compaction"
    id: Id = ""
    encrypted_content: Annotated[str, Field(max_length=MAX_SEALED)]
    created_by: Name | None = absent()
    status: Annotated[Literal["in_progress", "incomplete"] | None, BeforeValidator(_absent_if_completed)] = absent()


class ExtensionItem(Wire):
    """An item of another implementor (`<slug>:<type>`), kept and returned as it came. Not portable.

    So are OpenAI's items of tools that the provider runs itself: see `UPSTREAM_ITEMS`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Name
    id: Id = ""
    status: Annotated[Name, BeforeValidator(completed_if_null)] = "completed"


class ClientCall(Wire):
    """A call of a tool of OpenAI's that the client runs: see `core.client_tools`. Its other fields are its own."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Literal["local_shell_call", "shell_call", "apply_patch_call", "computer_call", "tool_search_call"]
    id: Id = ""
    call_id: CallId
    status: Status = "completed"

    @model_validator(mode="before")
    @classmethod
    def _id_is_the_call_id(cls, value: object) -> object:
        return _with_call_id(value)

    @property
    def name(self) -> str:
        return self.type.removesuffix("_call")


class ClientCallOutput(Wire):
    """What the client's tool answered. Its other fields are the tool's own."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Literal["local_shell_call_output", "shell_call_output", "apply_patch_call_output", "computer_call_output"]
    id: Id = ""
    call_id: CallId
    status: Annotated[Name, ABSENT_IF_NULL] = "completed"
    output: Json = None

    @model_validator(mode="before")
    @classmethod
    def _id_is_the_call_id(cls, value: object) -> object:
        return _with_call_id(value)


def _with_call_id(value: object) -> object:
    """The items of `local_shell` may name their call by their own `id` alone."""
    fields = fields_of(value)
    if fields.get("call_id") or not fields.get("id"):
        return value
    return {**fields, "call_id": fields["id"], "id": ""}


class ToolSearchOutput(Wire):
    """The tools that a client's search found: the model can call them from here on."""

    type: Literal["tool_search_output"] = "tool_search_output"
    id: Id = ""
    call_id: CallId
    execution: Name | None = absent()
    status: Status = "completed"
    tools: Tools = []


class AgentMessage(Wire):
    """What one agent of a client's tells another (Codex). The model of the other is shown it as words of its user.

    `encrypted_content` is what the sender's model gave its tool: here, the words as they are.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Literal["agent_message"] = "agent_message"
    id: Id = ""
    status: Status = "completed"
    author: Name
    recipient: Name
    content: Annotated[list[Json], Field(max_length=MAX_PARTS), ABSENT_IF_NULL] = []

    def parts(self) -> Iterator[InputPart]:
        for part in self.content:
            match part:
                case {"type": "encrypted_content", "encrypted_content": str(text)} | {"text": str(text)}:
                    yield InputText(text=text)
                case {"type": "input_image", **fields}:
                    yield InputImage.of(fields)
                case _:
                    pass


class CompactionTrigger(Wire):
    """Asks for the compaction of what stands before it. It stands last."""

    type: Literal["compaction_trigger"] = "compaction_trigger"


class ConfigurationUpdate(Wire):
    """New settings from here on (OpenAI). This server leaves them out."""

    type: Literal["configuration_update"] = "configuration_update"


class ItemReference(Wire):
    """Stands for an item of a stored response."""

    type: Literal["item_reference"] | None = "item_reference"
    id: GivenId


class AdditionalTools(Wire):
    """Tools declared among the input items (sent by Codex instead of `tools`)."""

    type: Literal["additional_tools"] = "additional_tools"
    tools: Tools = []


STANDARD = {
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "reasoning",
    "compaction",
    "item_reference",
    "additional_tools",
    "tool_search_output",
    "agent_message",
    "compaction_trigger",
    "configuration_update",
}
_NEVER_UPSTREAM = STANDARD - {"tool_search_output"}
CLIENT_CALLS = ("local_shell_call", "shell_call", "apply_patch_call", "computer_call", "tool_search_call")
CLIENT_OUTPUTS = ("local_shell_call_output", "shell_call_output", "apply_patch_call_output", "computer_call_output")
KEPT_ITEMS = {"program", "program_output", "multi_agent_call", "multi_agent_call_output"}
"""Of tools that only OpenAI runs: kept, and shown to no model."""
UPSTREAM_ITEMS = {
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
}


def _tag(value: object) -> str | None:
    """The union's tag for an item. A message may omit its type, and a reference too.

    An item with an id of ours for what a provider made is one of those, unless the standard has its type.
    """
    fields = fields_of(value)
    kind = fields.get("type")
    if kind is None:
        if "role" in fields:
            return "message"
        return "item_reference" if set(fields) <= {"id", "type"} else None
    if not isinstance(kind, str):
        return None
    if kind.startswith(f"{SLUG}:"):
        return "hosted"
    if kind not in _NEVER_UPSTREAM and str(fields.get("id")).startswith("ext_"):
        return "extension"
    if kind in ("tool_search_call", "tool_search_output") and not fields.get("call_id"):
        return "extension"  # the provider searched
    if kind in CLIENT_CALLS:
        return "client_call"
    if kind in CLIENT_OUTPUTS:
        return "client_output"
    if kind in OURS:
        answers_a_provider = str(fields.get("approval_request_id")).startswith("ext_")
        return "extension" if kind == "mcp_approval_response" and answers_a_provider else kind
    if ":" in kind or kind in UPSTREAM_ITEMS or kind in KEPT_ITEMS:
        return "extension"
    return kind if kind in STANDARD else None


Item: TypeAlias = Annotated[
    Union[
        Annotated[Message, Tag("message")],
        Annotated[FunctionCall, Tag("function_call")],
        Annotated[FunctionCallOutput, Tag("function_call_output")],
        Annotated[CustomToolCall, Tag("custom_tool_call")],
        Annotated[CustomToolCallOutput, Tag("custom_tool_call_output")],
        Annotated[Reasoning, Tag("reasoning")],
        Annotated[Compaction, Tag("compaction")],
        Annotated[HostedToolCall, Tag("hosted")],
        Annotated[ClientCall, Tag("client_call")],
        Annotated[ClientCallOutput, Tag("client_output")],
        Annotated[ToolSearchOutput, Tag("tool_search_output")],
        Annotated[AgentMessage, Tag("agent_message")],
        Annotated[McpListTools, Tag("mcp_list_tools")],
        Annotated[McpCall, Tag("mcp_call")],
        Annotated[McpApprovalRequest, Tag("mcp_approval_request")],
        Annotated[McpApprovalResponse, Tag("mcp_approval_response")],
        Annotated[WebSearchCall, Tag("web_search_call")],
        Annotated[ExtensionItem, Tag("extension")],
    ],
    Discriminator(_tag),
]

InputItem: TypeAlias = Annotated[
    Union[
        Annotated[Message, Tag("message")],
        Annotated[FunctionCall, Tag("function_call")],
        Annotated[FunctionCallOutput, Tag("function_call_output")],
        Annotated[CustomToolCall, Tag("custom_tool_call")],
        Annotated[CustomToolCallOutput, Tag("custom_tool_call_output")],
        Annotated[Reasoning, Tag("reasoning")],
        Annotated[Compaction, Tag("compaction")],
        Annotated[HostedToolCall, Tag("hosted")],
        Annotated[ClientCall, Tag("client_call")],
        Annotated[ClientCallOutput, Tag("client_output")],
        Annotated[ToolSearchOutput, Tag("tool_search_output")],
        Annotated[AgentMessage, Tag("agent_message")],
        Annotated[McpListTools, Tag("mcp_list_tools")],
        Annotated[McpCall, Tag("mcp_call")],
        Annotated[McpApprovalRequest, Tag("mcp_approval_request")],
        Annotated[McpApprovalResponse, Tag("mcp_approval_response")],
        Annotated[WebSearchCall, Tag("web_search_call")],
        Annotated[ExtensionItem, Tag("extension")],
        Annotated[ItemReference, Tag("item_reference")],
        Annotated[AdditionalTools, Tag("additional_tools")],
        Annotated[CompactionTrigger, Tag("compaction_trigger")],
        Annotated[ConfigurationUpdate, Tag("configuration_update")],
    ],
    Discriminator(
        _tag,
        custom_error_type="unknown_item_type",
        custom_error_message="the type of an item that this server knows",
    ),
]
