"""Amazon Bedrock: ConverseStream, for every model that Bedrock has.

Some models take tools, but not in a stream, as Meta's do: where there are tools, those are asked by Converse, and
answer at once.

`base_url` is the endpoint, or empty for the region's own (for a VPC's or a FIPS endpoint it must be given). `api_key`
is a Bedrock API key; without one, requests are signed by the credentials that AWS's own chain finds, which in Lambda
are those of the function's role. The settings' `headers` are sent too, unsigned. A model is named by its id, its
inference profile's, or an ARN.

| option | default | effect |
|---|---|---|
| `region` | AWS's own | the region to call, and to sign for |
| `base_models` | {} | by a model's name, the id of what is behind it, where it doesn't say (an application's profile) |
| `cache` | "5m" | how long prompts are kept, where the model can: "5m", "1h" (Claude 4.5, 4.7 and later), or "off" |
| `structured_output` | "auto" | a JSON schema goes as `outputConfig` ("native"), or as a tool ("tool"), or is told |
| `extra_body` | {} | fields to add to each request: `guardrailConfig`, `performanceConfig`, `requestMetadata`, ... |

A request's own `provider.options.<name>` are those of `allowed`; they join what is there. `shared_files` admits `s3://`.

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

from re import search, sub
from urllib.parse import quote, unquote

from ...core.errors import RequestError
from ...core.settings import ProviderSettings
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...transport.http import Network
from .._shared.http_dialect import CountingDialect, HttpDialect, WireCount, WireTurn, bearer
from .._shared.json import fields
from .._shared.naming import tool_names
from .._shared.options import read_options
from .._shared.tools import refuse_upstream_tools
from .allowed import ALLOWED
from .errors import ERRORS
from .messages import conversation
from .models import BedrockOptions, Traits, traits_of
from .request import ANSWER, answers_with_tool, format_instructions, mark, text_format, tool_config
from .signing import Signer
from .stream import BedrockDecoder, Reading, events_of, events_of_whole
from .thinking import asked, is_off


def connect(settings: ProviderSettings, network: Network | None = None) -> HttpDialect:
    """Raises ValueError for settings that can't work."""
    options, key = read_options(BedrockOptions, settings), settings.api_key.strip()
    signer = Signer(options.region or _region_in(settings.base_url))

    def wire(turn: Turn) -> WireTurn:
        refuse_upstream_tools(turn)
        if ":prompt/" in turn.model and not options.shared_files:
            raise RequestError("A prompt that is stored with the provider is no model here", param="model")
        traits = traits_of(options.base_models.get(turn.model, turn.model))
        names = tool_names(turn.tools)
        answer = names.another(ANSWER) if answers_with_tool(turn, traits, options) else ""
        reading = Reading(names, answer, traits.summarised, traits.plain_reasoning, traits.think_tags)
        body, path = encode(turn, options, traits, reading), f"/model/{quote(turn.model, safe='')}/converse"
        if "toolConfig" in body and not traits.streams_calls:
            headers = {"accept": "application/json"}
            return WireTurn(path, body, BedrockDecoder(reading), headers, whole=events_of_whole)
        return WireTurn(f"{path}-stream", body, BedrockDecoder(reading))

    def count(wire: WireTurn) -> WireCount:
        model = unquote(wire.path.split("/")[2])
        base = sub(_GEOGRAPHY, "", options.base_models.get(model, model))
        read: JsonObject = {name: wire.body[name] for name in _COUNTED if name in wire.body}
        return WireCount(f"/model/{quote(base, safe='')}/count-tokens", {"input": {"converse": read}}, "inputTokens")

    return CountingDialect(
        settings=settings,
        errors=ERRORS,
        wire=wire,
        headers={"accept": "application/vnd.amazon.eventstream", **bearer(settings)},
        allowed=ALLOWED,
        objects=events_of,
        base_url=signer.endpoint,
        sign=None if key else signer.sign,
        counting=count,
        uncounted=_UNCOUNTED,
        network=network,
    )


_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
"""`ConverseTokensRequest` in botocore's bedrock-runtime."""
_GEOGRAPHY = r"^(us-gov|us|eu|apac|au|ca|jp|global)\."
"""Begins the id of a profile that serves a model from several Regions: CountTokens takes the model's own id alone
(pydantic/pydantic-ai#3367)."""
_UNCOUNTED = (b"support counting tokens", b"model identifier is invalid")
"""Of models that it doesn't count for (https://alchemy.run/providers/aws/bedrock/counttokens), some of them Claude's
that only profiles serve ("Monitor your token usage by counting tokens" in Amazon Bedrock's user guide)."""


def encode(turn: Turn, options: BedrockOptions, traits: Traits, reading: Reading) -> JsonObject:
    """The request's body; the model is in its path. Raises RequestError for content that this wire can't carry."""
    reasons = not is_off(turn, traits)
    past = conversation(turn, traits, reading.names, reasoning=reasons, shared=options.shared_files)
    tools = tool_config(turn, traits, reading.names, past.called, reading.answer)
    thinking = asked(turn, traits, past.messages, forced=bool(tools and "toolChoice" in tools))
    form = text_format(turn, traits, options)
    system = [*past.system, *format_instructions(turn, traits, options)]
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
    mark(body, traits, options)
    return _joined(body, options.extra_body)


def _joined(body: JsonObject, extra: JsonObject) -> JsonObject:
    """`extra` wins, field by field of what both have."""
    joined = dict(body)
    for name, value in extra.items():
        joined[name] = {**fields(body.get(name)), **value} if isinstance(value, dict) else value
    return joined


def _region_in(base_url: str) -> str:
    found = search(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.", base_url)
    return found[1] if found else ""
