"""Google's Gemini API, and Gemini on Vertex AI: `streamGenerateContent`.

`base_url` is the URL before `/models/<model>`: `https://generativelanguage.googleapis.com/v1beta`, or for Vertex
`https://aiplatform.googleapis.com/v1/projects/<project>/locations/global/publishers/google`. A model's name may have
its collection: `tunedModels/<name>`. The key goes into `x-goog-api-key`, never into the URL; the settings' `headers`
are sent too (`authorization: Bearer`, where a token is used).

| option | default | effect |
|---|---|---|
| `vendor` | by the host of `base_url` | whose rules count: `gemini` or `vertex` |
| `generation` | by the model's name | what the model can do: 2, 2.5 (thinks by a budget), 3 (by levels), ... |
| `mixes_tools` | not on Vertex | Gemini 3 takes Google's own tools beside functions |
| `include_thoughts` | where the request has `reasoning` | ask for summaries of the thoughts |
| `extra_body` | {} | fields to add to the request, last (`safetySettings`) |

A request's own options for this provider are those of `allowed`. `shared_files` admits `gs://` and what the
Files API has.

A format of the answer is told in the instructions where the model refuses one beside tools (before Gemini 3).

A history that begins or ends with the model's own words, which Gemini refuses, gets a word of the user there.

Not sent, since Gemini has nothing for it: `parallel_tool_calls` (later calls are refused here, where it is false),
`prompt_cache_key` (what is repeated is cached anyway), `safety_identifier`, `user`, `metadata`, `text.verbosity`,
`truncation`, the `detail` of an image, `strict` of a schema (of the tools, if all are strict: mode `VALIDATED`);
and to models that take no sampling settings any more (from 3.6 Flash and 3.5 Flash-Lite on): `temperature`, `top_p`,
`presence_penalty`, `frequency_penalty`.
"""

from dataclasses import replace
from urllib.parse import unquote

from pydantic import JsonValue

from ...core.settings import ProviderSettings
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.request import JsonSchemaFormat
from ...transport.http import Network
from .._shared.checking import Checked, instruction
from .._shared.http_dialect import CountingDialect, HttpDialect, WireCount, WireTurn
from .._shared.options import read_options, wants_logprobs
from .allowed import ALLOWED
from .errors import ERRORS
from .messages import contents, tool_names
from .models import FACTS, GeminiModel, GeminiOptions
from .request import GOOGLES, model_path, response_format, told_format, tools
from .stream import GeminiDecoder
from .thinking import thinking


def connect(settings: ProviderSettings, network: Network | None = None) -> HttpDialect:
    """Raises ValueError for settings that can't work."""
    options, key = read_options(GeminiOptions, settings, FACTS), settings.api_key.strip()

    def wire(turn: Turn) -> WireTurn:
        path, body = f"{model_path(turn.model)}{_STREAM}", encode(turn, options)
        decoder = GeminiDecoder(tool_names(turn.tools))
        form = told_format(turn, GeminiModel.of(turn.model, options))
        checked = Checked(decoder, form.schema_, turn.model) if isinstance(form, JsonSchemaFormat) else decoder
        return WireTurn(path, body, checked, query={"alt": "sse"})

    def count(wire: WireTurn) -> WireCount:
        model = wire.path.removesuffix(_STREAM)
        if options.vendor == "vertex":
            body: JsonObject = {name: wire.body[name] for name in _COUNTED if name in wire.body}
        else:
            body = {"generateContentRequest": {"model": unquote(model[1:]), **wire.body}}
        return WireCount(f"{model}:countTokens", body, "totalTokens")

    return CountingDialect(
        settings=settings,
        errors=ERRORS,
        wire=wire,
        headers={"x-goog-api-key": key} if key else {},
        allowed=ALLOWED,
        counting=count,
        network=network,
    )


def runs(settings: ProviderSettings, model: str) -> frozenset[str]:
    """Of Google's own tools, those that it takes beside functions."""
    options = read_options(GeminiOptions, settings, FACTS)
    mixes = options.mixes_tools and GeminiModel.of(model, options).is_3
    return frozenset(GOOGLES if mixes else ())


_STREAM = ":streamGenerateContent"
_COUNTED = ("contents", "systemInstruction", "tools", "generationConfig")
"""What Vertex takes (google.genai.types.CountTokensConfig). The Gemini API takes the whole request, in a field
("Counting tokens" at ai.google.dev/api/tokens)."""


def encode(turn: Turn, options: GeminiOptions) -> JsonObject:
    """The request's body. Raises RequestError for content that this wire can't carry."""
    model = GeminiModel.of(turn.model, options)
    config = _knobs(turn, model)
    if form := told_format(turn, model):
        told = instruction(form.schema_ if isinstance(form, JsonSchemaFormat) else None)
        turn = replace(turn, instructions="\n\n".join(filter(None, (turn.instructions, told))))
    else:
        config |= response_format(turn)
    config |= thinking(turn.request.reasoning, model, options.include_thoughts)
    body = contents(turn, model, shared=options.shared_files) | tools(turn, model, mixes_tools=options.mixes_tools)
    if config:
        body["generationConfig"] = config
    if turn.request.service_tier in ("flex", "priority"):
        body["serviceTier"] = turn.request.service_tier
    return body | options.extra_body


def _knobs(turn: Turn, model: GeminiModel) -> JsonObject:
    request = turn.request
    knobs: dict[str, JsonValue] = {
        "maxOutputTokens": turn.max_output_tokens,
        "responseLogprobs": wants_logprobs(request) or None,
        "logprobs": request.top_logprobs or None,
    }
    if model.takes_sampling:
        knobs |= {"temperature": request.temperature, "topP": request.top_p}
        # Some models refuse any penalty, even none.
        penalties = request.presence_penalty or None, request.frequency_penalty or None
        knobs["presencePenalty"], knobs["frequencyPenalty"] = penalties
    return {name: value for name, value in knobs.items() if value is not None}
