"""The 24 streaming events (`error` included), and OpenAI's of tools that this server runs, or the provider.

`sequence_number` is -1 until the journal stamps it.
"""

from typing import Annotated, Literal, TypeAlias, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Discriminator

from .base import Json, Wire, absent
from .content import Annotation, LogProb, Part
from .items import Item
from .response import Response


class _Event(Wire):
    model_config = ConfigDict(defer_build=True)  # no model contains an event, and few responses see all of them
    __setattr__ = (
        object.__setattr__
    )  # pydantic's also notes that the field was set, which nobody asks, ten times as slow

    sequence_number: int = -1


class ResponseCreated(_Event):
    type: Literal["response.created"] = "response.created"
    response: Response


class ResponseQueued(_Event):
    type: Literal["response.queued"] = "response.queued"
    response: Response


class ResponseInProgress(_Event):
    type: Literal["response.in_progress"] = "response.in_progress"
    response: Response


class ResponseCompleted(_Event):
    type: Literal["response.completed"] = "response.completed"
    response: Response


class ResponseFailed(_Event):
    type: Literal["response.failed"] = "response.failed"
    response: Response


class ResponseIncomplete(_Event):
    type: Literal["response.incomplete"] = "response.incomplete"
    response: Response


class OutputItemAdded(_Event):
    type: Literal["response.output_item.added"] = "response.output_item.added"
    output_index: int
    item: Item


class OutputItemDone(_Event):
    type: Literal["response.output_item.done"] = "response.output_item.done"
    output_index: int
    item: Item


class _ItemEvent(_Event):
    item_id: str
    output_index: int


class _ContentEvent(_ItemEvent):
    content_index: int


class _SummaryEvent(_ItemEvent):
    summary_index: int


class ContentPartAdded(_ContentEvent):
    type: Literal["response.content_part.added"] = "response.content_part.added"
    part: Part


class ContentPartDone(_ContentEvent):
    type: Literal["response.content_part.done"] = "response.content_part.done"
    part: Part


class OutputTextDelta(_ContentEvent):
    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    delta: str
    logprobs: list[LogProb] = []
    obfuscation: str | None = absent()


class OutputTextDone(_ContentEvent):
    type: Literal["response.output_text.done"] = "response.output_text.done"
    text: str
    logprobs: list[LogProb] = []


class AnnotationAdded(_ContentEvent):
    type: Literal["response.output_text.annotation.added"] = "response.output_text.annotation.added"
    annotation_index: int
    annotation: Annotation | None


class RefusalDelta(_ContentEvent):
    type: Literal["response.refusal.delta"] = "response.refusal.delta"
    delta: str
    obfuscation: str | None = absent()


class RefusalDone(_ContentEvent):
    type: Literal["response.refusal.done"] = "response.refusal.done"
    refusal: str


class ReasoningDelta(_ContentEvent):
    type: Literal["response.reasoning.delta"] = "response.reasoning.delta"
    delta: str
    obfuscation: str | None = absent()


class ReasoningDone(_ContentEvent):
    type: Literal["response.reasoning.done"] = "response.reasoning.done"
    text: str


class SummaryPartAdded(_SummaryEvent):
    type: Literal["response.reasoning_summary_part.added"] = "response.reasoning_summary_part.added"
    part: Part


class SummaryPartDone(_SummaryEvent):
    type: Literal["response.reasoning_summary_part.done"] = "response.reasoning_summary_part.done"
    part: Part


class SummaryTextDelta(_SummaryEvent):
    type: Literal["response.reasoning_summary_text.delta"] = "response.reasoning_summary_text.delta"
    delta: str
    obfuscation: str | None = absent()


class SummaryTextDone(_SummaryEvent):
    type: Literal["response.reasoning_summary_text.done"] = "response.reasoning_summary_text.done"
    text: str


class ArgumentsDelta(_ItemEvent):
    type: Literal["response.function_call_arguments.delta"] = "response.function_call_arguments.delta"
    delta: str
    obfuscation: str | None = absent()


class ArgumentsDone(_ItemEvent):
    type: Literal["response.function_call_arguments.done"] = "response.function_call_arguments.done"
    arguments: str


class CompactionCompacting(_ItemEvent):
    """OpenAI's: a model has begun to write the summary of a compaction item, which no event shows."""

    type: Literal["response.compaction.compacting"] = "response.compaction.compacting"


class ToolProgress(_ItemEvent):
    """How the item of a tool comes along that this server runs, or the provider. What else the event says of a
    provider's is kept as it came.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: Literal[
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
        "response.code_interpreter_call.in_progress",
        "response.code_interpreter_call.interpreting",
        "response.code_interpreter_call.completed",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.done",
        "response.image_generation_call.in_progress",
        "response.image_generation_call.generating",
        "response.image_generation_call.partial_image",
        "response.image_generation_call.completed",
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_list_tools.failed",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.shell_call_command.added",
        "response.shell_call_command.delta",
        "response.shell_call_command.done",
        "response.shell_call_output_content.delta",
        "response.shell_call_output_content.done",
        "response.apply_patch_call_operation_diff.delta",
        "response.apply_patch_call_operation_diff.done",
    ]


class ErrorPayload(Wire):
    model_config = ConfigDict(defer_build=True)

    type: str
    code: str | None
    message: str
    param: str | None = None


class ErrorEvent(_Event):
    type: Literal["error"] = "error"
    error: ErrorPayload


class Detached(Wire):
    """Our extension, never in a log: the connection's time is up, the response goes on.

    `resume` is the path that gives the rest, relative to the client's base URL, which ends in `/v1`.
    `sequence_number` is that of the last event before it.
    """

    type: Literal["serverless:detached"] = "serverless:detached"
    sequence_number: int
    response_id: str
    resume: str


Lifecycle: TypeAlias = (
    ResponseCreated | ResponseQueued | ResponseInProgress | ResponseCompleted | ResponseFailed | ResponseIncomplete
)
Terminal: TypeAlias = ResponseCompleted | ResponseFailed | ResponseIncomplete
Event: TypeAlias = Annotated[
    Union[
        Lifecycle,
        OutputItemAdded,
        OutputItemDone,
        ContentPartAdded,
        ContentPartDone,
        OutputTextDelta,
        OutputTextDone,
        AnnotationAdded,
        RefusalDelta,
        RefusalDone,
        ReasoningDelta,
        ReasoningDone,
        SummaryPartAdded,
        SummaryPartDone,
        SummaryTextDelta,
        SummaryTextDone,
        ArgumentsDelta,
        ArgumentsDone,
        CompactionCompacting,
        ToolProgress,
        ErrorEvent,
    ],
    Discriminator("type"),
]
StreamEvent: TypeAlias = Event | Detached
TextDelta: TypeAlias = OutputTextDelta | RefusalDelta | ReasoningDelta | SummaryTextDelta | ArgumentsDelta
_D = TypeVar("_D", bound=TextDelta)
_new = object.__new__
_set_fields_set = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private = BaseModel.__dict__["__pydantic_private__"].__set__


def like(event: _D, delta: str) -> _D:
    """`event` with another text, which is not validated. Nearly all of a stream is made here, of values of our own."""
    made = _new(type(event))
    fields = vars(made)
    fields.update(event.__dict__)
    fields["delta"] = delta
    _set_fields_set(made, event.__pydantic_fields_set__)
    _set_extra(made, None)
    _set_private(made, None)
    return made
