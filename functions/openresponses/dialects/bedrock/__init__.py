"""Amazon Bedrock: ConverseStream, for every model that Bedrock has.

`base_url` is the endpoint, or empty for the region's own (outside of the partition `aws`, and for a VPC's or a
FIPS endpoint, it must be given). `api_key` is a Bedrock API key; without one, requests are signed by the credentials
that AWS's own chain finds, which in Lambda are those of the function's role. The settings' `headers` are sent too,
unsigned. A model is named by its id, its inference profile's, or an ARN.

| option | default | effect |
|---|---|---|
| `region` | AWS's own | the region to call, and to sign for |
| `base_models` | {} | by a model's name, the id of what is behind it, where it doesn't say (an application's profile) |
| `cache` | "5m" | how long prompts are kept, where the model can: "5m", "1h" (Claude since 4.5), or "off" |
| `structured_output` | "auto" | a JSON schema goes as `outputConfig` ("native"), or as a tool to be called ("tool") |
| `extra_body` | {} | fields to add to each request: `guardrailConfig`, `performanceConfig`, `requestMetadata`, ... |

A request's own `provider.options.<name>` are fields of ConverseStream too, but for `system`, `messages` and
`toolConfig`; those of `inferenceConfig` and `additionalModelRequestFields` join what is there.

| not sent | why |
|---|---|
| `presence_penalty`, `frequency_penalty`, `top_logprobs`, `verbosity` | Converse has no such thing |
| `user`, `safety_identifier`, `truncation` | nor this |
| `parallel_tool_calls` | nor this; a second call is refused here |
| `prompt_cache_key` | caches are found by their prompt |
| `temperature`, `top_p` | by models that refuse them, with reasoning, or both at once; temperatures end at 1 |
| `tool_choice` | by models that can't be forced: of a forced tool, they are offered no other |
| `reasoning.effort` | by models without it; where a tool is forced, if reasoning excludes that |
| a tool's `strict` | by models that don't have it |
| reasoning of other providers, and unsigned reasoning | by models that refuse it |
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from re import search
from urllib.parse import quote

import httpx2

from ...core import deltas as d
from ...core.settings import ProviderSettings
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...transport.http import Http
from .._shared.json import fields
from .._shared.naming import tool_names
from .._shared.options import with_options
from .._shared.tools import refuse_upstream_tools
from .messages import conversation
from .models import BedrockOptions, Traits, options_of, traits_of
from .request import ANSWER, JSON_ONLY, answers_with_tool, mark, text_format, tool_config, wants_json
from .signing import Signer
from .stream import Reading, decode, events_of, from_reply
from .thinking import asked, is_off

__all__ = ["Bedrock", "connect", "decode", "encode"]

_EVENT_STREAM = "application/vnd.amazon.eventstream"


def connect(settings: ProviderSettings) -> "Bedrock":
    """Raises ValueError for settings that can't work."""
    return Bedrock(settings)


class Bedrock:
    """`transport` replaces the network, for tests."""

    def __init__(self, settings: ProviderSettings, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._settings, self._transport = settings, transport
        self._options = options_of(settings)
        self._signer = Signer(self._options.region or _region_in(settings.base_url))
        self._http: Http | None = self._connection(settings.base_url) if settings.base_url else None

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        """One turn's deltas. Raises ProviderError, and RequestError for content that this wire can't carry."""
        sending = _Sending.of(turn, self._options)
        body = sending.body(self._settings)
        if self._http is None:
            base_url = f"https://bedrock-runtime.{await self._signer.region()}.amazonaws.com"
            self._http = self._http or self._connection(base_url)
        async with self._http.post(f"/model/{quote(turn.model, safe='')}/converse-stream", body) as reply:
            async with (
                aclosing(reply.stream()) as chunks,
                aclosing(events_of(chunks)) as events,
                aclosing(decode(events, sending.reading, self._http.secrets)) as deltas,
            ):
                async for delta in deltas:
                    yield delta
            await reply.drain()

    async def aclose(self) -> None:
        if self._http:
            await self._http.aclose()

    def _connection(self, base_url: str) -> Http:
        key = self._settings.api_key.strip()
        headers = {"accept": _EVENT_STREAM, **({"authorization": f"Bearer {key}"} if key else {})}
        settings = replace(self._settings, base_url=base_url)
        return Http(settings, headers, self._transport, sign=None if key else self._signer.sign, refusal=from_reply)


def encode(turn: Turn, settings: ProviderSettings) -> JsonObject:
    """The request's body; the model is in its path. Raises RequestError for content that this wire can't carry."""
    return _Sending.of(turn, options_of(settings)).body(settings)


@dataclass(frozen=True, slots=True)
class _Sending:
    """One turn on its way, and how its reply is to be read."""

    turn: Turn
    options: BedrockOptions
    traits: Traits
    reading: Reading

    @classmethod
    def of(cls, turn: Turn, options: BedrockOptions) -> "_Sending":
        refuse_upstream_tools(turn)
        traits = traits_of(options.base_models.get(turn.model, turn.model))
        names = tool_names(turn.tools)
        answer = names.another(ANSWER) if answers_with_tool(turn, traits, options) else ""
        reading = Reading(names, answer, traits.summarised, traits.plain_reasoning, traits.think_tags)
        return cls(turn, options, traits, reading)

    def body(self, settings: ProviderSettings) -> JsonObject:
        turn, traits, reading = self.turn, self.traits, self.reading
        past = conversation(turn, traits, reading.names, reasoning=not is_off(turn, traits))
        tools = tool_config(turn, traits, reading.names, past.called, reading.answer)
        thinking = asked(turn, traits, past.messages, forced=bool(tools and "toolChoice" in tools))
        form = None if reading.answer else text_format(turn)
        system = [*past.system, *([{"text": JSON_ONLY}] if wants_json(turn) else [])]
        tier = turn.request.service_tier
        parts: dict[str, object] = {
            "messages": past.messages,
            "system": system,
            "inferenceConfig": thinking.inference,
            "toolConfig": tools,
            "additionalModelRequestFields": thinking.more,
            "outputConfig": {"textFormat": form} if form else None,
            "serviceTier": {"type": tier} if tier in ("flex", "priority") else None,
        }
        body: JsonObject = {name: value for name, value in parts.items() if value}  # pyright: ignore[reportAssignmentType]
        mark(body, traits, self.options)
        nested = ("inferenceConfig", "additionalModelRequestFields")
        return with_options(_joined(body, self.options.extra_body), turn.request, settings.name, nested=nested)


def _joined(body: JsonObject, extra: JsonObject) -> JsonObject:
    """`extra` wins, field by field of what both have."""
    joined = dict(body)
    for name, value in extra.items():
        joined[name] = {**fields(body.get(name)), **value} if isinstance(value, dict) else value
    return joined


def _region_in(base_url: str) -> str:
    found = search(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.", base_url)
    return found[1] if found else ""
