"""Anthropic's Messages API: Claude, and the Messages endpoints of DeepSeek, Moonshot, Z.ai, MiniMax, vLLM, Ollama, ...

`base_url` is the URL before `/messages`: `https://api.anthropic.com/v1`, `https://api.deepseek.com/anthropic/v1`,
`https://api.z.ai/api/anthropic/v1`, `http://localhost:11434/v1`. The key goes into `x-api-key`; the settings'
`headers` are sent too, and win (`anthropic-version`, `authorization: Bearer ...`); `anthropic-beta` is added to.

| option | default | effect |
|---|---|---|
| `max_tokens` | by the model's name | the limit of a request without one: the API needs one; 8192 if not known |
| `thinking` | by the model's name | "adaptive", "budget" or "none": what the model has |
| `drop_stale_thinking` | true | have thinking dropped, not refused, if what was before it changed (a beta) |
| `cache` | "5m" | how long the prompt is cached for: "5m", "1h", or false: don't mark it |
| `structured_outputs` | by the model's name | have JSON schemas enforced; else they are told in the instructions |
| `forced_calls` | "as_asked" | "not_thinking": turn thinking off for a forced call, where a vendor refuses both |
| `strict_tools` | false | have `strict` tools enforced, which the API has limits for |
| `web_search` | false | let the vendor search where a client offers `web_search`; costs per search |

What models take differs, by their names: see `models`. What else is not sent as it is asked for:

| setting | what is sent |
|---|---|
| `reasoning.effort` | `output_config.effort`, or a share of `max_tokens` as the budget of thinking |
| `reasoning.effort: none` | thinking turned off, and earlier thinking left out; the least effort, where it can't be |
| `reasoning.summary` | `display: summarized`, whichever summary is asked for |
| `temperature`, `top_p` | the first, up to 1, or else the second; neither while thinking, nor to Claude 4.7 and later |
| `tool_choice: required` | forced, without thinking; an instruction, where the model takes no forced calls |
| `text.format` | its schema in the subset that can be enforced; one that can't be, and JSON alone, as an instruction |
| `safety_identifier`, or else `user` | `metadata.user_id` |
| `service_tier: default` | `standard_only` |

Not sent: `presence_penalty`, `frequency_penalty`, `top_logprobs`, `prompt_cache_key`, `text.verbosity`,
`truncation`, the other service tiers, an image's `detail`.
"""

import json
from typing import cast

from pydantic import JsonValue

from ...core.settings import ProviderSettings
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.request import Format, JsonObjectFormat, JsonSchemaFormat
from ...transport.http import Network
from .._shared.http_dialect import CountingDialect, HttpDialect, WireCount, WireTurn
from .._shared.json import fields
from .._shared.options import read_options
from .._shared.schemas import constrained, enforceable
from .allowed import ALLOWED
from .errors import ERRORS
from .messages import Prompt, prompt, text_block
from .models import FACTS, AnthropicOptions, Profile, profile_of
from .request import WEB_SEARCH, order, tools
from .stream import AnthropicDecoder
from .thinking import BINDING_BETA, began_without_thinking, effort, is_off, thinking

VERSION = "2023-06-01"
"""The one that all servers know. Nothing in 2026-10-21 is of use here, and it takes no sampling parameters."""
WITHOUT_SAMPLING = "2026-10-21"


def connect(settings: ProviderSettings, network: Network | None = None) -> HttpDialect:
    """Raises ValueError for settings that can't work."""
    read_options(AnthropicOptions, settings, FACTS)
    key = settings.api_key.strip()
    headers = {name.lower(): value for name, value in settings.headers.items()}
    version, beta = headers.get("anthropic-version", VERSION), headers.get("anthropic-beta")

    def wire(turn: Turn) -> WireTurn:
        options = read_options(AnthropicOptions, settings, FACTS, turn.model)
        profile = profile_of(turn.model, options)
        body = encode(turn, options, profile, version)
        bound = "block_binding" in fields(body.get("thinking"))
        betas = {"anthropic-beta": ",".join(filter(None, (beta, BINDING_BETA)))} if bound else {}
        return WireTurn("/messages", body, AnthropicDecoder(turn.tools, summarised=profile.claude), betas)

    return CountingDialect(
        settings=settings,
        errors=ERRORS,
        wire=wire,
        headers={"anthropic-version": VERSION, **({"x-api-key": key} if key else {})},
        allowed=ALLOWED,
        counting=_count,
        network=network,
    )


def runs(settings: ProviderSettings, model: str) -> frozenset[str]:
    searches = read_options(AnthropicOptions, settings, FACTS, model).web_search
    return frozenset({WEB_SEARCH} if searches else ())


_COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")
"""anthropic.types.MessageCountTokensParams."""


def _count(wire: WireTurn) -> WireCount:
    body: JsonObject = {name: wire.body[name] for name in _COUNTED if name in wire.body}
    return WireCount("/messages/count_tokens", body, "input_tokens", wire.headers)


def encode(turn: Turn, options: AnthropicOptions, profile: Profile, version: str) -> JsonObject:
    """The request's body. Raises RequestError for content that this wire can't carry."""
    form = turn.request.text.format if turn.request.text else None
    thinking_back, shared = not is_off(turn, profile), options.shared_files
    said = prompt(turn, profile, thinking=thinking_back, order=order(turn, profile), shared=shared)
    said.system += _format_instructions(form, profile)
    max_tokens = turn.max_output_tokens or options.max_tokens or profile.max_tokens
    thinks = thinking(
        turn,
        profile,
        max_tokens,
        began_without=began_without_thinking(said.messages),
        # What was thought before is bound to the tools, of which a turn that compacts offers none.
        drop_stale=options.drop_stale_thinking or turn.keeps is not None,
    )
    body: dict[str, JsonValue | None] = {
        "model": turn.model,
        "max_tokens": max_tokens,
        **_content(said, tools(turn, profile, options), options.cache),
        "stream": True,
        "thinking": thinks,
        "output_config": _output_config(effort(turn, profile), form, profile),
        **_knobs(turn, profile, thinks, version),
    }
    return {name: cast("JsonValue", value) for name, value in body.items() if value is not None}


def _content(said: Prompt, offered: JsonObject, cache: str | bool) -> JsonObject:
    """Tools, instructions and messages. What is cached is all before a mark, in that order ("Prompt caching").

    The tools are marked by themselves: they stay in the cache where the instructions change. The messages' end is
    marked, and what was their end in the turn before: the API looks back for only 20 blocks. Four marks are the most.
    """
    system: list[JsonValue] = [text_block(text) for text in said.system if text.strip()]
    messages: list[JsonValue] = [{"role": role, "content": content} for role, content in said.messages]
    tools = cast("list[JsonValue]", offered.get("tools", []))
    ends = [content[-1] for role, content in said.messages if role == "user"]
    if cache:
        for block in (*tools[-1:], *system[-1:], *ends[-2:]):
            fields(block)["cache_control"] = {"type": "ephemeral", **({"ttl": cache} if cache == "1h" else {})}
    return {**({"system": system} if system else {}), **offered, "messages": messages}


def _format_instructions(form: Format | None, profile: Profile) -> list[str]:
    """What the model is told of a format that it can't be held to."""
    match form:
        case JsonObjectFormat():
            return ["Answer with one JSON object and nothing else, without a code fence."]
        case JsonSchemaFormat() if not _is_enforced(form, profile):
            schema = json.dumps(form.schema_, ensure_ascii=False)
            return [f"Answer with JSON and nothing else, without a code fence. It must fit this schema:\n{schema}"]
        case _:
            return []


def _is_enforced(form: JsonSchemaFormat, profile: Profile) -> bool:
    return profile.structured_outputs and enforceable(form.schema_)


def _output_config(effort: JsonValue, form: Format | None, profile: Profile) -> JsonObject | None:
    config: JsonObject = {"effort": effort} if effort else {}
    if isinstance(form, JsonSchemaFormat) and _is_enforced(form, profile):
        config["format"] = {"type": "json_schema", "schema": constrained(form.schema_)}
    return config or None


def _knobs(turn: Turn, profile: Profile, thinks: JsonObject | None, version: str) -> dict[str, JsonValue | None]:
    request = turn.request
    sampling: JsonObject = {}
    if profile.sampling and version < WITHOUT_SAMPLING and thinks in (None, {"type": "disabled"}):
        if request.temperature is not None:
            sampling["temperature"] = min(request.temperature, 1.0)
        elif request.top_p is not None:
            sampling["top_p"] = request.top_p
    user = request.safety_identifier or request.user
    return {
        **sampling,
        "metadata": {"user_id": user[:512]} if user else None,
        "service_tier": "standard_only" if request.service_tier == "default" else None,
    }
