"""The Responses API: OpenAI, Azure OpenAI, OpenRouter, vLLM, Ollama, LM Studio, Bedrock's mantle, and any other Open
Responses server, such as another deployment of this one.

`base_url` is the URL before `/responses`; its query is kept (Azure's `api-version`). The settings' `headers` are
sent too, and win. Nothing is passed through: ids, sequence numbers and storage are ours, so what goes upstream is
`store: false`, whole items, and never a `previous_response_id`.

| option | default | effect |
|---|---|---|
| `developer_role` | true | send developer messages as `developer`; else as `system` |
| `custom_tools` | false | offer custom tools as such, with their grammar; else as functions of one string |
| `upstream_tools` | [] | tools it runs: `web_search`, `file_search`, `code_interpreter`, `image_generation`, `mcp` |
| `encrypted_reasoning` | by model | ask for it; by default of all models but those that OpenAI has without reasoning |
| `echo_reasoning` | "encrypted" | send reasoning back that is encrypted; "content": raw text too; or "never" |
| `reasoning_ids` | true | send it back under its id |
| `key_header` | "authorization" | where the key goes: there as a bearer's, or into "api-key" as it is |
| `omit` | [] | fields of the request to leave out |
| `extra_body` | {} | fields to add to the request, last |

OpenAI, Azure OpenAI and OpenRouter have their own defaults, by host: see `_responses_options`.

| not sent | since |
|---|---|
| `metadata`, `background`, `store`, `previous_response_id`, `conversation`, `prompt` | they are about storage |
| `stream_options` | it is about the client's connection |
| `max_tool_calls` without `upstream_tools` | the server counts its own |
| items of other implementors, reasoning of other providers | nobody there could read them |
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import httpx2
from pydantic import JsonValue

from ...core import deltas as d
from ...core.settings import ProviderSettings
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.request import CreateResponse
from ...transport.http import Http
from .._shared.naming import tool_names
from .._shared.options import with_options
from .._shared.tools import refuse_upstream_tools
from .messages import input_items
from .models import options_of
from .request import include, tools
from .stream import decode, objects_of

__all__ = ["OpenAIResponses", "connect", "decode", "encode"]

_MIN_OUTPUT_TOKENS = 16
_RESERVED = frozenset(
    {
        "background",
        "context_management",
        "conversation",
        "include",
        "instructions",
        "previous_response_id",
        "prompt",
        "store",
        "tool_choice",
        "tools",
    }
)


def connect(settings: ProviderSettings) -> "OpenAIResponses":
    """Raises ValueError for settings that can't work."""
    return OpenAIResponses(settings)


class OpenAIResponses:
    """`transport` replaces the network, for tests."""

    def __init__(self, settings: ProviderSettings, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._options = options_of(settings)
        key, header = settings.api_key.strip(), self._options.key_header
        value = f"Bearer {key}" if header == "authorization" else key
        self._http = Http(settings, {header: value} if key else {}, transport)

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        """One turn's deltas. Raises ProviderError, and RequestError for content that this wire can't carry."""
        body = encode(turn, self._settings)
        names, keep = tool_names(turn.tools), self._options.echo_reasoning == "content"
        async with self._http.post("/responses", body) as reply:
            async with (
                aclosing(reply.events()) as events,
                aclosing(objects_of(events)) as objects,
                aclosing(decode(objects, names=names, keep_content=keep, secrets=self._http.secrets)) as deltas,
            ):
                async for delta in deltas:
                    yield delta
            await reply.drain()

    async def aclose(self) -> None:
        await self._http.aclose()


def encode(turn: Turn, settings: ProviderSettings) -> JsonObject:
    """The request's body. Raises RequestError for content that this wire can't carry."""
    options = options_of(settings)
    names, upstream = tool_names(turn.tools), refuse_upstream_tools(turn, options.upstream_tools)
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
    return with_options(sent | options.extra_body, turn.request, settings.name, reserved=_RESERVED)


def _knobs(request: CreateResponse) -> dict[str, JsonValue | None]:
    reasoning, text = request.reasoning, request.text
    return {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "top_logprobs": request.top_logprobs,
        "truncation": request.truncation,
        "service_tier": request.service_tier,
        "safety_identifier": request.safety_identifier,
        "prompt_cache_key": request.prompt_cache_key,
        "user": request.user,
        "reasoning": (reasoning.model_dump(mode="json", exclude_none=True) or None) if reasoning else None,
        "text": (text.model_dump(mode="json", exclude_none=True) or None) if text else None,
    }
