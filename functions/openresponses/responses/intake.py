"""From a request to a run: what the request offers, names and refuses. No I/O."""

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

from ..core.credentials import refuse_credentials
from ..core.errors import NotFound, RequestError
from ..core.estimate import tokens_in
from ..core.run import OfferedTool, Run
from ..core.turn import turn_of
from ..core.window import BY_TRIGGER
from ..schema.content import InputText
from ..schema.effort import nearest
from ..schema.items import (
    AdditionalTools,
    AgentMessage,
    ClientCall,
    ClientCallOutput,
    Compaction,
    CompactionTrigger,
    ConfigurationUpdate,
    CustomToolCall,
    CustomToolCallOutput,
    ExtensionItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    ItemReference,
    Message,
    Reasoning,
    ToolSearchOutput,
)
from ..schema.limits import MAX_ITEMS
from ..schema.request import CreateResponse, JsonSchemaFormat, ReasoningSettings, TextFormat, TextSettings
from ..schema.response import EchoedJsonSchemaFormat, Response, TextField, Usage
from ..schema.server_items import (
    HostedToolCall,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    WebSearchCall,
)
from ..schema.tools import McpTool, Tool, WebSearchTool
from .offering import requested_tools

_ID_PREFIX = {
    Message: "msg",
    FunctionCall: "fc",
    FunctionCallOutput: "fco",
    CustomToolCall: "ctc",
    CustomToolCallOutput: "ctco",
    Reasoning: "rs",
    Compaction: "cmp",
    HostedToolCall: "htc",
    McpListTools: "mcpl",
    McpCall: "mcp",
    McpApprovalRequest: "mcpr",
    McpApprovalResponse: "mcpa",
    WebSearchCall: "ws",
    ExtensionItem: "ext",
    ClientCall: "clc",
    ClientCallOutput: "clo",
    ToolSearchOutput: "tso",
    AgentMessage: "amsg",
}
_ECHOED = (
    "previous_response_id",
    "instructions",
    "tool_choice",
    "truncation",
    "parallel_tool_calls",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "temperature",
    "reasoning",
    "max_output_tokens",
    "max_tool_calls",
    "background",
    "service_tier",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt",
)


UNSUPPORTED = ("moderation",)


def refuse_unsupported(request: CreateResponse) -> None:
    """Raises RequestError for unsupported fields that change the answer: they can't be ignored."""
    for param in UNSUPPORTED:
        if getattr(request, param) is not None:
            raise RequestError(f"{param!r} is not supported by this server", param=param, code="unsupported_parameter")
    if request.conversation is not None and request.previous_response_id is not None:
        raise RequestError(
            "A request goes on from a 'conversation' or from a 'previous_response_id', not from both",
            param="conversation",
            code="mutually_exclusive_parameters",
        )


def refuse_unstored(request: CreateResponse, tools: Sequence[OfferedTool]) -> None:
    """Raises RequestError if the request needs a stored response."""
    later = {tool.item_type for tool in tools if tool.answers_later}
    if later:
        declared = [param for param, tool in requested_tools(request) if tool.type in later]
        raise RequestError(
            "A tool that answers later needs a response that is stored",
            param=f"{declared[0]}.type" if declared else "input",
            code="requires_store",
        )
    if request.background:
        raise RequestError("A background response must be stored", param="background", code="requires_store")


_PLACEHOLDER = "__fake_id__"
"""What the Agents SDK writes as the id of every item of a model that has no ids."""


def input_items(
    request: CreateResponse,
    response_id: str,
    stored: Mapping[str, Item],
    inherited: Collection[str] = (),
    prompted: Sequence[Message] = (),
) -> list[Item]:
    """The messages of its prompt, and the input as items, each with an id of its own. Raises RequestError.

    `stored` has the items for its references. `inherited` are the ids of the chain that it goes on from: the model
    would read an item of it twice.
    """
    if not request.input and not prompted and not inherited:
        raise RequestError("The request has no input", param="input", code="missing_required_parameter")
    token = response_id.removeprefix("resp_")
    items: list[Item] = [with_id(each, token, MAX_ITEMS + index) for index, each in enumerate(prompted)]
    if isinstance(request.input, str):
        if request.input or not items:
            items.append(with_id(Message(role="user", content=[InputText(text=request.input)]), token, 0))
        return items
    ids = set[str]()
    for index, item in enumerate(request.input or ()):
        _check_place(request, index, stored, inherited, ids)
        match item:
            case AdditionalTools() | ConfigurationUpdate() | CompactionTrigger():
                continue
            case ItemReference():
                items.append(stored[item.id])
            case _:
                if isinstance(item, ToolSearchOutput):
                    refuse_credentials(item.tools, f"input[{index}].tools")
                taken = item.id == _PLACEHOLDER or item.id in ids
                items.append(with_id(item.model_copy(update={"id": ""}) if taken else item, token, index))
        ids.add(items[-1].id)
    if asks_to_compact(request) and not items and not inherited:
        raise RequestError("There is nothing to compact before the 'compaction_trigger'", param="input")
    return items


def _check_place(
    request: CreateResponse, index: int, stored: Mapping[str, Item], inherited: Collection[str], before: Collection[str]
) -> None:
    """Raises RequestError for an item that can't be where it is. `before` are the ids of the items before it."""
    said = request.input if isinstance(request.input, list) else []
    match item := said[index]:
        case CompactionTrigger() if index < len(said) - 1:
            raise RequestError(
                "A 'compaction_trigger' must be the last item of the input", param=f"input[{index}].type"
            )
        case AdditionalTools() | ConfigurationUpdate() | CompactionTrigger():
            return
        case _ if item.id in inherited:
            brings = "previous_response_id" if request.conversation is None else "conversation"
            raise RequestError(
                f"The item {item.id!r} is in the conversation already, which {brings!r} brings along: "
                "send only what is new",
                param=f"input[{index}].id",
                code="duplicate_item",
            )
        case ItemReference() if item.id not in stored:
            raise NotFound("This server stores nothing", param=f"input[{index}].id", code="item_not_found")
        case ItemReference() if item.id in before:
            raise RequestError(
                f"The input refers to the item {item.id!r} twice", param=f"input[{index}].id", code="duplicate_item"
            )
        case _:
            return


def asks_to_compact(request: CreateResponse) -> bool:
    return isinstance(request.input, list) and any(isinstance(item, CompactionTrigger) for item in request.input[-1:])


def approves(request: CreateResponse) -> bool:
    """Whether it answers requests for approval."""
    return isinstance(request.input, list) and any(isinstance(item, McpApprovalResponse) for item in request.input)


def with_id(item: Item, token: str, index: int) -> Item:
    """`item`, with an id that holds `token` if it has none."""
    if isinstance(item, Compaction) and item.created_by == BY_TRIGGER:
        item = item.model_copy(update={"created_by": None})
    if item.id:
        return item
    return item.model_copy(update={"id": f"{_ID_PREFIX[type(item)]}_{token}i{index:04x}"})


_CALLS = FunctionCall | CustomToolCall | ClientCall
_ANSWERS = FunctionCallOutput | CustomToolCallOutput | ClientCallOutput


def check_answers(request: CreateResponse, context: Sequence[Item]) -> None:
    """Raises RequestError for the output of a call that never was, in a `context` that ends with the input.

    A compaction stands for items that nobody can read here.
    """
    asked = request.input if isinstance(request.input, list) else []
    answers = [index for index, item in enumerate(asked) if isinstance(item, _ANSWERS)]
    if not answers or any(isinstance(item, Compaction) for item in context):
        return
    called = {item.call_id for item in context if isinstance(item, _CALLS)}
    for index in answers:
        item = asked[index]
        if isinstance(item, _ANSWERS) and item.call_id not in called:
            raise RequestError(
                f"No call before it has the output's call_id {item.call_id!r}",
                param=f"input[{index}].call_id",
                code="call_not_found",
            )


def estimated(run: Run) -> Usage:
    """The tokens of what a model would be asked."""
    tokens = tokens_in(turn_of(run, run.request.model))
    return Usage(input_tokens=tokens, total_tokens=tokens)


_STANDARD_EFFORTS = ("none", "low", "medium", "high", "xhigh")
_STANDARD_SUMMARIES = ("concise", "detailed", "auto")
_STANDARD_TRUNCATIONS = ("auto", "disabled")


def new_response(request: CreateResponse, response_id: str, created_at: int) -> Response:
    """The response before its first event: the request's settings, echoed, and defaults for the rest."""
    echoed = {name: value for name in _ECHOED if (value := getattr(request, name)) is not None}
    tools = [shown for _, tool in requested_tools(request) if (shown := _shown(tool))]
    response = Response(
        id=response_id,
        created_at=created_at,
        model=request.model,
        status="queued" if request.background else "in_progress",
        tools=tools,
        text=_echo_text(request.text),
        conversation=request.conversation,
    )
    if request.truncation not in _STANDARD_TRUNCATIONS:
        echoed.pop("truncation", None)
    if asked := request.reasoning:  # the specification lacks the effort "minimal", and what is newer
        effort = nearest(asked.effort, _STANDARD_EFFORTS) if asked.effort else None
        summary = asked.summary if asked.summary in _STANDARD_SUMMARIES else None
        echoed["reasoning"] = ReasoningSettings(effort=effort, summary=summary)
    return response.model_copy(update=echoed)


def _shown(tool: Tool) -> Tool | None:
    """The tool as a response shows it, None if it doesn't. Only the host of an MCP server's address is shown, since the
    rest may be secret too.
    """
    match tool:
        case WebSearchTool():
            return None
        case McpTool():
            url = tool.server_url and _host_alone(tool.server_url)
            return tool.model_copy(update={"headers": None, "authorization": None, "server_url": url})
        case _:
            return tool


def _host_alone(address: str) -> str:
    try:
        url = urlsplit(address)
    except ValueError:
        return "<redacted>"
    return f"{url.scheme}://{url.hostname}/<redacted>" if url.scheme in ("http", "https") else "<redacted>"


def _echo_text(text: TextSettings | None) -> TextField:
    if text is None:
        return TextField()
    verbosity = text.verbosity
    if verbosity not in ("low", "medium", "high"):  # the specification has no other
        verbosity = None
    form = text.format or TextFormat()
    if isinstance(form, JsonSchemaFormat):
        form = EchoedJsonSchemaFormat(name=form.name, description=form.description, strict=form.strict is True)
    return TextField(format=form, verbosity=verbosity)
