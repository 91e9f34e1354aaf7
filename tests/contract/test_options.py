"""What a request may say to its provider: every field that a vendor's own types have is tried, in every spelling."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsBase as AnthropicBeta
from anthropic.types.message_create_params import MessageCreateParamsBase as Anthropic
from botocore.model import Shape
from botocore.session import Session
from google.genai import types as google
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import BaseModel

from openresponses.core.errors import RequestError
from openresponses.core.settings import ProviderSettings
from openresponses.dialects import connect
from openresponses.dialects._shared.http_dialect import HttpDialect
from openresponses.dialects._shared.options import MOST_BYTES
from openresponses.dialects._shared.vendors import VENDORS
from tests.contract import turns
from tests.sweeps import Sweep

SAMPLING = {"top_k", "min_p", "repetition_penalty"}
CHAT = {"seed", "stop", "logit_bias"}
OWN = CHAT | SAMPLING | {"chat_template_kwargs.enable_thinking", "chat_template_kwargs.thinking"}
CONFIG = {"topK", "seed", "stopSequences", "responseModalities", "mediaResolution", "imageConfig.aspectRatio"}
GEMINI = {f"generationConfig.{name}" for name in CONFIG}
CONVERSE = {"inferenceConfig.stopSequences", "additionalModelRequestFields.top_k"}
ALLOWED: dict[str, dict[str, set[str]]] = {
    "anthropic": {"": {"top_k", "stop_sequences"}},
    "bedrock": {"": CONVERSE},
    "gemini": {"": GEMINI, "vertex": GEMINI | {"generationConfig.audioTimestamp"}},
    "openai_responses": {vendor: {"top_k"} for vendor in ("", "vllm", "ollama", "lmstudio", "openrouter")},
    "chat_completions": {
        "": OWN,
        "vllm": OWN,
        "openrouter": CHAT | SAMPLING | {"top_a"},
        "together": CHAT | SAMPLING,
        "qwen": CHAT | {"top_k", "thinking_budget"},
        "groq": CHAT | {"reasoning_format"},
        "mistral": CHAT | {"random_seed", "safe_prompt"},
    },
}
"""By dialect and vendor. Any other vendor has what OpenAI's wire has, or nothing."""
OTHERS = {"anthropic": ALLOWED["anthropic"][""], "bedrock": CONVERSE, "gemini": GEMINI, "chat_completions": CHAT}

CHAINED = [
    # OpenRouter, "API parameters", "Provider routing", "Model routing", "Presets", "Plugins".
    *(
        "models",
        "provider",
        "route",
        "preset",
        "plugins",
        "transforms",
        "web_search_options",
        "min_p",
        "top_a",
        "usage",
    ),
    # LiteLLM, "Fallbacks", "Input params".
    *("fallbacks", "context_window_fallbacks", "api_base", "base_url", "api_key", "api_version", "custom_llm_provider"),
    *("model_list", "mock_response", "guardrails", "tags", "num_retries", "extra_body", "extra_headers", "cache"),
    # vLLM, "Extra parameters"; SGLang; LM Studio; Ollama.
    *(
        "top_k",
        "repetition_penalty",
        "guided_regex",
        "guided_grammar",
        "structured_outputs",
        "chat_template",
        "priority",
    ),
    *("chat_template_kwargs.enable_thinking", "chat_template_kwargs.chat_template", "chat_template_kwargs.thinking"),
    *("ignore_eos", "min_tokens", "best_of", "use_beam_search", "skip_special_tokens", "prompt_logprobs", "lora_path"),
    *("kv_transfer_params", "vllm_xargs", "cache_salt", "mm_processor_kwargs", "documents", "options", "keep_alive"),
    # Together, Groq, Mistral, xAI, Qwen, Z.ai, Cerebras, Gemini's compatible endpoint.
    *("safety_model", "reasoning_format", "include_reasoning", "compound_custom", "search_settings", "random_seed"),
    *("safe_prompt", "prompt_mode", "search_parameters", "deferred", "enable_search", "search_options", "do_sample"),
    *("thinking_budget", "enable_thinking", "thinking", "reasoning", "tool_stream", "clear_thinking", "google"),
]
"""What servers that speak OpenAI's wires take beside OpenAI's own fields, by their documentation."""


def fields(kind: type) -> set[str]:
    return {name for each in kind.__mro__ for name in getattr(each, "__annotations__", {})}


def google_fields(kind: type[BaseModel], before: str = "", depth: int = 3) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        path = f"{before}{field.alias or name}"
        yield path
        inside = [each for each in get_args(field.annotation) if isinstance(each, type) and issubclass(each, BaseModel)]
        for each in inside if depth else ():
            yield from google_fields(each, f"{path}.", depth - 1)


def botocore_fields(shape: Shape, before: str = "", depth: int = 3) -> Iterator[str]:
    for name, inside in getattr(shape, "members", {}).items():
        yield f"{before}{name}"
        if depth:
            yield from botocore_fields(inside, f"{before}{name}.", depth - 1)


CONVERSE_STREAM = Session().get_service_model("bedrock-runtime").operation_model("ConverseStream").input_shape
assert CONVERSE_STREAM
CLAUDE = fields(Anthropic) | fields(AnthropicBeta) | {"top_k", "top_p", "temperature", "anthropic_beta"}
FIELDS: dict[str, set[str]] = {
    "anthropic": CLAUDE,
    "bedrock": {
        *botocore_fields(CONVERSE_STREAM),
        *(f"additionalModelRequestFields.{name}" for name in CLAUDE | {"inferenceConfig.topK", "reasoning_config"}),
    },
    "gemini": {
        *google_fields(google.GenerateContentConfig, depth=1),
        *(f"generationConfig.{path}" for path in google_fields(google.GenerationConfig)),
        *(f"generationConfig.{path}" for path in google_fields(google.GenerateContentConfig, depth=1)),
        *("contents", "model", "safetySettings", "extra_body"),
    },
    "openai_responses": {*fields(ResponseCreateParamsBase), "stream", *CHAINED},
    "chat_completions": {*fields(CompletionCreateParamsBase), "stream", *CHAINED},
}


def spellings(path: str) -> set[str]:
    """As a server may read it that is not strict about names."""
    snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", path).lower()
    camel = re.sub(r"_([a-z])", lambda found: found[1].upper(), path)
    odd = {path.upper(), path.title(), snake.replace("_", "-"), f" {path}", f"{path}\u200b", path.replace("_", "")}
    return {path, snake, camel, *odd, path.replace("k", "\u212a"), f"{path}\x00"}


def nested(path: str, value: Any) -> Any:
    """The dots are those of objects."""
    head, _, rest = path.partition(".")
    return {head: nested(rest, value) if rest else value}


def connected(dialect: str, vendor: str = "", **options: Any) -> HttpDialect:
    told = {"vendor": vendor} if vendor else {}
    settings = ProviderSettings("v", dialect, "http://127.0.0.1:9/v1", options={**told, **options})
    made = connect(settings)
    assert isinstance(made, HttpDialect)
    return made


def sent(at: HttpDialect, options: Any) -> Any:
    return at.encode(turns.turn(provider={"options": {"v": options}})).body


def answered(at: HttpDialect, options: Any) -> tuple[Any, str]:
    """The body, or else the field that is refused."""
    try:
        return sent(at, options), ""
    except RequestError as error:
        return None, error.param


def told(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        print(f"\n{line}")


@pytest.mark.parametrize("dialect", ALLOWED)
def test_a_request_sets_what_is_listed_and_nothing_else(
    dialect: str, sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    vendors = sorted({*ALLOWED[dialect], *(VENDORS if dialect in ("chat_completions", "openai_responses") else ())})
    tries = [
        (vendor, path, dotted)
        for vendor in vendors
        for field in sorted(FIELDS[dialect] | {each for known in ALLOWED[dialect].values() for each in known})
        for path in sorted(spellings(field))
        for dotted in ((False, True) if "." in path else (False,))
    ]
    at = {vendor: connected(dialect, vendor) for vendor in vendors}
    tried, went, through = 0, 0, list[str]()
    always = {vendor: sent(at[vendor], {}) for vendor in vendors}
    for vendor, path, dotted in sweep.sample(tries, 1_500):
        value = "parsed" if path == "reasoning_format" else 1
        allowed = not dotted and path in ALLOWED[dialect].get(vendor, OTHERS.get(dialect, set()))
        tried += 1
        body, param = answered(at[vendor], {path: value} if dotted else nested(path, value))
        if body is None:
            assert not allowed, (vendor, path)
            assert f"provider.options.v.{path}".startswith(param)
            assert param.startswith("provider.options.v.")
        else:
            went += allowed
            through += [] if allowed else [f"{vendor}: {path}"]
            assert body != always[vendor]
    told(capsys, f"options, {dialect}: {tried} tries, {went} of them allowed, {len(through)} others through")
    assert through == []


def test_all_that_is_listed_is_sent_as_it_is_written() -> None:
    for dialect, vendors in ALLOWED.items():
        for vendor, paths in vendors.items():
            for path in paths:
                value = "hidden" if path == "reasoning_format" else 1
                body = sent(connected(dialect, vendor), nested(path, value))
                for name in path.split("."):
                    body = body[name]
                assert body == value


NOT_SETTINGS: dict[str, Any] = {
    "an object in a list": {"stop": [{"a": 1}]},
    "an object in an object": {"logit_bias": {"1": {"a": 1}}},
    "no number": {"seed": float("nan")},
    "too much": {"stop": ["x" * MOST_BYTES]},
    "reasoning in the text": {"reasoning_format": "raw"},
    "an empty tool": {"tools": {}},
    "a folder that is none": {"chat_template_kwargs": "x"},
    "a list for a folder": {"chat_template_kwargs": [{"enable_thinking": True}]},
    "beside what is allowed": {"seed": 1, "n": 2},
    "what the server sets": {"stream": False},
}


@pytest.mark.parametrize("options", NOT_SETTINGS.values(), ids=NOT_SETTINGS)
@pytest.mark.parametrize("vendor", ["", "groq"])
def test_a_value_that_could_hide_something_is_refused(vendor: str, options: Any) -> None:
    with pytest.raises(RequestError) as raised:
        sent(connected("chat_completions", vendor), options)
    assert raised.value.param.startswith("provider.options.v")


def test_an_operator_can_allow_more() -> None:
    allowed = ["web_search_options", "reasoning.max_tokens", "metadata"]
    at = connected("chat_completions", allow_options=allowed)
    asked = {"web_search_options": {"user_location": {"type": "x"}}, "reasoning": {"max_tokens": 9}, "seed": 1}
    assert {name: value for name, value in sent(at, asked).items() if name in asked} == asked
    for options, param in (
        ({"reasoning": {"max_tokens": 9, "exclude": True}}, "reasoning.exclude"),
        ({"reasoning": 1}, "reasoning"),
        ({"models": ["x"]}, "models"),
    ):
        with pytest.raises(RequestError) as raised:
            sent(at, options)
        assert raised.value.param == f"provider.options.v.{param}"


def test_what_an_operator_allows_joins_what_the_server_sets_and_never_replaces_it() -> None:
    at = connected("gemini", allow_options=["generationConfig", "model", "contents"])
    asked = {"generationConfig": {"candidateCount": 2, "topK": 3}}
    turn = turns.turn(temperature=0, provider={"options": {"v": asked}})
    assert at.encode(turn).body["generationConfig"] == {"temperature": 0.0, "candidateCount": 2, "topK": 3}
    for options in ({"generationConfig": {"temperature": 1}}, {"generationConfig": 1}, {"contents": []}):
        with pytest.raises(RequestError, match="the server sets it"):
            at.encode(turns.turn(temperature=0, provider={"options": {"v": options}}))


@pytest.mark.parametrize("allowed", [["a..b"], [""], [" a"], [1], "seed"])
def test_what_names_no_field_can_not_be_allowed(allowed: Any) -> None:
    with pytest.raises(ValueError, match=r"options\.allow_options"):
        connected("chat_completions", allow_options=allowed)


def test_the_documentation_lists_them_all() -> None:
    page = (Path(__file__).parents[2] / "docs/providers.md").read_text()
    listed = page.partition("## What a request may say to its provider")[2].partition("\n## ")[0]
    paths = {
        path.removeprefix("generationConfig.")
        for vendors in ALLOWED.values()
        for each in vendors.values()
        for path in each
    }
    assert {path for path in paths if f"`{path}`" not in listed} == set()


def test_options_for_others_change_nothing() -> None:
    turn = turns.turn(provider={"options": {"w": {"tools": [1]}, "V": {"model": "x"}}})
    assert json.dumps(connected("chat_completions").encode(turn).body) == json.dumps(
        sent(connected("chat_completions"), {})
    )
