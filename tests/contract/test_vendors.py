"""What each vendor is sent that others are sent otherwise: facts fill the options, for both of OpenAI's wires."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import ProviderRejected
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn
from openresponses.dialects import connect
from openresponses.dialects._shared.checking import misfit
from openresponses.dialects._shared.http_dialect import HttpDialect
from openresponses.dialects._shared.vendors import vendor_at
from openresponses.schema.effort import nearest
from tests.contract import turns
from tests.contract.turns import call, decoded, encode, output, turn
from tests.fakes.chat_completions_rules import check as check_chat
from tests.fakes.openai_responses_rules import check as check_responses
from tests.fakes.server import fake_upstream
from tests.fakes.wire import Rules
from tests.unit.kit import Json

CHECKS = {"chat_completions": check_chat, "openai_responses": check_responses}


def settings(vendor: str, dialect: str = "chat_completions", **options: Any) -> ProviderSettings:
    return ProviderSettings("v", dialect, "http://127.0.0.1:9/v1", options={"vendor": vendor, **options})


def asked(effort: str | None = None, **fields: Any) -> Turn:
    return turn(**fields, **({"reasoning": {"effort": effort}} if effort else {}))


def sent(vendor: str, model: str, dialect: str = "chat_completions", /, **fields: Any) -> dict[str, Any]:
    """Beside what is always sent. The fake of the vendor takes it."""
    made = asked(model=model, **fields)
    body = encode(made, settings(vendor, dialect))
    CHECKS[dialect]({}, body, Rules(strict=vendor not in ("openai", "azure"), vendor=vendor))
    always = ("model", "messages", "input", "instructions", "stream", "stream_options", "store", "include", "tools")
    return {name: value for name, value in body.items() if name not in always}


NEAREST = {
    ("low", "low medium high"): "low",
    ("minimal", "low medium high"): "low",
    ("none", "low medium high"): "low",
    ("max", "low medium high"): "high",
    ("ultra", "none low high max"): "max",
    ("medium", "low high max"): "high",
    ("xhigh", "low high max"): "max",
    ("minimal", "none high"): "none",
    ("low", "none high"): "high",
    ("default", "none default"): "default",
    ("enormous", "none high"): None,
    ("high", ""): None,
}


@pytest.mark.parametrize(("effort", "allowed"), NEAREST)
def test_an_effort_becomes_the_nearest_that_is_taken(effort: str, allowed: str) -> None:
    assert nearest(effort, allowed.split()) == NEAREST[effort, allowed]


ON, OFF = {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}
EFFORTS: dict[tuple[str, str], Mapping[str, Json]] = {
    ("openai", "gpt-5-mini"): {"none": {"reasoning_effort": "minimal"}, "max": {"reasoning_effort": "high"}},
    ("openai", "gpt-5.1"): {"minimal": {"reasoning_effort": "low"}, "none": {"reasoning_effort": "none"}},
    ("openai", "gpt-5.4-mini"): {"max": {"reasoning_effort": "xhigh"}},
    ("openai", "gpt-5.6-luna"): {"max": {"reasoning_effort": "max"}, "ultra": {"reasoning_effort": "max"}},
    ("openai", "o3"): {"none": {"reasoning_effort": "low"}, "xhigh": {"reasoning_effort": "high"}},
    ("openai", "gpt-4.1"): {"high": {}},
    ("openai", "gpt-9"): {"high": {"reasoning_effort": "high"}, "enormous": {"reasoning_effort": "enormous"}},
    ("groq", "openai/gpt-oss-20b"): {"none": {"reasoning_effort": "low"}, "xhigh": {"reasoning_effort": "high"}},
    ("groq", "qwen/qwen3-32b"): {"none": {"reasoning_effort": "none"}, "low": {"reasoning_effort": "default"}},
    ("groq", "qwen/qwen3.8-27b"): {"low": {"reasoning_effort": "low"}, "max": {"reasoning_effort": "high"}},
    ("groq", "llama-3.3-70b-versatile"): {"high": {}},
    ("cerebras", "gpt-oss-120b"): {"none": {"reasoning_effort": "low"}, "max": {"reasoning_effort": "high"}},
    ("cerebras", "zai-glm-4.7"): {"none": {"reasoning_effort": "none"}, "medium": {}},
    ("xai", "grok-4"): {"high": {}},
    ("xai", "grok-3-mini"): {"none": {"reasoning_effort": "low"}, "medium": {"reasoning_effort": "high"}},
    ("xai", "grok-4.3"): {"none": {"reasoning_effort": "none"}, "max": {"reasoning_effort": "high"}},
    ("xai", "grok-4.5"): {"none": {"reasoning_effort": "low"}},
    ("mistral", "mistral-small-latest"): {"none": {"reasoning_effort": "none"}, "low": {"reasoning_effort": "high"}},
    ("mistral", "magistral-medium-latest"): {"high": {}},
    ("deepseek", "deepseek-v4-flash"): {"none": OFF, "xhigh": {"reasoning_effort": "xhigh"}},
    ("qwen", "qwen3.5-plus"): {"none": {"enable_thinking": False}, "low": {"enable_thinking": True}},
    ("qwen", "qwen3-coder-plus"): {"high": {}},
    ("moonshot", "kimi-k2.6"): {"none": OFF, "medium": ON},
    ("moonshot", "kimi-k3"): {"none": {"reasoning_effort": "low"}, "xhigh": {"reasoning_effort": "max"}},
    ("moonshot", "kimi-k2.7-code"): {"none": {}, "high": {}},
    ("zai", "glm-4.7"): {"none": OFF, "low": ON},
    ("zai", "glm-5.2"): {"none": OFF, "minimal": {"reasoning_effort": "minimal"}},
    ("zai", "glm-5.3"): {"none": {"reasoning_effort": "low"}, "xhigh": {"reasoning_effort": "max"}},
    ("together", "zai-org/GLM-5"): {"none": {"reasoning": {"enabled": False}}, "low": {"reasoning": {"enabled": True}}},
    ("together", "openai/gpt-oss-20b"): {"none": {"reasoning_effort": "low"}},
    ("together", "meta-llama/Llama-3.3-70B"): {"high": {}},
    ("openrouter", "openai/gpt-oss-20b"): {"ultra": {"reasoning": {"effort": "max"}}},
    ("gemini", "gemini-3.8-flash"): {"none": {"reasoning_effort": "minimal"}, "max": {"reasoning_effort": "high"}},
    ("gemini", "gemini-2.5-flash"): {"none": {"reasoning_effort": "none"}},
    ("ollama", "qwen3"): {"minimal": {"reasoning_effort": "low"}, "max": {"reasoning_effort": "max"}},
    ("", "anything"): {"max": {"reasoning_effort": "max"}},
}  # fmt: skip


@pytest.mark.parametrize(("vendor", "model"), EFFORTS)
def test_effort_is_said_in_the_vendors_own_words_and_range(vendor: str, model: str) -> None:
    said = {effort: sent(vendor, model, effort=effort) for effort in EFFORTS[vendor, model]}
    assert said == EFFORTS[vendor, model]


RESPONSES_EFFORTS: dict[tuple[str, str], Mapping[str, str | None]] = {
    ("openai", "gpt-5"): {"none": "minimal", "max": "high"},
    ("openai", "gpt-5.6-sol"): {"max": "max", "minimal": "low"},
    ("openai", "gpt-4.1-mini"): {"high": None},
    ("bedrock", "openai.gpt-oss-120b"): {"none": "low", "max": "high"},
    ("bedrock", "openai.gpt-5.6-luna"): {"max": "max"},
    ("deepseek", "deepseek-v4-flash"): {"none": "none", "max": "max"},
    ("groq", "qwen/qwen3-32b"): {"high": "default"},
    ("xai", "grok-4"): {"high": None},
    ("xai", "grok-4.6"): {"max": "xhigh"},
    ("openrouter", "openai/o3"): {"ultra": "max"},
}


@pytest.mark.parametrize(("vendor", "model"), RESPONSES_EFFORTS)
def test_the_twin_wire_has_the_same_range(vendor: str, model: str) -> None:
    expected = RESPONSES_EFFORTS[vendor, model]
    bodies = {effort: sent(vendor, model, "openai_responses", effort=effort) for effort in expected}
    assert {effort: body.get("reasoning", {}).get("effort") for effort, body in bodies.items()} == expected


SAMPLING = {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": 0.1, "top_logprobs": 2}
PENALTIES = ("presence_penalty", "frequency_penalty")
CHAT_SAMPLING = {**SAMPLING, "logprobs": True}
SAMPLES: dict[tuple[str, str, str | None], set[str]] = {
    ("openai", "gpt-4.1", None): {*CHAT_SAMPLING},
    ("openai", "gpt-5-mini", None): set(),
    ("openai", "o3", "low"): set(),
    ("openai", "gpt-5.1", None): {*CHAT_SAMPLING},
    ("openai", "gpt-5.1", "high"): set(),
    ("openai", "gpt-5.6", None): set(),
    ("openai", "gpt-5.6", "none"): {*CHAT_SAMPLING},
    ("groq", "openai/gpt-oss-20b", None): {"temperature", "top_p", *PENALTIES},
    ("cerebras", "gpt-oss-120b", None): {*CHAT_SAMPLING} - {*PENALTIES},
    ("xai", "grok-4", None): {*CHAT_SAMPLING} - {*PENALTIES},
    ("moonshot", "kimi-k2.6", None): {"logprobs", "top_logprobs"},
    ("moonshot", "moonshot-v1-8k", None): {*CHAT_SAMPLING},
    ("zai", "glm-4.6", None): {*CHAT_SAMPLING} - {*PENALTIES},
    ("together", "openai/gpt-oss-20b", None): {"temperature", "top_p", *PENALTIES, "logprobs"},
    ("", "anything", None): {*CHAT_SAMPLING},
}


@pytest.mark.parametrize(("vendor", "model", "effort"), SAMPLES)
def test_settings_that_a_vendor_refuses_are_left_out(vendor: str, model: str, effort: str | None) -> None:
    body = sent(vendor, model, effort=effort, **SAMPLING)
    assert body.keys() & CHAT_SAMPLING.keys() == SAMPLES[vendor, model, effort]
    if vendor == "together":
        assert body["logprobs"] == 2


def test_the_twin_wire_leaves_them_out_too() -> None:
    body = sent("openai", "gpt-5-mini", "openai_responses", **SAMPLING, include=["message.output_text.logprobs"])
    assert not body.keys() & SAMPLING.keys()
    assert sent("openai", "gpt-4.1", "openai_responses", **SAMPLING).keys() >= {"temperature", "top_p", "top_logprobs"}
    assert not sent("xai", "grok-4", "openai_responses", **SAMPLING).keys() & {*PENALTIES}


EXTRAS = {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "service_tier": "flex"}
EXTRAS_SENT = {
    ("openai", "gpt-4.1"): {*EXTRAS},
    ("mistral", "mistral-small-latest"): {"prompt_cache_key"},
    ("moonshot", "kimi-k3"): {"user", "prompt_cache_key", "service_tier"},
    ("cerebras", "gpt-oss-120b"): {"user", "prompt_cache_key"},
    ("zai", "glm-5"): set[str](),
    ("groq", "openai/gpt-oss-20b"): {"user", "service_tier"},
}


@pytest.mark.parametrize(("vendor", "model"), EXTRAS_SENT)
def test_a_prompt_cache_key_goes_to_those_who_know_it(vendor: str, model: str) -> None:
    assert sent(vendor, model, **EXTRAS).keys() == EXTRAS_SENT[vendor, model]


def test_a_service_tier_has_the_vendors_name() -> None:
    assert sent("groq", "openai/gpt-oss-20b", service_tier="priority") == {"service_tier": "performance"}
    assert sent("openai", "gpt-5.6", service_tier="priority") == {"service_tier": "priority"}
    assert sent("openai", "gpt-5.6", service_tier="auto") == {}
    assert sent("openai", "gpt-5.6", service_tier="scale") == {"service_tier": "scale"}
    assert sent("groq", "openai/gpt-oss-20b", service_tier="scale") == {}


F: Json = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
G: Json = {**F, "name": "g", "strict": True}
FORCED_F = {"type": "function", "name": "f"}


def messages(vendor: str, model: str, **fields: Any) -> list[Any]:
    body = encode(turn(model=model, **fields), settings(vendor))
    check_chat({}, body, Rules(vendor=vendor))
    return body["messages"]


FORCED: dict[tuple[str, str], Json] = {
    ("deepseek", "deepseek-v4-flash"): {**OFF},
    ("qwen", "qwen3.5-plus"): {"enable_thinking": False},
    ("moonshot", "kimi-k2.6"): {**OFF},
    ("openai", "gpt-5"): {},
}


@pytest.mark.parametrize(("vendor", "model"), FORCED)
def test_a_call_is_forced_without_thinking_where_both_are_refused(vendor: str, model: str) -> None:
    named = {"tool_choice": {"type": "function", "function": {"name": "f"}}}
    assert sent(vendor, model, tools=[F], tool_choice=FORCED_F) == {**FORCED[vendor, model], **named}
    assert sent(vendor, model, tools=[F], tool_choice="required") == {
        **FORCED[vendor, model],
        "tool_choice": "required",
    }
    assert sent(vendor, model, tools=[F], tool_choice="auto") == {}


@pytest.mark.parametrize(("vendor", "model"), [("moonshot", "kimi-k3"), ("zai", "glm-5"), ("qwen", "qwq-plus")])
def test_a_call_is_told_where_it_cannot_be_forced(vendor: str, model: str) -> None:
    assert sent(vendor, model, tools=[F], tool_choice=FORCED_F) == {}
    assert messages(vendor, model, instructions="A", tools=[F], tool_choice=FORCED_F)[0] == {
        "role": "system",
        "content": "A\n\nCall the tool 'f' now.",
    }
    told = messages(vendor, model, tools=[F], tool_choice="required")[0]
    assert told == {"role": "system", "content": "Call at least one of the tools now."}
    assert messages(vendor, model, tools=[F]) == [{"role": "user", "content": "Hi"}]


def test_the_twin_wire_forces_without_thinking() -> None:
    body = sent("deepseek", "deepseek-v4-flash", "openai_responses", tools=[F], tool_choice=FORCED_F)
    assert (body["reasoning"], body["tool_choice"]) == ({"effort": "none"}, {"type": "function", "name": "f"})


@pytest.mark.parametrize(("vendor", "model"), [("deepseek", "deepseek-v4-flash"), ("moonshot", "kimi-k2.6")])
def test_so_does_the_wire_of_anthropic(vendor: str, model: str) -> None:
    """As DeepSeek was seen to want it there (deepseek-ai/DeepSeek-V3#1376)."""
    at = settings(vendor, "anthropic")
    forced = encode(asked(model=model, tools=[F], tool_choice="required"), at)
    assert (forced["thinking"], forced["tool_choice"]) == ({"type": "disabled"}, {"type": "any"})
    assert "thinking" not in encode(asked(model=model, tools=[F]), at)
    assert "thinking" not in encode(asked(model=model, tools=[F], tool_choice="required"), settings("", "anthropic"))


SCHEMA: Json = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FORMAT: Json = {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}}
TOLD = "Answer with JSON alone, of this JSON schema:\n" + (
    '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}'
)
BY_OBJECT = {
    ("deepseek", "deepseek-v4-flash"): True,
    ("zai", "glm-5"): True,
    ("moonshot", "moonshot-v1-8k"): True,
    ("moonshot", "kimi-k2.6"): False,
    ("qwen", "qwen-turbo"): True,
    ("qwen", "qwen3.5-plus"): False,
    ("groq", "llama-3.3-70b-versatile"): True,
    ("groq", "openai/gpt-oss-20b"): False,
    ("mistral", "mistral-small-latest"): False,
}


@pytest.mark.parametrize(("vendor", "model"), BY_OBJECT)
def test_a_schema_is_told_where_only_json_is_known(vendor: str, model: str) -> None:
    told = BY_OBJECT[vendor, model]
    assert sent(vendor, model, **FORMAT)["response_format"]["type"] == ("json_object" if told else "json_schema")
    first = messages(vendor, model, instructions="A", **FORMAT)[0]["content"]
    assert first == (f"A\n\n{TOLD}" if told else "A")


def test_the_twin_wire_tells_it_too() -> None:
    body = encode(turn(model="deepseek-v4-flash", **FORMAT), settings("deepseek", "openai_responses"))
    assert (body["text"], body["instructions"]) == ({"format": {"type": "json_object"}}, TOLD)


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ('{"n": 1}', ""),
        ('{"n": "secret"}', "$.n"),
        ('{"m": 1}', "$.n"),
        ("secret", "it is not JSON"),
    ],
)
async def test_an_answer_that_does_not_fit_is_passed_on_and_logged(
    said: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    dialect = connect(settings("deepseek"))
    assert isinstance(dialect, HttpDialect)
    wire = dialect.encode(turn(model="deepseek-v4-flash", **FORMAT))
    await dialect.aclose()
    chunks = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in (said[:3], said[3:])]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    with caplog.at_level(logging.WARNING):
        deltas = await decoded(wire.decoder, [*chunks, end, "[DONE]"])
    assert "".join(delta.text for delta in deltas if isinstance(delta, d.Text)) == said
    assert deltas[-1] == d.Finish("stop")
    found = [record.getMessage() for record in caplog.records]
    expected = f"the answer of deepseek-v4-flash does not fit the schema of its request: {logged}"
    assert found == ([expected] if logged else [])


NODE: Json = {
    "type": "object",
    "properties": {"v": {"enum": [1, 2]}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["v"],
    "additionalProperties": False,
}
TREE: Json = {"$ref": "#/$defs/node", "$defs": {"node": NODE}}
FITS = {
    "a reference": (TREE, {"v": 1, "next": {"v": 2, "next": None}}, ""),
    "a value that is not allowed, deep": (TREE, {"v": 1, "next": {"v": 3}}, "$.next"),
    "a property too many": (TREE, {"v": 1, "w": 1}, "$"),
    "a whole number": ({"type": "integer"}, 2.0, ""),
    "no whole number": ({"type": "integer"}, 2.5, "$"),
    "true is no number": ({"type": "number"}, True, "$"),
    "one of two types": ({"type": ["string", "null"]}, None, ""),
    "an item": ({"type": "array", "items": {"type": "string"}}, ["a", 1], "$[1]"),
    "a constant": ({"const": "a"}, "b", "$"),
    "any": ({}, [1], ""),
    "true": (True, 1, ""),
}


@pytest.mark.parametrize(("schema", "value", "where"), FITS.values(), ids=FITS)
def test_where_a_value_does_not_fit(schema: Any, value: Any, where: str) -> None:
    assert misfit(value, schema, schema if isinstance(schema, dict) else {}) == where


STRICT = {
    ("cerebras", "mixed"): [None, None],
    ("cerebras", "all"): [True],
    ("moonshot", "all"): [None],
    ("zai", "all"): [None],
    ("openai", "mixed"): [None, True],
}


@pytest.mark.parametrize(("vendor", "which"), STRICT)
def test_tools_are_strict_together_or_not_at_all(vendor: str, which: str) -> None:
    offered = [F, G] if which == "mixed" else [G]
    body = encode(turn(model="m", tools=offered), settings(vendor))
    check_chat({}, body, Rules(vendor=vendor, strict=vendor != "openai"))
    assert [each["function"].get("strict") for each in body["tools"]] == STRICT[vendor, which]


def test_mistral_is_not_asked_for_the_usage() -> None:
    assert "stream_options" not in encode(turn(model="mistral-small-latest"), settings("mistral"))


def test_ids_of_calls_have_the_form_that_mistral_takes() -> None:
    """Its own ids stay; any other has one of its own, in each turn the same."""
    history: list[Any] = [{"role": "user", "content": "Hi"}]
    for call_id in ("call_0abcdefghij", "D681PevKs", "call_1", "call_1", "short"):
        history += [call(call_id), output(call_id)]
    made = messages("mistral", "mistral-small-latest", input=history)
    ids = [each["id"] for message in made for each in message.get("tool_calls", ())]
    assert [message["tool_call_id"] for message in made if message["role"] == "tool"] == ids
    assert len(set(ids)) == len(ids) == 5
    assert all(len(each) == 9 and each.isalnum() for each in ids)
    assert ids[1] == "D681PevKs"
    assert messages("mistral", "mistral-small-latest", input=history[:5])[:5] == made[:5]


def test_moonshot_gets_reasoning_on_calls_of_others_that_is_not_empty() -> None:
    history = [{"role": "user", "content": "Hi"}, call("a"), output("a")]
    (_, made, _) = messages("moonshot", "kimi-k2.6", input=history)
    assert made["reasoning_content"] == " "
    (_, made, _) = messages("deepseek", "deepseek-v4-flash", input=history)
    assert made["reasoning_content"] == ""


def test_the_limit_has_the_name_that_the_vendor_knows() -> None:
    assert sent("moonshot", "kimi-k3", max_output_tokens=99) == {"max_completion_tokens": 99}
    assert sent("zai", "glm-5", max_output_tokens=99) == {"max_tokens": 99}


ADDRESSES = {
    "https://api.mistral.ai/v1": "mistral",
    "https://api.moonshot.cn/v1": "moonshot",
    "https://api.z.ai/api/coding/paas/v4": "zai",
    "https://open.bigmodel.cn/api/paas/v4": "zai",
    "https://api.together.xyz/v1": "together",
    "https://dashscope-us.aliyuncs.com/compatible-mode/v1": "qwen",
    "https://eu.api.openai.com/v1": "openai",
    "https://me.openai.azure.com/openai/v1": "azure",
    "https://me.services.ai.azure.com/openai/v1": "foundry",
    "https://bedrock-mantle.us-east-1.api.aws/v1": "bedrock",
    "https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1": "bedrock",
    "https://us-central1-aiplatform.googleapis.com/v1": "vertex",
    "https://generativelanguage.googleapis.com/v1beta/openai": "gemini",
    "https://api.mistral.ai.evil.test/v1": "",
    "http://127.0.0.1:8000/v1": "",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_host_tells_whose_it_is(address: str) -> None:
    assert vendor_at(address) == ADDRESSES[address]


def test_an_option_wins_over_what_is_known_of_the_vendor() -> None:
    body = encode(asked("high", model="grok-4"), settings("xai", efforts={"high": "very"}, omit=[]))
    assert body["reasoning_effort"] == "very"


LOOPS = {
    "openai": ("gpt-5.6", "o3", "gpt-4.1"),
    "groq": ("openai/gpt-oss-20b", "qwen/qwen3-32b", "llama-3.3-70b-versatile"),
    "cerebras": ("gpt-oss-120b", "zai-glm-4.7"),
    "xai": ("grok-4", "grok-4.5"),
    "mistral": ("mistral-small-latest", "magistral-medium-latest"),
    "deepseek": ("deepseek-v4-flash",),
    "qwen": ("qwen3.5-plus", "qwq-plus"),
    "moonshot": ("kimi-k2.6", "kimi-k3"),
    "zai": ("glm-4.7", "glm-5.3"),
    "together": ("zai-org/GLM-5", "openai/gpt-oss-20b"),
    "openrouter": ("openai/gpt-oss-20b",),
    "ollama": ("qwen3",),
}
EVERYTHING: dict[str, Any] = {
    **SAMPLING,
    **EXTRAS,
    **FORMAT,
    "reasoning": {"effort": "xhigh"},
    "tools": [{"type": "serverless:clock"}, F, G],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "max_output_tokens": 999,
    "instructions": "Be exact.",
}


@pytest.mark.parametrize(("vendor", "model"), [(vendor, model) for vendor, models in LOOPS.items() for model in models])
async def test_a_vendor_refuses_no_turn_of_a_loop_that_asks_for_everything(vendor: str, model: str) -> None:
    """The history has a call that another provider made. Where the fake thinks it signs a call, by an id that Mistral
    would not make."""
    said = [{"role": "user", "content": "Hi"}, call("call_of_another"), output("call_of_another")]
    question = {"role": "user", "content": f"/fake tools;turns=2;reasoning={0 if vendor == 'mistral' else 2}"}
    rules = Rules(vendor=vendor, strict=vendor != "openai")
    async with fake_upstream("chat_completions", rules=rules) as upstream:
        at = ProviderSettings("v", "chat_completions", upstream.url, options={"vendor": vendor})
        run = await turns.driven(at, model=model, input=[*said, question], **EVERYTHING)
    assert (upstream.refused, run.turns) == ([], 3)
    assert [item.type for item in run.response.output if item.type != "reasoning"][-1] == "message"


@pytest.mark.parametrize("vendor", sorted({*LOOPS} - {"openrouter"}))
async def test_without_its_rules_the_same_loop_is_refused(vendor: str) -> None:
    async with fake_upstream("chat_completions", rules=Rules(vendor=vendor)) as upstream:
        at = ProviderSettings("v", "chat_completions", upstream.url)
        with pytest.raises(ProviderRejected):
            await turns.driven(at, model=LOOPS[vendor][0], input="/fake tools;turns=2", **EVERYTHING)
    assert len(upstream.refused) == 1
