"""The Responses API: OpenAI, Azure OpenAI, OpenRouter, vLLM, Ollama, LM Studio, Bedrock's mantle, and any other Open
Responses server, such as another deployment of this one.

`base_url` is the URL before `/responses`; its query is kept (Azure's `api-version`). The settings' `headers` are
sent too, and win. Nothing is passed through: ids, sequence numbers and storage are ours, so what goes upstream is
`store: false`, whole items, and never a `previous_response_id`.

| option | default | effect |
|---|---|---|
| `vendor` | by the host of `base_url` | whose rules count: a preset's name |
| `developer_role` | true | send developer messages as `developer`; else as `system` |
| `custom_tools` | false | offer custom tools as such, with their grammar; else as functions of one string |
| `upstream_tools` | [] | those it runs of OpenAI's: `web_search`, `file_search`, `mcp`, ... |
| `encrypted_reasoning` | by model | ask for it; by default of all models but those that OpenAI has without reasoning |
| `echo_reasoning` | "encrypted" | send reasoning back that is encrypted; "content": raw text too; or "never" |
| `reasoning_ids` | true | send it back under its id |
| `native_compaction` | false | compact by `/responses/compact`; what comes of it goes back to this provider only |
| `efforts` | as asked | the efforts that are taken, each with the word for it; "" says nothing |
| `samples_at` | at all | the efforts at which sampling settings are taken; "" stands for none asked for |
| `forced_calls` | "as_asked" | or "not_thinking": without thinking; "told": in the instructions |
| `json_schema` | true | false: tell the answer's schema in the instructions, and ask for JSON |
| `key_header` | "authorization" | where the key goes: there as a bearer's, or into "api-key" as it is |
| `omit` | [] | fields of the request to leave out |
| `extra_body` | {} | fields to add to the request, last |

The vendors that `models` knows have their own defaults, some by the model.

| not sent | since |
|---|---|
| `metadata`, `background`, `store`, `previous_response_id`, `conversation`, `prompt` | they are about storage |
| `stream_options` | it is about the client's connection |
| `max_tool_calls` without `upstream_tools` | the server counts its own |
| items of other implementors, reasoning of other providers | nobody there could read them |
"""

from dataclasses import replace
from typing import cast

from pydantic import JsonValue

from ...core.settings import ProviderSettings
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.request import CreateResponse
from ...transport.http import Network
from .._shared.checking import Checked
from .._shared.http_dialect import CountingDialect, HttpDialect, WireCount, WireTurn, bearer
from .._shared.naming import Naming, tool_names
from .._shared.options import read_options
from .._shared.rules import fitted, told_schema
from .._shared.tools import refuse_upstream_tools
from .allowed import ALLOWED
from .errors import ERRORS
from .messages import input_items
from .models import FACTS, ResponsesOptions
from .native import compaction
from .request import include, tools
from .stream import ResponsesDecoder

_MIN_OUTPUT_TOKENS = 16
_AS_ASKED = (
    *("temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs", "truncation"),
    *("service_tier", "safety_identifier", "prompt_cache_key", "user"),
)


def connect(settings: ProviderSettings, network: Network | None = None) -> HttpDialect:
    """Raises ValueError for settings that can't work."""
    options = read_options(ResponsesOptions, settings, FACTS)
    key = settings.api_key.strip()

    def wire(turn: Turn) -> WireTurn:
        options = read_options(ResponsesOptions, settings, FACTS, turn.model)
        names = tool_names(turn.tools)
        if turn.keeps is not None and options.native_compaction:  # no instructions of ours, which come last
            return compaction(encode(replace(turn, items=turn.items[:-1]), options, names))
        decoder = ResponsesDecoder(names, keep_content=options.echo_reasoning == "content")
        schema = told_schema(turn, options)
        return WireTurn(
            "/responses",
            encode(turn, options, names),
            Checked(decoder, schema, turn.model) if schema is not None else decoder,
        )

    return CountingDialect(
        settings=settings,
        errors=ERRORS,
        wire=wire,
        headers=bearer(settings) if options.key_header == "authorization" else {options.key_header: key} if key else {},
        allowed=ALLOWED,
        counting=_count,
        network=network,
    )


def runs(settings: ProviderSettings, model: str) -> frozenset[str]:
    return frozenset(read_options(ResponsesOptions, settings, FACTS, model).upstream_tools)


_COUNTED = (
    *("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "truncation"),
    "parallel_tool_calls",
)
"""openai.types.responses.InputTokenCountParams."""


def _count(wire: WireTurn) -> WireCount:
    body: JsonObject = {name: wire.body[name] for name in _COUNTED if name in wire.body}
    return WireCount("/responses/input_tokens", body, "input_tokens")


def encode(turn: Turn, options: ResponsesOptions, names: Naming) -> JsonObject:
    """The request's body. Raises RequestError for content that this wire can't carry."""
    upstream = refuse_upstream_tools(turn, options.upstream_tools)
    turn = fitted(turn, options)
    limit = turn.max_output_tokens
    body: dict[str, JsonValue | None] = {
        "model": turn.model,
        "instructions": turn.instructions or None,
        "input": input_items(turn, options, names),
        "stream": True,
        "store": False,
        "include": include(turn, upstream, options) or None,
        **tools(turn, upstream, options, names),
        "max_output_tokens": limit and max(limit, _MIN_OUTPUT_TOKENS),
        **_knobs(turn.request),
    }
    sent: JsonObject = {
        name: cast("JsonValue", value) for name, value in body.items() if value is not None and name not in options.omit
    }
    return sent | options.extra_body


def _knobs(request: CreateResponse) -> dict[str, JsonValue | None]:
    reasoning, text = request.reasoning, request.text
    asked = reasoning.model_dump(mode="json", exclude_none=True) if reasoning else None
    return {
        **{name: getattr(request, name) for name in _AS_ASKED},
        "reasoning": asked or None,
        "text": (text.model_dump(mode="json", exclude_none=True) or None) if text else None,
    }
