"""Items: the one form of context and of output. An item that a response made can be sent back as input."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, JsonValue, Tag, field_validator

from .base import SLUG, Id, ToolName, Wire, absent, fields_of
from .content import InputPart, Part, ReasoningText, SummaryText
from .tools import Tool

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]
Role: TypeAlias = Literal["user", "assistant", "system", "developer"]
CallId: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]
Phase: TypeAlias = Literal["commentary", "final_answer"]
REJECTED_CALL = f"{SLUG}:rejected_call"


def _completed_if_null(value: object) -> object:
    return "completed" if value is None else value


Status: TypeAlias = Annotated[ItemStatus, BeforeValidator(_completed_if_null)]


class Message(Wire):
    """`content` may come as a string: it is then one text part of the role's kind."""

    type: Literal["message"] = "message"
    id: Id = ""
    status: Status = "completed"
    role: Role
    content: list[Part]
    phase: Phase | None = absent()

    @field_validator("content", mode="before")
    @classmethod
    def _text_is_a_part(cls, value: object, info: Any) -> object:
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
    arguments: str = ""
    status: Status = "completed"
    namespace: str | None = absent()


class FunctionCallOutput(Wire):
    type: Literal["function_call_output"] = "function_call_output"
    id: Id = ""
    call_id: CallId
    output: str | list[Annotated[InputPart, Discriminator("type")]]
    status: Status = "completed"


class CustomToolCall(Wire):
    """OpenAI's extension: a call whose input is free text, not JSON."""

    type: Literal["custom_tool_call"] = "custom_tool_call"
    id: Id = ""
    call_id: CallId
    name: ToolName
    input: str = ""
    status: Status = "completed"


class CustomToolCallOutput(Wire):
    type: Literal["custom_tool_call_output"] = "custom_tool_call_output"
    id: Id = ""
    call_id: CallId
    output: str | list[Annotated[InputPart, Discriminator("type")]]
    status: Status = "completed"


class Reasoning(Wire):
    type: Literal["reasoning"] = "reasoning"
    id: Id = ""
    status: Status = "completed"
    summary: list[SummaryText] = []
    content: list[ReasoningText] = []
    encrypted_content: str | None = absent()

    @field_validator("content", "summary", mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        return [] if value is None else value


class Compaction(Wire):
    type: Literal["compaction"] = "compaction"
    id: Id = ""
    encrypted_content: str
    created_by: str | None = absent()


class HostedToolCall(Wire):
    """A call that this server ran: how it was called, its status, and its result, in one item.

    `type` is `serverless:<tool>`, or `serverless:rejected_call` for a call that the request didn't allow.
    `output` is null until the tool has answered. `failed`: the output says what went wrong.
    """

    type: Annotated[str, Field(pattern=rf"^{SLUG}:[a-zA-Z0-9_-]+$")]
    id: Id = ""
    call_id: CallId
    name: ToolName
    arguments: str = ""
    status: Annotated[
        Literal["in_progress", "completed", "incomplete", "failed"], BeforeValidator(_completed_if_null)
    ] = "completed"
    output: str | None = None


class ExtensionItem(Wire):
    """An item of another implementor (`<slug>:<type>`), kept and returned as it came. Not portable.

    So are OpenAI's items of tools that the provider runs itself: see `UPSTREAM_ITEMS`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: str
    id: Id = ""
    status: Annotated[str, BeforeValidator(_completed_if_null)] = "completed"


class ItemReference(Wire):
    """Stands for an item of a stored response."""

    type: Literal["item_reference"] | None = "item_reference"
    id: str


class AdditionalTools(Wire):
    """Tools declared among the input items (sent by Codex instead of `tools`)."""

    type: Literal["additional_tools"] = "additional_tools"
    tools: list[Tool] = []


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
}
UPSTREAM_ITEMS = {
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "mcp_list_tools",
    "mcp_call",
    "mcp_approval_request",
    "mcp_approval_response",
}


def _tag(value: object) -> str | None:
    """The union's tag for an item. A message may omit its type, and a reference too.

    An item of a type that nobody here knows is one that a provider made, if it has an id of ours.
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
    if ":" in kind or kind in UPSTREAM_ITEMS:
        return "extension"
    if kind in STANDARD:
        return kind
    return "extension" if str(fields.get("id")).startswith("ext_") else None


Item: TypeAlias = Annotated[
    Annotated[Message, Tag("message")]
    | Annotated[FunctionCall, Tag("function_call")]
    | Annotated[FunctionCallOutput, Tag("function_call_output")]
    | Annotated[CustomToolCall, Tag("custom_tool_call")]
    | Annotated[CustomToolCallOutput, Tag("custom_tool_call_output")]
    | Annotated[Reasoning, Tag("reasoning")]
    | Annotated[Compaction, Tag("compaction")]
    | Annotated[HostedToolCall, Tag("hosted")]
    | Annotated[ExtensionItem, Tag("extension")],
    Discriminator(_tag),
]

InputItem: TypeAlias = Annotated[
    Annotated[Message, Tag("message")]
    | Annotated[FunctionCall, Tag("function_call")]
    | Annotated[FunctionCallOutput, Tag("function_call_output")]
    | Annotated[CustomToolCall, Tag("custom_tool_call")]
    | Annotated[CustomToolCallOutput, Tag("custom_tool_call_output")]
    | Annotated[Reasoning, Tag("reasoning")]
    | Annotated[Compaction, Tag("compaction")]
    | Annotated[HostedToolCall, Tag("hosted")]
    | Annotated[ExtensionItem, Tag("extension")]
    | Annotated[ItemReference, Tag("item_reference")]
    | Annotated[AdditionalTools, Tag("additional_tools")],
    Discriminator(
        _tag,
        custom_error_type="unknown_item_type",
        custom_error_message="Unknown item type: this server can't tell what it means",
    ),
]
