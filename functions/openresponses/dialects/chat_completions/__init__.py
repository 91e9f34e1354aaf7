"""Chat Completions: the Hugging Face router, Ollama, vLLM, DeepSeek, Groq, Qwen, Together, llama.cpp, OpenAI, ...

`base_url` is the URL before `/chat/completions`; its query is kept (Azure's `api-version`). The key goes into
`authorization: Bearer`; the settings' `headers` are sent too, and win.

| option | default | effect |
|---|---|---|
| `vendor` | by the host of `base_url` | whose rules count: a preset's name |
| `developer_role` | false | send developer messages as `developer`; else as `system`, which every server knows |
| `system` | "first" | one system message, first, of all system and developer messages; "in_place": leave them |
| `max_completion_tokens` | false | name the limit so, not `max_tokens` |
| `openai_extras` | false | send `safety_identifier`, `prompt_cache_key`, `verbosity`; else the first as `user` |
| `prompt_cache_key` | false | send that one |
| `efforts` | as asked | the efforts that are taken, each with the word for it; "" says nothing |
| `effort_fields` | {} | by such a word, the fields that say it, where it isn't `reasoning_effort` |
| `samples_at` | at all | the efforts at which sampling settings are taken; "" stands for none asked for |
| `forced_calls` | "as_asked" | or "not_thinking": without thinking; "told": in the instructions |
| `json_schema` | true | false: tell the answer's schema in the instructions, and ask for JSON |
| `service_tiers` | flex, priority | the tiers that are sent, each with the vendor's word for it |
| `strict_tools` | "as_asked" | or "all_or_none": strict only if all are; "never" |
| `call_ids` | "any" | ids of calls have 40 characters at most; or "nine_alphanumeric": nine letters and digits |
| `reasoning_echo` | "tool_turns" | send reasoning back with tool calls; "required": or else empty; "always"; "never" |
| `reasoning_field` | "reasoning_content" | the message's field for that |
| `unsigned_call` | {} | fields of a message's first call where none of its calls has state of this provider |
| `reasoning_placeholder` | "" | what stands there for no reasoning |
| `think_tags` | false | split `<think>...</think>` off the text; "open": the opening tag is in the prompt |
| `include_usage` | true | ask for the usage (`stream_options`) |
| `omit` | [] | fields of the request to leave out |
| `rename` | {} | fields of the request to send by another name |
| `extra_body` | {} | fields to add to the request, last |

The vendors that `models` knows have their own defaults, some by the model.
"""

from typing import cast

from pydantic import JsonValue

from ...core.settings import ProviderSettings
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.request import JsonObjectFormat, JsonSchemaFormat, ReasoningSettings, TextSettings
from ...transport.http import Network
from .._shared.checking import Checked
from .._shared.http_dialect import HttpDialect, WireTurn, bearer
from .._shared.naming import tool_names
from .._shared.options import read_options, wants_logprobs
from .._shared.rules import fitted, told_schema
from .._shared.tools import refuse_upstream_tools
from .allowed import ALLOWED
from .errors import ERRORS
from .messages import messages
from .models import FACTS, ChatOptions
from .request import tools
from .stream import ChatDecoder


def connect(settings: ProviderSettings, network: Network | None = None) -> HttpDialect:
    """Raises ValueError for settings that can't work."""
    read_options(ChatOptions, settings, FACTS)

    def wire(turn: Turn) -> WireTurn:
        options = read_options(ChatOptions, settings, FACTS, turn.model)
        names, echo = tool_names(turn.tools), options.reasoning_echo != "never"
        decoder = ChatDecoder(names, think_tags=options.think_tags, echo=echo)
        schema = told_schema(turn, options)
        return WireTurn(
            "/chat/completions",
            encode(turn, options),
            Checked(decoder, schema, turn.model) if schema is not None else decoder,
        )

    return HttpDialect(
        settings=settings,
        errors=ERRORS,
        wire=wire,
        headers=bearer(settings),
        allowed=ALLOWED,
        network=network,
    )


def encode(turn: Turn, options: ChatOptions) -> JsonObject:
    """The request's body. Raises RequestError for content that this wire can't carry."""
    refuse_upstream_tools(turn)
    turn = fitted(turn, options)
    body: dict[str, JsonValue | None] = {
        "model": turn.model,
        "messages": messages(turn, options),
        "stream": True,
        "stream_options": {"include_usage": True} if options.include_usage else None,
        "max_completion_tokens" if options.max_completion_tokens else "max_tokens": turn.max_output_tokens,
        **tools(turn, options),
        **_knobs(turn, options),
        "response_format": _response_format(turn.request.text),
    }
    sent: JsonObject = {
        options.rename.get(name, name): cast("JsonValue", value)
        for name, value in body.items()
        if value is not None and name not in options.omit
    }
    return sent | options.extra_body


def _knobs(turn: Turn, options: ChatOptions) -> dict[str, JsonValue | None]:
    request = turn.request
    extras = options.openai_extras
    return {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "logprobs": wants_logprobs(request) or None,
        "top_logprobs": request.top_logprobs or None,
        **_effort(request.reasoning, options),
        "service_tier": options.service_tiers.get(request.service_tier or ""),
        "user": request.user or (None if extras else request.safety_identifier),
        "safety_identifier": request.safety_identifier if extras else None,
        "prompt_cache_key": request.prompt_cache_key if extras or options.prompt_cache_key else None,
        "verbosity": request.text.verbosity if extras and request.text else None,
    }


def _effort(reasoning: ReasoningSettings | None, options: ChatOptions) -> JsonObject:
    word = reasoning.effort if reasoning else None
    return options.effort_fields.get(word, {"reasoning_effort": word}) if word else {}


def _response_format(settings: TextSettings | None) -> JsonValue:
    match settings.format if settings else None:
        case JsonObjectFormat():
            return {"type": "json_object"}
        case JsonSchemaFormat() as form:
            schema: JsonObject = {"name": form.name, "schema": form.schema_}
            if form.description:
                schema["description"] = form.description
            if form.strict:
                schema["strict"] = True
            return {"type": "json_schema", "json_schema": schema}
        case _:
            return None
