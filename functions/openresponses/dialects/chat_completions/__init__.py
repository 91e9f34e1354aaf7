"""Chat Completions: the Hugging Face router, Ollama, vLLM, DeepSeek, Groq, Qwen, Together, llama.cpp, OpenAI, ...

`base_url` is the URL before `/chat/completions`; its query is kept (Azure's `api-version`). The key goes into
`authorization: Bearer`; the settings' `headers` are sent too, and win.

| option | default | effect |
|---|---|---|
| `developer_role` | false | send developer messages as `developer`; else as `system`, which every server knows |
| `system` | "first" | one system message, first, of all system and developer messages; "in_place": leave them |
| `max_completion_tokens` | false | name the limit so, not `max_tokens` |
| `openai_extras` | false | send `safety_identifier`, `prompt_cache_key`, `verbosity`; else the first as `user` |
| `reasoning_echo` | "tool_turns" | send reasoning back with tool calls; "required": or else empty; "always"; "never" |
| `reasoning_field` | "reasoning_content" | the message's field for that |
| `think_tags` | false | split `<think>...</think>` off the text; "open": the opening tag is in the prompt |
| `include_usage` | true | ask for the usage (`stream_options`) |
| `omit` | [] | fields of the request to leave out |
| `rename` | {} | fields of the request to send by another name |
| `extra_body` | {} | fields to add to the request, last |

OpenAI, Azure OpenAI, DeepSeek, Groq, Cerebras and Mistral have their own defaults, by host: see `_chat_options`.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import httpx2
from pydantic import JsonValue

from ...core import deltas as d
from ...core.settings import ProviderSettings
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.request import JsonObjectFormat, JsonSchemaFormat, TextSettings
from ...transport.http import Http
from ...transport.sse import SseEvent
from .._shared.options import wants_logprobs, with_options
from .._shared.tools import refuse_upstream_tools
from .messages import messages
from .models import ChatOptions, options_of
from .request import tools
from .stream import Chunk, decode

__all__ = ["ChatCompletions", "connect", "decode", "encode"]


def connect(settings: ProviderSettings) -> "ChatCompletions":
    """Raises ValueError for settings that can't work."""
    return ChatCompletions(settings)


class ChatCompletions:
    """`transport` replaces the network, for tests."""

    def __init__(self, settings: ProviderSettings, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._options = options_of(settings)
        key = settings.api_key.strip()
        self._http = Http(settings, {"authorization": f"Bearer {key}"} if key else {}, transport)

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        """One turn's deltas. Raises ProviderError, and RequestError for content that this wire can't carry."""
        body = encode(turn, self._settings)
        options, secrets = self._options, self._http.secrets
        echo = options.reasoning_echo != "never"
        async with self._http.post("/chat/completions", body) as reply:
            async with (
                aclosing(reply.events()) as events,
                aclosing(chunks_of(events)) as chunks,
                aclosing(decode(chunks, think_tags=options.think_tags, echo=echo, secrets=secrets)) as deltas,
            ):
                async for delta in deltas:
                    yield delta
            await reply.drain()

    async def aclose(self) -> None:
        await self._http.aclose()


async def chunks_of(events: AsyncIterator[SseEvent]) -> AsyncGenerator[Chunk, None]:
    """Each event's object, then None for `[DONE]`. Raises StreamViolation for an event that has none."""
    async for event in events:
        if event.data.strip() == "[DONE]":
            yield None
            return
        yield event.json()


def encode(turn: Turn, settings: ProviderSettings) -> JsonObject:
    """The request's body. Raises RequestError for content that this wire can't carry."""
    refuse_upstream_tools(turn)
    options = options_of(settings)
    body: dict[str, JsonValue | None] = {
        "model": turn.model,
        "messages": messages(turn, options),
        "stream": True,
        "stream_options": {"include_usage": True} if options.include_usage else None,
        "max_completion_tokens" if options.max_completion_tokens else "max_tokens": turn.max_output_tokens,
        **tools(turn),
        **_knobs(turn, options),
        "response_format": _response_format(turn.request.text),
    }
    sent: JsonObject = {
        options.rename.get(name, name): cast("JsonValue", value)
        for name, value in body.items()
        if value is not None and name not in options.omit
    }
    return with_options(sent | options.extra_body, turn.request, settings.name)


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
        "reasoning_effort": request.reasoning.effort if request.reasoning else None,
        "service_tier": request.service_tier if request.service_tier in ("flex", "priority") else None,
        "user": request.user or (None if extras else request.safety_identifier),
        "safety_identifier": request.safety_identifier if extras else None,
        "prompt_cache_key": request.prompt_cache_key if extras else None,
        "verbosity": request.text.verbosity if extras and request.text else None,
    }


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
