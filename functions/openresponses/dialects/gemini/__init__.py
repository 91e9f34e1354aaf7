"""Google's Gemini API, and Gemini on Vertex AI: `streamGenerateContent`.

`base_url` is the URL before `/models/<model>`: `https://generativelanguage.googleapis.com/v1beta`, or for Vertex
`https://aiplatform.googleapis.com/v1/projects/<project>/locations/global/publishers/google`. A model's name may have
its collection: `tunedModels/<name>`. The key goes into `x-goog-api-key`, never into the URL; the settings' `headers`
are sent too (`authorization: Bearer`, where a token is used).

| option | default | effect |
|---|---|---|
| `generation` | by the model's name | what the model can do: 2, 2.5 (thinks by a budget), 3 (by levels), ... |
| `include_thoughts` | where the request has `reasoning` | ask for summaries of the thoughts |
| `extra_body` | {} | fields to add to the request, last (`safetySettings`) |

A request's own options for this provider may have a `generationConfig`, with fields that are not set otherwise.

A history that begins or ends with the model's own words, which Gemini refuses, gets a word of the user there.

Not sent, since Gemini has nothing for it: `parallel_tool_calls` (later calls are refused here, where it is false),
`prompt_cache_key` (what is repeated is cached anyway), `safety_identifier`, `user`, `metadata`, `text.verbosity`,
`truncation`, the `detail` of an image, `strict` of a schema (of the tools, if all are strict: mode `VALIDATED`);
and to models that take no sampling settings any more (from 3.6 Flash and 3.5 Flash-Lite on): `temperature`, `top_p`,
`presence_penalty`, `frequency_penalty`.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx2
from pydantic import JsonValue

from ...core import deltas as d
from ...core.settings import ProviderSettings
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...transport.http import Http
from ...transport.sse import objects_of
from .._shared.options import wants_logprobs, with_options
from .messages import contents, tool_names
from .models import GeminiModel, options_of
from .request import model_path, response_format, tools
from .stream import decode
from .thinking import thinking

__all__ = ["Gemini", "connect", "decode", "encode"]


def connect(settings: ProviderSettings) -> "Gemini":
    """Raises ValueError for settings that can't work."""
    return Gemini(settings)


class Gemini:
    """`transport` replaces the network, for tests."""

    def __init__(self, settings: ProviderSettings, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        options_of(settings)
        key = settings.api_key.strip()
        self._http = Http(settings, {"x-goog-api-key": key} if key else {}, transport)

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        """One turn's deltas. Raises ProviderError, and RequestError for content that this wire can't carry."""
        path, body = f"{model_path(turn.model)}:streamGenerateContent", encode(turn, self._settings)
        names = tool_names(turn.tools)
        async with (
            self._http.post(path, body, {"alt": "sse"}) as reply,
            aclosing(reply.events()) as events,
            aclosing(objects_of(events)) as chunks,
            aclosing(decode(chunks, names=names, secrets=self._http.secrets)) as deltas,
        ):
            async for delta in deltas:
                yield delta

    async def aclose(self) -> None:
        await self._http.aclose()


def encode(turn: Turn, settings: ProviderSettings) -> JsonObject:
    """The request's body. Raises RequestError for content that this wire can't carry."""
    options = options_of(settings)
    model = GeminiModel.of(turn.model, options)
    vertex = "aiplatform.googleapis.com" in settings.base_url
    config = _sampling(turn) if model.takes_sampling else {}
    config |= _output(turn) | response_format(turn)
    config |= thinking(turn.request.reasoning, model, options.include_thoughts)
    body = contents(turn, model) | tools(turn, model, vertex=vertex)
    if config:
        body["generationConfig"] = config
    if turn.request.service_tier in ("flex", "priority"):
        body["serviceTier"] = turn.request.service_tier
    return with_options(body | options.extra_body, turn.request, settings.name, nested="generationConfig")


def _sampling(turn: Turn) -> JsonObject:
    """Some models refuse any penalty, even none."""
    request = turn.request
    return _set(
        temperature=request.temperature,
        topP=request.top_p,
        presencePenalty=request.presence_penalty or None,
        frequencyPenalty=request.frequency_penalty or None,
    )


def _output(turn: Turn) -> JsonObject:
    request = turn.request
    return _set(
        maxOutputTokens=turn.max_output_tokens,
        responseLogprobs=wants_logprobs(request) or None,
        logprobs=request.top_logprobs or None,
    )


def _set(**fields: JsonValue) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}
