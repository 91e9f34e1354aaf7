"""The response resource: every field that the specification requires, always present."""

from typing import Literal, TypeAlias

from pydantic import Field

from .base import SLUG, Wire, absent
from .items import Item
from .request import (
    ConversationName,
    JsonObjectFormat,
    Metadata,
    PromptReference,
    ReasoningSettings,
    TextFormat,
)
from .tools import Tool, ToolChoice

ResponseStatus: TypeAlias = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class EchoedJsonSchemaFormat(Wire):
    """`schema` is null: the specification's document allows nothing else here."""

    type: Literal["json_schema"] = "json_schema"
    name: str
    description: str | None = None
    schema_: None = Field(default=None, alias="schema")
    strict: bool


class TextField(Wire):
    format: TextFormat | JsonObjectFormat | EchoedJsonSchemaFormat = TextFormat()
    verbosity: Literal["low", "medium", "high"] | None = absent()


class IncompleteDetails(Wire):
    """`message` is our extension: it says what the reason leaves open."""

    reason: str
    message: str | None = absent()


class ResponseError(Wire):
    code: str
    message: str


class InputTokensDetails(Wire):
    """`cache_write_tokens` is OpenAI's extension: the tokens that were written to the provider's cache."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(Wire):
    reasoning_tokens: int = 0


class Usage(Wire):
    """Counts of tokens. `output_tokens` includes the reasoning tokens."""

    input_tokens: int = 0
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens: int = 0
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int = 0


class ShownCost(Wire):
    """US dollars, as decimal numbers: `usd` is the sum of the others, or `unknown`, and then they are absent.

    `input` is of tokens that no cache had, and of those written to one; `cached` of those read from one.
    """

    usd: str
    input: str | None = absent()
    cached: str | None = absent()
    output: str | None = absent()


class Response(Wire):
    """Times are Unix seconds. A setting that the request left out carries the specification's default. `prompt` is
    OpenAI's extension, `cost` is ours.
    """

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: ResponseStatus = "in_progress"
    incomplete_details: IncompleteDetails | None = None
    model: str
    previous_response_id: str | None = None
    instructions: str | None = None
    output: list[Item] = []
    error: ResponseError | None = None
    tools: list[Tool] = []
    tool_choice: ToolChoice = "auto"
    truncation: Literal["auto", "disabled"] = "disabled"
    parallel_tool_calls: bool = True
    text: TextField = TextField()
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int = 0
    temperature: float = 1.0
    reasoning: ReasoningSettings | None = None
    usage: Usage | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    store: bool = False
    background: bool = False
    service_tier: str = "default"
    metadata: Metadata = {}
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt: PromptReference | None = absent()
    conversation: ConversationName | None = absent()
    cost: ShownCost | None = absent(alias=f"{SLUG}:cost")
