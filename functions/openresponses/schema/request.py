"""The body of `POST /v1/responses`."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints

from .base import ABSENT_IF_NULL, GivenId, JsonObject, Name, Wire, absent, entries
from .content import InputFile, InputImage, InputText
from .items import InputItem
from .limits import (
    MAX_COUNT,
    MAX_INCLUDED,
    MAX_ITEMS,
    MAX_MANAGED,
    MAX_MODEL,
    MAX_PREFERENCES,
    MAX_TOOLS,
    MAX_VARIABLES,
)
from .tools import Tool, ToolChoice

Word: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""Of a vocabulary that grows. A dialect sends what its vendor may know, and a response shows the standard's nearest."""
Metadata: TypeAlias = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    entries(16),
]
Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2)]


class ReasoningSettings(Wire):
    effort: Word | None = None
    summary: Word | None = None


class TextFormat(Wire):
    type: Literal["text"] = "text"


class JsonObjectFormat(Wire):
    type: Literal["json_object"] = "json_object"


class JsonSchemaFormat(Wire):
    type: Literal["json_schema"] = "json_schema"
    name: Annotated[str, Field(min_length=1, max_length=64)]
    description: str | None = None
    schema_: JsonObject = Field(alias="schema")
    strict: bool | None = None


Format: TypeAlias = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Discriminator("type")]


class TextSettings(Wire):
    format: Format | None = None
    verbosity: Word | None = None


class StreamOptions(Wire):
    include_obfuscation: bool | None = None


class ProviderPreferences(Wire):
    """Our extension: which targets may serve a request, and what they are told beyond the standard's fields.

    `order` names providers, or targets as `provider/model`; those come first, and alone where `allow_fallbacks`
    is false. `options` has, by a provider's name, fields to add to what is sent to it.
    """

    order: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=MAX_MODEL)]],
            Field(min_length=1, max_length=MAX_PREFERENCES, fail_fast=True),
        ]
        | None
    ) = None
    allow_fallbacks: bool = True
    options: Annotated[dict[Name, JsonObject], entries(MAX_PREFERENCES)] = {}


class ContextManagement(Wire):
    """OpenAI's (`ContextManagement` in its SDK): the context is compacted where it has more tokens than that."""

    type: Literal["compaction"]
    compact_threshold: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = None


Variable: TypeAlias = str | Annotated[InputText | InputImage | InputFile, Discriminator("type")]


class PromptReference(Wire):
    """A stored prompt that a request begins with (openai.types.responses.ResponsePrompt), and what fills its
    placeholders, by name. Without a `version` it is the newest one.
    """

    id: Annotated[GivenId, Field(min_length=1)]
    version: Name | None = None
    variables: Annotated[dict[Name, Variable], entries(MAX_VARIABLES)] | None = None


def _id_alone(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


class ConversationName(Wire):
    """Of the conversation that a response belongs to. A request may give the id alone."""

    id: GivenId


class CreateResponse(Wire):
    """Fields follow `CreateResponseBody`. `conversation`, `prompt` and `moderation` are OpenAI's: naming the last one
    here lets the server refuse what it would otherwise have to ignore, since it would change the answer. `provider` is
    ours.

    `model` is empty only where a prompt is to say it.
    """

    model: Annotated[str, Field(min_length=1, max_length=MAX_MODEL), ABSENT_IF_NULL] = ""
    input: str | Annotated[list[InputItem], Field(max_length=MAX_ITEMS, fail_fast=True)] | None = None
    instructions: str | None = None
    previous_response_id: GivenId | None = None
    include: Annotated[list[Word], Field(max_length=MAX_INCLUDED, fail_fast=True)] | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: ToolChoice | None = None
    metadata: Metadata | None = None
    text: TextSettings | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    background: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=16, le=MAX_COUNT)] | None = None
    max_tool_calls: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = None
    reasoning: ReasoningSettings | None = None
    safety_identifier: Annotated[str, Field(max_length=64)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=64)] | None = None
    truncation: Word | None = None
    context_management: Annotated[list[ContextManagement], Field(max_length=MAX_MANAGED, fail_fast=True)] | None = (
        absent()
    )
    store: bool | None = None
    service_tier: Word | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    user: GivenId | None = None
    conversation: Annotated[ConversationName | None, BeforeValidator(_id_alone)] = absent()
    prompt: PromptReference | None = absent()
    moderation: JsonObject | None = absent()
    provider: ProviderPreferences | None = absent()
