"""Items of what this server runs itself: its own tools, the tools of MCP servers, and searches of the web.

Shapes of the last two: `openai.types.responses.response_output_item`. One that a provider made has an id that says so,
and is an `ExtensionItem`.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field

from .base import (
    ABSENT_IF_NULL,
    HOSTED_TYPE,
    SLUG,
    GivenId,
    Id,
    Json,
    JsonObject,
    Name,
    ToolName,
    Wire,
    absent,
)
from .content import InputPart
from .limits import MAX_NAME, MAX_PARTS, MAX_TOOLS, MAX_URL

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]
CallId: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]
OutputParts: TypeAlias = Annotated[
    list[Annotated[InputPart, Discriminator("type")]], Field(max_length=MAX_PARTS, fail_fast=True)
]
REJECTED_CALL = f"{SLUG}:rejected_call"


def completed_if_null(value: object) -> object:
    return "completed" if value is None else value


class HostedToolCall(Wire):
    """A call that this server ran: how it was called, its status, and its result, in one item.

    `type` is `serverless:<tool>`, or `serverless:rejected_call` for a call that the request didn't allow.
    `output` is null until the tool has answered, and text, or parts where it is more than that. `failed`: the output
    says what went wrong.
    """

    type: Annotated[str, Field(pattern=HOSTED_TYPE, max_length=MAX_NAME)]
    id: Id = ""
    call_id: CallId
    name: ToolName
    arguments: str = ""
    status: Annotated[
        Literal["in_progress", "completed", "incomplete", "failed"], BeforeValidator(completed_if_null)
    ] = "completed"
    output: str | OutputParts | None = None


class ListedTool(Wire):
    """A tool as its MCP server describes it. `input_schema` is a JSON schema."""

    name: Name
    description: str | None = absent()
    input_schema: JsonObject = {}
    annotations: JsonObject | None = absent()


class McpListTools(Wire):
    """The tools of an MCP server that the model is offered. While it is in the context, they are not listed again.

    `narrowed` is ours: the server has more, which `allowed_tools` left out.
    """

    type: Literal["mcp_list_tools"] = "mcp_list_tools"
    id: Id = ""
    server_label: Name
    tools: Annotated[list[ListedTool], Field(max_length=MAX_TOOLS, fail_fast=True)] = []
    error: Json = absent()
    narrowed: bool | None = absent()


class McpCall(Wire):
    """A call of an MCP server's tool that this server made. `error` is an object that says what failed.

    `content` is ours: what the model reads of the result where that is more than the text of `output`. So is `call_id`,
    by which the provider knows the call.
    """

    type: Literal["mcp_call"] = "mcp_call"
    id: Id = ""
    server_label: Name
    name: Name
    arguments: Annotated[str, ABSENT_IF_NULL] = ""
    status: Annotated[
        Literal["in_progress", "calling", "completed", "incomplete", "failed"], BeforeValidator(completed_if_null)
    ] = "completed"
    output: str | None = None
    error: Json = None
    approval_request_id: GivenId | None = None
    content: OutputParts | None = absent()
    call_id: CallId | None = absent()


class McpApprovalRequest(Wire):
    """A call that is made only if the client approves it. Its id proves what is to be called: see `core.approvals`.

    `call_id` is ours: by it the provider knows the call.
    """

    type: Literal["mcp_approval_request"] = "mcp_approval_request"
    id: Id = ""
    server_label: Name
    name: Name
    arguments: Annotated[str, ABSENT_IF_NULL] = ""
    call_id: CallId | None = absent()

    @property
    def status(self) -> ItemStatus:
        """As any other call's. On the wire it has none: the model has said all of it."""
        return "completed"


class McpApprovalResponse(Wire):
    """The client's answer to an approval request."""

    type: Literal["mcp_approval_response"] = "mcp_approval_response"
    id: Id = ""
    approval_request_id: GivenId
    approve: bool
    reason: str | None = absent()


class SearchResult(Wire):
    """What was found at `url`."""

    url: Annotated[str, Field(max_length=MAX_URL)]
    title: str = ""
    text: str = ""


class WebSearchCall(Wire):
    """A search of the web, or the opening of a page, that this server made.

    `action` is one of OpenAI's (`openai.types.responses.response_function_web_search`). `results`, or the `error` of a
    search that failed, are ours: what the model reads, here and in later turns. So is `call_id`, by which the provider
    knows the call.
    """

    type: Literal["web_search_call"] = "web_search_call"
    id: Id = ""
    status: Annotated[
        Literal["in_progress", "searching", "completed", "incomplete", "failed"], BeforeValidator(completed_if_null)
    ] = "completed"
    action: JsonObject = {}
    results: Annotated[list[SearchResult], Field(max_length=MAX_PARTS, fail_fast=True)] | None = absent()
    error: str | None = absent()
    call_id: CallId | None = absent()

    @property
    def name(self) -> str:
        return "open_page" if self.action.get("type") == "open_page" else "web_search"


ServerCall: TypeAlias = HostedToolCall | McpCall | WebSearchCall
"""A call that this server runs."""
OURS = {"mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response", "web_search_call"}
"""The types of those that OpenAI has too."""
