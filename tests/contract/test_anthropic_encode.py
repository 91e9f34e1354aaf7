"""What goes upstream for what is asked: tables of requests and the Messages API's bodies made of them."""

import json
import re
from dataclasses import replace
from typing import Any, get_args

import pytest
from anthropic.types import Model
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core.errors import RequestError
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn
from openresponses.dialects import connect
from openresponses.dialects._shared.naming import item_name
from openresponses.dialects._shared.schemas import constrained, enforceable
from openresponses.dialects.anthropic.messages import made_together, tool_names
from openresponses.dialects.anthropic.models import AnthropicOptions, profile_of
from openresponses.dialects.anthropic.thinking import opaque_of
from tests.contract import turns
from tests.contract.anthropic_document import problems
from tests.contract.turns import call, clock, encode, output
from tests.fakes.anthropic_rules import BINDING, MODELS, check, prefix, signature_of
from tests.fakes.wire import Refused, Rules

OPUS, OLD = "claude-opus-5-5", "claude-sonnet-4-5"
DROP: Any = {"drop_stale_thinking": True}
KEEP: Any = {"drop_stale_thinking": False}
MARK = {"cache_control": {"type": "ephemeral"}}


def turn(model: str = OPUS, **fields: Any) -> Turn:
    return turns.turn(model, **fields)


def settings(base_url: str = "http://vendor.test/v1", **options: Any) -> ProviderSettings:
    return ProviderSettings(name="v", dialect="anthropic", base_url=base_url, options={**KEEP, **options})


def encoded(fields: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The body, which is one by the vendor's documents, and that the vendor takes."""
    body = encode(turn(**fields), settings(**options))
    assert problems(body) == []
    check({"anthropic-version": "2023-06-01", "anthropic-beta": BINDING}, json.loads(json.dumps(body)), Rules())
    return body


def sent(fields: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What is sent beside what every request has."""
    body = encoded({"model": OPUS, **fields}, cache=False, **options)
    always = {"model": OPUS, "messages": [user("Hi")], "stream": True, "max_tokens": 128_000}
    return {name: value for name, value in body.items() if always.get(name) != value}


def messages(items: list[Any], fields: dict[str, Any] | None = None, **options: Any) -> Any:
    return encoded({"input": items, **(fields or {})}, cache=False, **options)["messages"]


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": [text(each) if isinstance(each, str) else each for each in content]}


def assistant(*content: Any) -> dict[str, Any]:
    return {**user(*content), "role": "assistant"}


def system(*texts: str) -> dict[str, Any]:
    return {"role": "system", "content": [text(each) for each in texts]}


def use(call_id: str, name: str = "f", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, **more, **({"content": content} if content else {})}


USER = {"role": "user", "content": "Hi"}


def searched(kind: str, index: int, **block: Any) -> dict[str, Any]:
    """A block of the vendor's own search, as a client keeps it."""
    return {"type": f"anthropic:{kind}", "block": {"type": kind, **block}, "index": index}


def said(words: str) -> dict[str, Any]:
    return {"role": "assistant", "content": words}


def thinking(words: str, signature: str = "") -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": signature or signature_of(words, "")}


def redacted() -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": signature_of("redacted", "")}


def thought(block: dict[str, Any], index: int = 0) -> dict[str, Any]:
    """As a client sends it back: it has dropped what it was shown."""
    return {"type": "reasoning", "summary": [], "encrypted_content": opaque_of(block, index)}


BOUND = {"block_binding": {"prefix_mismatch_behavior": "drop_block"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]}
STRICT = {
    "type": "object",
    "properties": {"a": {"type": "integer", "description": "(minimum: 3)"}},
    "required": ["a"],
    "additionalProperties": False,
}
FORM = {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}
KNOBS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "instructions": ({"instructions": "Be exact."}, {}, {"system": [text("Be exact.")]}),
    "instructions without a word": ({"instructions": " "}, {}, {}),
    "limit": ({"max_output_tokens": 99}, {}, {"max_tokens": 99}),
    "limit of the settings": ({}, {"max_tokens": 500}, {"max_tokens": 500}),
    "the request's limit first": ({"max_output_tokens": 99}, {"max_tokens": 500}, {"max_tokens": 99}),
    "end user": ({"user": "u"}, {}, {"metadata": {"user_id": "u"}}),
    "safety identifier": ({"user": "u", "safety_identifier": "s"}, {}, {"metadata": {"user_id": "s"}}),
    "default tier": ({"service_tier": "default"}, {}, {"service_tier": "standard_only"}),
    "priority tier": ({"service_tier": "priority"}, {}, {}),
    "a schema": ({"text": FORM}, {}, {"output_config": {"format": {"type": "json_schema", "schema": STRICT}}}),
    "a schema and an effort": (
        {"text": FORM, "reasoning": {"effort": "low"}},
        {},
        {
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": STRICT}},
        },
    ),
    "a schema that is told": (
        {"text": FORM, "instructions": "A"},
        {"structured_outputs": False},
        {
            "system": [
                text("A"),
                text(
                    "Answer with JSON and nothing else, without a code fence. It must fit this schema:\n"
                    + json.dumps(SCHEMA)
                ),
            ]
        },
    ),
    "JSON": (
        {"text": {"format": {"type": "json_object"}}},
        {},
        {"system": [text("Answer with one JSON object and nothing else, without a code fence.")]},
    ),
    "plain text": ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {}, {}),
    "not sent": (
        {
            "metadata": {"a": "b"},
            "store": True,
            "truncation": "auto",
            "top_logprobs": 3,
            "presence_penalty": 1,
            "frequency_penalty": 1,
            "prompt_cache_key": "k",
            "parallel_tool_calls": False,
            "temperature": 0.5,
            "top_p": 0.5,
        },
        {},
        {},
    ),
    "options of the request": ({"provider": {"options": {"v": {"top_k": 5}}}}, {}, {"top_k": 5}),
}


@pytest.mark.parametrize(("fields", "options", "expected"), KNOBS.values(), ids=KNOBS)
def test_a_setting_of_the_request_is_sent_as_the_vendor_has_it(
    fields: dict[str, Any], options: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert sent(fields, **options) == expected


SAMPLING: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "temperature": (OLD, {"temperature": 0.2}, {"temperature": 0.2}),
    "more than the most": (OLD, {"temperature": 1.7}, {"temperature": 1.0}),
    "one of both": (OLD, {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}),
    "top_p": ("claude-opus-4-6", {"top_p": 0.9}, {"top_p": 0.9}),
    "a model that takes neither": ("claude-opus-4-7", {"temperature": 0.2}, {}),
    "neither while thinking": (
        "claude-opus-4-6",
        {"temperature": 0.2, "reasoning": {"effort": "high"}},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    ),
    "thinking turned off": (
        OLD,
        {"temperature": 0.2, "reasoning": {"effort": "none"}},
        {"temperature": 0.2, "thinking": {"type": "disabled"}},
    ),
}


@pytest.mark.parametrize(("model", "fields", "expected"), SAMPLING.values(), ids=SAMPLING)
def test_sampling_is_set_where_the_model_takes_it(model: str, fields: Any, expected: Any) -> None:
    body = encoded({"model": model, **fields}, cache=False)
    known = {"model", "messages", "stream", "max_tokens"}
    assert {name: value for name, value in body.items() if name not in known} == expected


def budget(tokens: int, **more: Any) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": tokens, **more}


ADAPTIVE = {"type": "adaptive"}
SHOWN = {"display": "summarized"}
F = {"type": "function", "name": "f"}
FORCED = {"tools": [F], "tool_choice": "required"}
THINKING: dict[str, tuple[str, dict[str, Any], dict[str, Any], Any, Any]] = {
    "not asked for": (OPUS, {}, {}, None, None),
    "an effort": (OPUS, {"reasoning": {"effort": "high"}}, {}, ADAPTIVE, "high"),
    "a summary": (OPUS, {"reasoning": {"summary": "auto"}}, {}, {**ADAPTIVE, **SHOWN}, None),
    "the least effort": (OPUS, {"reasoning": {"effort": "minimal"}}, {}, ADAPTIVE, "low"),
    "none, of a model that always thinks": (OPUS, {"reasoning": {"effort": "none"}}, {}, ADAPTIVE, "low"),
    "none": ("claude-opus-5", {"reasoning": {"effort": "none"}}, {}, {"type": "disabled"}, None),
    "none of Sonnet": ("claude-sonnet-5-5", {"reasoning": {"effort": "none"}}, {}, {"type": "between_tools"}, None),
    "none of Haiku": ("claude-haiku-5-5", {"reasoning": {"effort": "none"}}, {}, {"type": "disabled"}, None),
    "the most": (OPUS, {"reasoning": {"effort": "xhigh"}}, {}, ADAPTIVE, "xhigh"),
    "a newer word": (OPUS, {"reasoning": {"effort": "max"}}, {}, ADAPTIVE, "max"),
    "a word beyond it": (OPUS, {"reasoning": {"effort": "ultra"}}, {}, ADAPTIVE, "max"),
    "the most of a model with another most": (
        "claude-sonnet-4-6",
        {"reasoning": {"effort": "xhigh"}},
        {},
        ADAPTIVE,
        "max",
    ),
    "stale thinking is dropped": (OPUS, {}, DROP, {**ADAPTIVE, **BOUND}, None),
    "nothing gets stale there": ("claude-opus-5", {}, DROP, None, None),
    "a share of the limit": (
        OLD,
        {"reasoning": {"effort": "low"}, "max_output_tokens": 10_000},
        {},
        budget(2000),
        None,
    ),
    "the most that is of use": (OLD, {"reasoning": {"effort": "high"}}, {}, budget(32_000), None),
    "the least budget": (OLD, {"reasoning": {"effort": "low"}, "max_output_tokens": 2000}, {}, budget(1024), None),
    "no room for a budget": (OLD, {"reasoning": {"effort": "low"}, "max_output_tokens": 1024}, {}, None, None),
    "a summary of an older model": (
        OLD,
        {"reasoning": {"summary": "auto"}, "max_output_tokens": 10_000},
        {},
        budget(5000, **SHOWN),
        None,
    ),
    "no model that thinks": ("claude-3-5-haiku-20241022", {"reasoning": {"effort": "low"}}, {}, None, None),
    "another vendor's model": ("deepseek-chat", {"reasoning": {"effort": "medium"}}, {}, budget(4096), None),
    "another vendor's, not thinking": (
        "deepseek-chat",
        {"reasoning": {"effort": "none"}},
        {},
        {"type": "disabled"},
        None,
    ),
    "as the settings say": ("claude-opus-4-6", {"reasoning": {"effort": "low"}}, {"thinking": "none"}, None, None),
    "not while a call is forced": (OLD, {**FORCED, "reasoning": {"effort": "low"}}, {}, None, None),
    "adaptive, not while a call is forced": ("claude-opus-4-6", {**FORCED, "reasoning": {}}, {}, None, None),
}


@pytest.mark.parametrize(("model", "fields", "options", "asked", "effort"), THINKING.values(), ids=THINKING)
def test_thinking_is_asked_for_as_the_model_has_it(
    model: str, fields: Any, options: dict[str, Any], asked: Any, effort: Any
) -> None:
    body = encoded({"model": model, **fields}, **options)
    assert (body.get("thinking"), body.get("output_config", {}).get("effort")) == (asked, effort)


def test_sampling_is_not_set_in_a_version_of_the_api_that_has_none() -> None:
    newer = replace(settings(), headers={"Anthropic-Version": "2026-10-21"})
    asked = turn(model=OLD, temperature=0.2)
    assert ("temperature" in encode(asked, settings()), "temperature" in encode(asked, newer)) == (True, False)


NAMES = {
    "claude-opus-4-5-20251101": 64_000,
    "claude-opus-4-1-20250805": 32_000,
    "claude-opus-4-20250514": 32_000,
    "claude-sonnet-4-20250514": 64_000,
    "claude-3-7-sonnet-20250219": 64_000,
    "claude-3-5-haiku-20241022": 8192,
    "claude-3-opus-20240229": 4096,
    "anthropic/claude-opus-4.6": 128_000,
    "eu.anthropic.claude-haiku-4-5-20251001-v1:0": 64_000,
    "claude-sonnet-latest": 128_000,
    "claude-mythos-preview": 128_000,
    "kimi-k2": 8192,
}


@pytest.mark.parametrize(("model", "limit"), NAMES.items())
def test_the_limit_is_the_model_s_own(model: str, limit: int) -> None:
    assert encode(turn(model=model), settings())["max_tokens"] == limit


@pytest.mark.parametrize("model", get_args(get_args(Model)[0]))
def test_every_model_that_the_sdk_names_is_known(model: str) -> None:
    profile = profile_of(model, AnthropicOptions())
    assert (profile.claude, profile.structured_outputs, profile.thinking != "none") == (True, True, True)
    assert profile.max_tokens >= 64_000


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh", None])
@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "name": "f"}])
def test_every_model_takes_every_effort_and_choice(model: str, effort: str | None, choice: Any) -> None:
    asked = {"model": model, "reasoning": {"effort": effort, "summary": "auto"}, "tools": [F], "tool_choice": choice}
    history = [{"role": "system", "content": "A"}, USER, said("Well?"), USER, {"role": "developer", "content": "B"}]
    sent = encoded({**asked, "input": history, "temperature": 0.3, "text": FORM}, **DROP)
    assert [tool["name"] for tool in sent["tools"]] == ["f"]


EMPTY = {"type": "object", "properties": {}}
SENT_F = {"name": "f", "input_schema": EMPTY}
NULLS = {"description": None, "parameters": None, "strict": None}
TOOLS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "nulls are dropped": (OLD, {"tools": [{**F, **NULLS}]}, {"tools": [SENT_F]}),
    "an empty list": (OLD, {"tools": []}, {}),
    "a whole function": (
        OLD,
        {"tools": [{**F, "description": "d", "parameters": SCHEMA, "strict": True}]},
        {"tools": [{"name": "f", "input_schema": SCHEMA, "description": "d"}]},
    ),
    "a hosted tool": (
        OLD,
        {"tools": [{"type": "serverless:clock"}]},
        {"tools": [{"name": "clock", "input_schema": EMPTY}]},
    ),
    "a namespace": (
        OLD,
        {"tools": [{"type": "namespace", "name": "mcp__x", "tools": [F]}]},
        {"tools": [{"name": "mcp__x__f", "input_schema": EMPTY}]},
    ),
    "a name that the vendor doesn't take": (
        OLD,
        {"tools": [{"type": "function", "name": "a.b"}], "tool_choice": {"type": "function", "name": "a.b"}},
        {
            "tools": [{"name": "a_b_2e7336dc", "input_schema": EMPTY}],
            "tool_choice": {"type": "tool", "name": "a_b_2e7336dc"},
        },
    ),
    "a free-text tool": (
        OLD,
        {"tools": [{"type": "custom", "name": "say", "description": "Say."}]},
        {
            "tools": [
                {
                    "name": "say",
                    "input_schema": {
                        "type": "object",
                        "properties": {"input": {"type": "string", "description": "The whole input, as free text."}},
                        "required": ["input"],
                        "additionalProperties": False,
                    },
                    "description": "Say.",
                }
            ]
        },
    ),
    "web search is only a permission": (OLD, {"tools": [F, {"type": "web_search"}]}, {"tools": [SENT_F]}),
    "none": (OLD, {"tools": [F], "tool_choice": "none"}, {}),
    "required": (OLD, FORCED, {"tools": [SENT_F], "tool_choice": {"type": "any"}}),
    "one by name": (
        OLD,
        {"tools": [F, {"type": "serverless:clock"}], "tool_choice": {"type": "serverless:clock"}},
        {
            "tools": [{"name": "clock", "input_schema": EMPTY}],
            "tool_choice": {"type": "tool", "name": "clock"},
        },
    ),
    "one at a time": (
        OLD,
        {"tools": [F], "parallel_tool_calls": False},
        {"tools": [SENT_F], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    "one, forced": (
        OLD,
        {**FORCED, "parallel_tool_calls": False},
        {"tools": [SENT_F], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
    ),
    "told, where none can be forced": (
        OPUS,
        FORCED,
        {
            "tools": [SENT_F],
            "messages": [user("Hi"), system("Call one of your tools now, before you say anything.")],
        },
    ),
    "one told by name": (
        OPUS,
        {"tools": [F], "tool_choice": {"type": "function", "name": "f"}},
        {
            "tools": [SENT_F],
            "messages": [user("Hi"), system("Call the tool `f` now, before you say anything.")],
        },
    ),
}


@pytest.mark.parametrize(("model", "fields", "expected"), TOOLS.values(), ids=TOOLS)
def test_tools_are_offered_as_the_vendor_has_them(model: str, fields: dict[str, Any], expected: Any) -> None:
    body = encoded({"model": model, **fields}, cache=False)
    names = ["tools", "tool_choice", *(["messages"] if "messages" in expected else [])]
    assert {name: body[name] for name in names if name in body} == expected


SEARCHES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "beside functions": (OLD, {"tools": [F, {"type": "web_search"}]}, ([SENT_F, {}], None)),
    "with its limits": (
        OLD,
        {
            "tools": [
                {
                    "type": "web_search_preview",
                    "search_context_size": "low",
                    "filters": {"allowed_domains": ["x.test"]},
                    "user_location": {"type": "approximate", "country": "DE", "city": None},
                }
            ]
        },
        ([{"allowed_domains": ["x.test"], "user_location": {"type": "approximate", "country": "DE"}}], None),
    ),
    "that must be used": (
        OLD,
        {"tools": [F, {"type": "web_search"}], "tool_choice": {"type": "web_search"}},
        ([{}], {"type": "tool", "name": "web_search"}),
    ),
    "that must not leave a cache": (
        OLD,
        {"tools": [{"type": "web_search", "external_web_access": False}]},
        (None, None),
    ),
    "under a function's name": (
        OLD,
        {"tools": [{"type": "function", "name": "web_search"}, {"type": "web_search"}]},
        ([{**SENT_F, "name": "web_search"}], None),
    ),
}


@pytest.mark.parametrize(("model", "fields", "expected"), SEARCHES.values(), ids=SEARCHES)
def test_the_vendor_searches_where_the_option_says_so(model: str, fields: dict[str, Any], expected: Any) -> None:
    body = encoded({"model": model, **fields}, cache=False, web_search=True)
    tool = {"type": "web_search_20250305", "name": "web_search"}
    tools = expected[0] and [each if "name" in each else {**tool, **each} for each in expected[0]]
    assert (body.get("tools"), body.get("tool_choice")) == (tools, expected[1])


def test_a_search_is_told_of_where_none_can_be_forced() -> None:
    fields = {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}
    told = "Call the tool `web_search` now, before you say anything."
    assert encoded(fields, cache=False, web_search=True)["messages"] == [user("Hi"), system(told)]
    with pytest.raises(RequestError, match="'tool_choice' needs a tool that this model's provider doesn't run"):
        encode(turn(**fields), settings())


def test_strict_tools_are_enforced_where_the_option_says_so() -> None:
    tools = [{**F, "parameters": SCHEMA, "strict": True}, {"type": "function", "name": "g", "parameters": SCHEMA}]
    enforced = {"name": "f", "input_schema": STRICT, "strict": True}
    assert sent({"tools": tools}, strict_tools=True)["tools"] == [enforced, {"name": "g", "input_schema": SCHEMA}]


def test_more_strict_tools_than_the_vendor_takes_are_not_enforced() -> None:
    tools = [{"type": "function", "name": f"f{i}", "strict": True} for i in range(21)]
    assert all("strict" not in tool for tool in sent({"tools": tools}, strict_tools=True)["tools"])


ASKED = {"id": "srvtoolu_1", "name": "web_search", "input": {"query": "weather"}}
FOUND = {
    "tool_use_id": "srvtoolu_1",
    "content": [{"type": "web_search_result", "title": "W", "url": "https://x.test", "encrypted_content": "Ev0"}],
}
COMPACTED = searched("compaction", 0, content="Greetings.", encrypted_content="x")
SEARCH = [searched("server_tool_use", 1, **ASKED), searched("web_search_tool_result", 2, **FOUND)]
T, U, R = thinking("Hm."), thinking("Then."), redacted()
HISTORIES: dict[str, tuple[dict[str, Any], list[Any], list[Any]]] = {
    "texts of one role are one message": (
        {},
        [USER, {"role": "user", "content": "?"}, said("A"), said("B"), USER],
        [user("Hi", "?"), assistant("A", "B"), user("Hi")],
    ),
    "texts without a word are left out": (
        {},
        [USER, said("\n\n"), {"role": "user", "content": " "}, call("a"), output("a", " ")],
        [user("Hi"), assistant(use("a")), user(result("a", None))],
    ),
    "a conversation that the model begins": (
        {},
        [said("Hello!"), USER],
        [user("(The conversation begins with your words.)"), assistant("Hello!"), user("Hi")],
    ),
    "a conversation that the model ended": (
        {},
        [USER, said("Hello!")],
        [user("Hi"), assistant("Hello!"), user("Go on.")],
    ),
    "nothing at all": ({"model": OLD}, [{"role": "user", "content": ""}], [user("Go on.")]),
    "a refusal is what the model said": (
        {},
        [USER, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, USER],
        [user("Hi"), assistant("No."), user("Hi")],
    ),
    "calls of a turn are one message, and so are their outputs": (
        {},
        [USER, said("I look."), call("a"), call("b", arguments='{"x":1}'), output("b", "2"), output("a", "1"), USER],
        [user("Hi"), assistant("I look.", use("a"), use("b", x=1)), user(result("a", "1"), result("b", "2"), "Hi")],
    ),
    "turns stay apart": (
        {},
        [
            USER,
            call("a"),
            output("a"),
            said("So."),
            call("b"),
            output("b"),
            call("c"),
            output("c"),
            said("Done."),
            USER,
        ],
        [
            user("Hi"),
            assistant(use("a")),
            user(result("a")),
            assistant("So.", use("b")),
            user(result("b")),
            assistant(use("c")),
            user(result("c")),
            assistant("Done."),
            user("Hi"),
        ],
    ),
    "a call without an output has none": (
        {},
        [USER, call("a"), USER],
        [user("Hi"), assistant(use("a")), user(result("a", "(no output)"), "Hi")],
    ),
    "calls without outputs are one message, too": (
        {},
        [USER, call("a"), call("b"), output("b"), said("So."), call("c"), call("e")],
        [
            user("Hi"),
            assistant(use("a"), use("b")),
            user(result("a", "(no output)"), result("b")),
            assistant("So.", use("c"), use("e")),
            user(result("c", "(no output)"), result("e", "(no output)")),
        ],
    ),
    "outputs that come after the user's next words go before them": (
        {},
        [USER, call("a"), USER, output("a")],
        [user("Hi"), assistant(use("a")), user(result("a"), "Hi")],
    ),
    "arguments that are no object": (
        {},
        [
            USER,
            call("a", arguments="[1]"),
            output("a"),
            call("b", arguments='{"x":NaN}'),
            output("b"),
            call("c", arguments=""),
        ],
        [
            user("Hi"),
            assistant(use("a", invalid_arguments="[1]")),
            user(result("a")),
            assistant(use("b", invalid_arguments='{"x":NaN}')),
            user(result("b")),
            assistant(use("c")),
            user(result("c", "(no output)")),
        ],
    ),
    "ids that come again, and ids that the vendor doesn't take": (
        {},
        [USER, call("x:0"), output("x:0", "1"), call("x:0"), output("x:0", "2"), call("a"), output("a"), call("a")],
        [
            user("Hi"),
            assistant(use("x_0_bb9a93e2")),
            user(result("x_0_bb9a93e2", "1")),
            assistant(use("x_0_bb9a93e2_2")),
            user(result("x_0_bb9a93e2_2", "2")),
            assistant(use("a")),
            user(result("a")),
            assistant(use("a_2")),
            user(result("a_2", "(no output)")),
        ],
    ),
    "names of calls are those of the offered tools": (
        {"tools": [{"type": "namespace", "name": "x", "tools": [F]}]},
        [USER, call("a", namespace="x"), output("a"), call("b", "g.h"), output("b")],
        [
            user("Hi"),
            assistant(use("a", "x__f")),
            user(result("a")),
            assistant(use("b", "g_h_daf359c8")),
            user(result("b")),
        ],
    ),
    "a free-text call": (
        {},
        [
            USER,
            {"type": "custom_tool_call", "call_id": "a", "name": "say", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "a", "output": "ok"},
        ],
        [user("Hi"), assistant(use("a", "say", input="x")), user(result("a"))],
    ),
    "calls that this server ran, one by one": (
        {},
        [USER, clock("a"), clock("b", "It broke.", "failed"), clock("c", None, "incomplete"), said("Noon."), USER],
        [
            user("Hi"),
            assistant(use("a", "clock")),
            user(result("a", "noon")),
            assistant(use("b", "clock")),
            user(result("b", "It broke.", is_error=True)),
            assistant(use("c", "clock")),
            user(result("c", "(no output)")),
            assistant("Noon."),
            user("Hi"),
        ],
    ),
    "calls that this server ran, made together": (
        {},
        [USER, thought(T), clock("a"), clock(made_together("b")), thought(U), clock("c"), said("Noon."), USER],
        [
            user("Hi"),
            assistant(T, use("a", "clock"), use("b", "clock")),
            user(result("a", "noon"), result("b", "noon")),
            assistant(U, use("c", "clock")),
            user(result("c", "noon")),
            assistant("Noon."),
            user("Hi"),
        ],
    ),
    "one that this server ran and one that the client ran, made together": (
        {},
        [USER, clock("a"), call(made_together("b")), output(made_together("b")), said("Noon."), USER],
        [
            user("Hi"),
            assistant(use("a", "clock"), use("b")),
            user(result("a", "noon"), result("b")),
            assistant("Noon."),
            user("Hi"),
        ],
    ),
    "thinking goes back before its call, as it came": (
        {},
        [USER, thought(T), said("I look."), call("a"), output("a"), thought(R), thought(U, 1), call("b"), output("b")],
        [
            user("Hi"),
            assistant(T, "I look.", use("a")),
            user(result("a")),
            assistant(R, U, use("b")),
            user(result("b")),
        ],
    ),
    "thinking between two calls of one message stays there": (
        {},
        [USER, thought(T), clock("a"), thought(U, 2), clock(made_together("b")), said("Noon."), USER],
        [
            user("Hi"),
            assistant(T, use("a", "clock"), U, use("b", "clock")),
            user(result("a", "noon"), result("b", "noon")),
            assistant("Noon."),
            user("Hi"),
        ],
    ),
    "thinking without a summary": (
        {},
        [USER, thought(thinking("")), said("Hello!"), USER],
        [user("Hi"), assistant(thinking(""), "Hello!"), user("Hi")],
    ),
    "what isn't ours, or isn't whole, is left out": (
        {},
        [
            USER,
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]},
            *({"type": "reasoning", "encrypted_content": each} for each in ("", "{", "[1]", '{"block":3}', "gAAAA")),
            thought({"type": "thinking", "thinking": "Cut", "signature": ""}),
            thought({"type": "redacted_thinking", "data": ""}),
            said("Hello!"),
            USER,
        ],
        [user("Hi"), assistant("Hello!"), user("Hi")],
    ),
    "no thinking goes back where it is turned off": (
        {"model": "claude-opus-5", "reasoning": {"effort": "none"}},
        [USER, thought(T), said("Hello!"), USER],
        [user("Hi"), assistant("Hello!"), user("Hi")],
    ),
    "later instructions follow the user's words": (
        {},
        [USER, {"role": "developer", "content": "B"}, {"role": "user", "content": "?"}, said("A"), USER],
        [user("Hi", "?"), system("B"), assistant("A"), user("Hi")],
    ),
    "later instructions after an answer wait for the user's words": (
        {},
        [USER, said("A"), {"role": "developer", "content": "B"}, {"role": "system", "content": "C"}, USER],
        [user("Hi"), assistant("A"), user("Hi"), system("B", "C")],
    ),
    "later instructions never part a call from its output": (
        {},
        [USER, call("a"), {"role": "developer", "content": "B"}, output("a"), said("A"), USER],
        [user("Hi"), assistant(use("a")), user(result("a")), system("B"), assistant("A"), user("Hi")],
    ),
    "items of other implementors are left out": ({}, [USER, {"type": "acme:note", "text": "x"}], [user("Hi")]),
    "the vendor's own searches go back as they came": (
        {},
        [USER, said("I look."), *SEARCH, said("Sunny."), clock("a"), said("Noon."), USER],
        [
            user("Hi"),
            assistant("I look.", SEARCH[0]["block"], SEARCH[1]["block"], "Sunny.", use("a", "clock")),
            user(result("a", "noon")),
            assistant("Noon."),
            user("Hi"),
        ],
    ),
    "a message may begin with a search": (
        {},
        [
            USER,
            clock("a"),
            searched("server_tool_use", 0, **ASKED),
            searched("web_search_tool_result", 1, **FOUND),
            USER,
        ],
        [
            user("Hi"),
            assistant(use("a", "clock")),
            user(result("a", "noon")),
            assistant(SEARCH[0]["block"], SEARCH[1]["block"]),
            user("Hi"),
        ],
    ),
    "a search that found nothing yet is left out, and so is what a client made up": (
        {},
        [USER, SEARCH[0], {**SEARCH[1], "block": 3}, searched("text", 0, text="x"), said("A"), USER],
        [user("Hi"), assistant("A"), user("Hi")],
    ),
    "another vendor's model isn't shown the searches": (
        {"model": "deepseek-chat"},
        [USER, *SEARCH, said("A"), USER],
        [user("Hi"), assistant("A"), user("Hi")],
    ),
}


@pytest.mark.parametrize(("fields", "items", "expected"), HISTORIES.values(), ids=HISTORIES)
def test_items_become_messages(fields: dict[str, Any], items: list[Any], expected: list[Any]) -> None:
    assert messages(items, fields, **DROP) == expected


def test_a_turn_that_paused_goes_on_where_it_paused() -> None:
    """As "Handling stop reasons" wants it: the fake, and the older document, know no such conversation."""
    body = encode(turn(model="claude-opus-5-5", input=[USER, said("A"), SEARCH[0]]), settings(cache=False))
    assert body["messages"] == [user("Hi"), assistant("A", SEARCH[0]["block"])]


def test_blocks_that_only_the_vendor_has_go_back_as_they_came() -> None:
    """The SDK of November 2026 has both; the OpenAPI document is older than the first."""
    file = searched("container_upload", 2, file_id="file_1")
    items = [USER, COMPACTED, said("A"), file, USER]
    body = encode(turn(model="claude-opus-5-5", input=items), settings(cache=False, shared_files=True))
    assert body["messages"] == [user("Hi"), assistant(COMPACTED["block"], "A", file["block"]), user("Hi")]
    body = encode(turn(model="claude-opus-5-5", input=items), settings(cache=False))
    assert body["messages"] == [user("Hi"), assistant(COMPACTED["block"], "A"), user("Hi")]


def test_instructions_of_all_ranks_are_the_system_prompt_of_an_older_model() -> None:
    items = [{"role": "system", "content": "B"}, USER, {"role": "developer", "content": "C"}]
    body = encoded({"model": OLD, "instructions": "A", "input": items}, cache=False)
    assert (body["system"], body["messages"]) == ([text("A"), text("B"), text("C")], [user("Hi")])


def test_thinking_of_a_server_that_doesn_t_sign_goes_back_too() -> None:
    unsigned = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    body = encode(turn(model="deepseek-chat", input=[USER, thought(unsigned), call("a"), output("a")]), settings())
    assert body["messages"][1] == assistant(unsigned, use("a"))  # pyright: ignore


def test_a_turn_that_began_without_thinking_goes_on_without_it_where_the_model_has_budgets() -> None:
    """As one does that moves here from another provider amid its calls."""
    asked = {"model": OLD, "reasoning": {"effort": "low"}}
    begun = [USER, call("a"), output("a"), thought(T), call("b"), output("b")]
    assert "thinking" not in encoded({**asked, "input": begun})
    assert encoded({**asked, "input": [*begun, USER]}).get("thinking") is None
    assert encoded({**asked, "input": [*begun, said("So."), USER]})["thinking"] == budget(12_800)
    assert encoded({**asked, "input": [USER, thought(T), *begun[1:3]]})["thinking"] == budget(12_800)


DATA = "iVBORw0KGgo="
PARTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an image by URL": (
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "high"},
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
    ),
    "an image": (
        {"type": "input_image", "image_url": f"data:image/png;base64,{DATA}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
    ),
    "a PDF by URL": (
        {"type": "input_file", "file_url": "https://x.test/a.pdf"},
        {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
    ),
    "a PDF as a data URL": (
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            "title": "a.pdf",
        },
    ),
    "a PDF by its name": (
        {"type": "input_file", "filename": "a.pdf", "file_data": "AAAA"},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
            "title": "a.pdf",
        },
    ),
    "a PDF by its first bytes": (
        {"type": "input_file", "file_data": "JVBERi0xLjQ="},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}},
    ),
    "a text": (
        {"type": "input_file", "filename": "a.md", "file_data": "data:text/markdown;base64,IyBBw6Q="},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "# Aä"},
            "title": "a.md",
        },
    ),
    "an image as a file": (
        {"type": "input_file", "filename": "a.png", "file_data": DATA},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
    ),
}


@pytest.mark.parametrize(("part", "block"), PARTS.values(), ids=PARTS)
def test_images_and_files_become_blocks(part: dict[str, Any], block: dict[str, Any]) -> None:
    words = {"type": "input_text", "text": "See"}
    assert messages([{"role": "user", "content": [words, part]}]) == [user("See", block)]
    assert messages([USER, call("a"), output("a", [words, part])])[-1] == user(result("a", [text("See"), block]))


UNSUPPORTED: dict[str, tuple[Any, str]] = {
    "an image by id": ({"type": "input_image", "file_id": "file_1"}, "'input_image' without 'image_url'"),
    "another kind of image": (
        {"type": "input_image", "image_url": "data:image/bmp;base64,AA=="},
        "an image of type 'image/bmp': it takes image/jpeg, image/png, image/gif, image/webp",
    ),
    "an image that isn't base64": (
        {"type": "input_image", "image_url": "data:image/png,a"},
        "a data URL that is not base64",
    ),
    "a file by id": ({"type": "input_file", "file_id": "file_1"}, "'input_file' without 'file_data' or 'file_url'"),
    "another kind of file": (
        {"type": "input_file", "filename": "a.zip", "file_data": "AAAA"},
        "a file of type 'application/zip': it takes PDF, text and images",
    ),
    "a file of no known kind": (
        {"type": "input_file", "file_data": "AAAA"},
        "a file of type 'unknown': it takes PDF, text and images",
    ),
    "a text that is none": (
        {"type": "input_file", "filename": "a.txt", "file_data": "/w=="},
        "a text file that is not base64 of UTF-8",
    ),
    "a video": ({"type": "input_video", "video_url": "x"}, "a part of type 'input_video' in a message of role 'user'"),
}


@pytest.mark.parametrize(("part", "what"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_content_that_the_vendor_can_t_be_sent_is_refused(part: Any, what: str) -> None:
    with pytest.raises(RequestError) as raised:
        encode(turn(input=[{"role": "user", "content": [part]}]), settings())
    error = raised.value
    assert (error.message, error.param, error.code) == (
        f"This model's provider can't be sent {what}",
        "input",
        "unsupported_content",
    )


OTHERS: dict[str, list[Any]] = {
    "'input_image' in a message of role 'assistant'": [
        {"role": "assistant", "content": [{"type": "input_image", "image_url": "https://x.test"}]}
    ],
    "'input_image' in a message of role 'system'": [
        {"role": "system", "content": [{"type": "input_image", "image_url": "https://x.test"}]}
    ],
    "'compaction'": [{"type": "compaction", "encrypted_content": "x"}],
    "No call before it has the output's call_id 'a'": [output("a")],
}


@pytest.mark.parametrize(("what", "items"), OTHERS.items(), ids=OTHERS)
def test_items_that_make_no_sense_are_refused(what: str, items: list[Any]) -> None:
    with pytest.raises(RequestError, match=re.escape(what)):
        encode(turn(input=items), settings())


@pytest.mark.parametrize("tool", [{"type": "code_interpreter"}, {"type": "file_search"}])
def test_a_tool_that_only_its_vendor_runs_is_refused(tool: Any) -> None:
    with pytest.raises(RequestError, match="doesn't run the tool"):
        encode(turn(tools=[tool]), settings())


@pytest.mark.parametrize("name", ["model", "messages", "system", "max_tokens", "stream"])
def test_a_request_can_t_set_what_the_server_sets(name: str) -> None:
    with pytest.raises(RequestError, match=f"'{name}' is not an option"):
        encode(turn(provider={"options": {"v": {name: "x"}}}), settings())


CACHED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the tools, which outlive other instructions, and the instructions": (
        {"instructions": "A", "tools": [F]},
        {"system": [text("A", **MARK)], "tools": [{**SENT_F, **MARK}], "messages": [user(text("Hi", **MARK))]},
    ),
    "the tools": (
        {"tools": [F, {"type": "serverless:clock"}]},
        {
            "tools": [SENT_F, {"name": "clock", "input_schema": EMPTY, **MARK}],
            "messages": [user(text("Hi", **MARK))],
        },
    ),
    "the last results": (
        {"input": [USER, call("a"), output("a")]},
        {"messages": [user(text("Hi", **MARK)), assistant(use("a")), user(result("a", **MARK))]},
    ),
    "what was the end before, and no more": (
        {"input": [USER, said("A"), USER, said("B"), USER]},
        {
            "messages": [
                user("Hi"),
                assistant("A"),
                user(text("Hi", **MARK)),
                assistant("B"),
                user(text("Hi", **MARK)),
            ]
        },
    ),
    "the user's last words, before an instruction": (
        {"input": [USER, {"role": "system", "content": "B"}]},
        {"messages": [user(text("Hi", **MARK)), system("B")]},
    ),
}


@pytest.mark.parametrize(("fields", "expected"), CACHED.values(), ids=CACHED)
def test_the_prompt_s_parts_are_marked_for_the_cache(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    body = encoded(fields)
    assert {name: body[name] for name in ("system", "tools", "messages") if name in body} == expected
    longer = json.dumps(expected).replace('"ephemeral"', '"ephemeral", "ttl": "1h"')
    body = encoded(fields, cache="1h")
    assert {name: body[name] for name in ("system", "tools", "messages") if name in body} == json.loads(longer)


SCHEMAS: dict[str, tuple[Any, Any]] = {
    "objects are closed": (
        {"type": "object", "properties": {"a": {"type": "object", "properties": {}, "additionalProperties": True}}},
        {
            "type": "object",
            "properties": {"a": {"type": "object", "properties": {}, "additionalProperties": False}},
            "additionalProperties": False,
        },
    ),
    "a pattern that looks around": (
        {"type": "string", "pattern": "^(?!a)"},
        {"type": "string", "description": '(pattern: "^(?!a)")'},
    ),
    "all of one": ({"allOf": [{"$ref": "#/$defs/a"}]}, {"anyOf": [{"$ref": "#/$defs/a"}]}),
    "what can't be enforced is told": (
        {"type": "string", "description": "A name.", "maxLength": 3, "format": "regex"},
        {"type": "string", "description": 'A name. (maxLength: 3; format: "regex")'},
    ),
    "what can be stays": (
        {"type": "array", "items": {"type": "string", "format": "date", "pattern": "^2"}, "minItems": 1},
        {"type": "array", "items": {"type": "string", "format": "date", "pattern": "^2"}, "minItems": 1},
    ),
    "more than one, at least": (
        {"type": "array", "minItems": 2, "items": True},
        {"type": "array", "items": {}, "description": "(minItems: 2)"},
    ),
    "choices and definitions": (
        {"$schema": "x", "title": "T", "oneOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"enum": [1], "title": "A"}}},
        {"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"enum": [1]}}},
    ),
    "a property may be called as a keyword": (
        {"type": "object", "properties": {"minimum": {"type": "null"}, "title": {"const": 1}}},
        {
            "type": "object",
            "properties": {"minimum": {"type": "null"}, "title": {"const": 1}},
            "additionalProperties": False,
        },
    ),
}


@pytest.mark.parametrize(("schema", "subset"), SCHEMAS.values(), ids=SCHEMAS)
def test_schemas_are_put_into_what_can_be_enforced(schema: Any, subset: Any) -> None:
    assert constrained(schema) == subset
    assert constrained(subset) == subset


STRING = {"type": "string"}
NAMED = {"$defs": {"a": STRING, "b": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}}}
UNENFORCEABLE: dict[str, Any] = {
    "a map": {"type": "object", "additionalProperties": STRING},
    "a map beside names": {"type": "object", "properties": {"a": STRING}, "additionalProperties": STRING},
    "an object of anything": {"type": "array", "items": {"type": "object"}},
    "itself": {"type": "object", "properties": {"parts": {"type": "array", "items": {"$ref": "#"}}}},
    "two of each other": {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"anyOf": [STRING, {"$ref": "#/$defs/b"}]}, "b": {"items": {"$ref": "#/$defs/a"}}},
    },
    "a schema elsewhere": {"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}},
    "values that are no scalars": {"type": "object", "properties": {"a": {"enum": ["x", {"y": 1}]}}},
    "one value that is none": {"const": [1]},
    "all of more than one, by name": {**NAMED, "allOf": [{"$ref": "#/$defs/a"}, {"minLength": 1}]},
    "several choices at once": {"anyOf": [STRING], "oneOf": [STRING]},
}


@pytest.mark.parametrize("schema", UNENFORCEABLE.values(), ids=UNENFORCEABLE)
def test_a_schema_that_can_t_be_enforced_is_told(schema: Any) -> None:
    """The vendor answers 400 to it, or would hold the model to an object that is always empty."""
    form = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    tool = {"type": "function", "name": "f", "parameters": {"properties": {"a": schema}, **NAMED}, "strict": True}
    body = encoded({"tools": [tool], "text": {"format": form}}, strict_tools=True)
    assert "output_config" not in body
    assert json.dumps(schema) in body["system"][0]["text"]
    assert json.dumps(schema) in json.dumps(body["tools"])


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMAS["choices and definitions"][0],
        {**NAMED, "items": {"$ref": "#/$defs/b"}, "anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/a"}]},
        {"type": "object", "properties": {"a": {"enum": [1, "x", None, True]}}, "additionalProperties": False},
        {"type": "object", "properties": {}, "additionalProperties": {}},
        {"type": "object", "properties": {"$ref": {"type": "string"}, "enum": {"type": "array", "items": STRING}}},
    ],
)
def test_what_is_used_twice_or_named_as_a_keyword_is_enforced_all_the_same(schema: Any) -> None:
    assert enforceable(schema)


def test_a_schema_whose_parts_refer_to_each_other_in_many_ways_is_read_once() -> None:
    parts = {
        f"d{n}": {"items": {"$ref": f"#/$defs/d{n + 1}"}, "anyOf": [{"$ref": f"#/$defs/d{n + 1}"}]} for n in range(60)
    }
    assert enforceable({"$ref": "#/$defs/d0", "$defs": {**parts, "d60": STRING}})


anything = st.text(max_size=300)


@given(anything, anything)
def test_names_that_differ_do_so_for_the_vendor(one: str, other: str) -> None:
    names = tool_names([])
    for each in (one, other):
        assert re.fullmatch("[a-zA-Z0-9_-]{1,128}", names.wire(each))
    assert (names.wire(one) == names.wire(other)) == (one == other)
    assert tool_names([]).wire(names.wire(one)) == names.wire(one)
    assert re.fullmatch("[a-zA-Z0-9_.-]{0,128}", item_name(one))


id_of_any = st.sampled_from(["a", "b", "a_2", "a:1", "functions.f:0", "x" * 200, "a+", "é"])
piece = st.one_of(
    st.just(USER),
    st.builds(said, st.sampled_from(["A", " ", ""])),
    st.builds(lambda role: {"role": role, "content": "B"}, st.sampled_from(["system", "developer"])),
    st.builds(lambda i: [call(i), output(i)], id_of_any),
    st.builds(lambda i, j: [call(i + "1"), call(j + "2"), said("C"), output(j + "2")], id_of_any, id_of_any),
    st.builds(clock, id_of_any, st.sampled_from(["noon", "", None])),
    st.builds(thought, st.sampled_from([T, U, R]), st.integers(0, 2)),
    st.just({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}),
    st.just(SEARCH),
)


@given(
    st.lists(piece, min_size=1, max_size=12), st.sampled_from([*MODELS, OLD]), st.sampled_from(["high", "none", None])
)
def test_any_history_is_one_that_the_vendor_takes(pieces: list[Any], model: str, effort: str | None) -> None:
    items = [item for each in pieces for item in (each if isinstance(each, list) else [each])]
    sent = encoded({"model": model, "input": items, "reasoning": {"effort": effort}}, **DROP)
    assert sent["messages"][0]["role"] == "user"


@given(st.lists(piece, max_size=8), st.lists(piece, max_size=4), st.sampled_from([OPUS, OLD]))
def test_what_was_sent_once_is_sent_so_again(past: list[Any], more: list[Any], model: str) -> None:
    """A conversation that goes on: what was before is the vendor's cache, and what its thinking is bound to."""
    flat = [[item for each in part for item in (each if isinstance(each, list) else [each])] for part in (past, more)]
    longer = [*flat[0], USER, said("A"), USER, *flat[1], USER]
    asked = {"model": model, "instructions": "I"}
    before = encoded({**asked, "input": [*flat[0], USER]}, **DROP)
    after = encoded({**asked, "input": longer}, **DROP)
    late = model == OLD and any(item.get("role") in ("system", "developer") for item in flat[1])
    known = len(before["messages"])
    assert late or prefix(after, known) == prefix(before, known)


def test_settings_that_can_t_work_are_named() -> None:
    for options, what in (({"cache": "1d"}, "cache"), ({"x": 1}, "x"), ({"max_tokens": 0}, "max_tokens")):
        with pytest.raises(ValueError, match=f"provider 'v': options.{what}"):
            connect(replace(settings(), options=options))
    with pytest.raises(ValueError, match="base_url"):
        connect(settings("nowhere"))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a limit": ({"max_tokens": None}, "max_tokens: Field required"),
    "a version": ({"n": 1}, "n: Extra inputs are not permitted"),
    "roles": ({"messages": [assistant("A")]}, 'first message must use the "user" role'),
    "the user's last word": ({"messages": [user("Hi"), assistant("A")]}, "does not support assistant message prefill"),
    "words": ({"messages": [user(" ")]}, "text content blocks must contain non-whitespace text"),
    "ids": ({"messages": [user("Hi"), assistant(use("a.b")), user(result("a.b"))]}, "String should match pattern"),
    "results": ({"messages": [user("Hi"), assistant(use("a")), user("Hi")]}, "without `tool_result` blocks"),
    "results first": (
        {"messages": [user("Hi"), assistant(use("a")), user("Hi", result("a"))]},
        "without `tool_result` blocks immediately after",
    ),
    "calls": ({"messages": [user("Hi", result("a"))]}, "unexpected `tool_use_id` found"),
    "a system message's place": (
        {"messages": [user("Hi"), system("A"), user("Hi")]},
        "a system message must follow a user message",
    ),
    "system messages of older models": (
        {"model": OLD, "messages": [user("Hi"), system("A")]},
        "role 'system' is not supported on this model",
    ),
    "a signature": (
        {"messages": [user("Hi"), assistant(thinking("Hm.", "EqQB"), "A"), user("Hi")]},
        "Invalid `signature` in `thinking` block",
    ),
    "another conversation's thinking": (
        {"messages": [user("Hi"), assistant(T, "A"), user("Hi")]},
        "The block is bound to a different conversation",
    ),
    "forced calls while thinking": (
        {"model": OLD, "thinking": budget(1024), "tools": [SENT_F], "tool_choice": {"type": "any"}},
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    "forced calls": ({"tools": [SENT_F], "tool_choice": {"type": "any"}}, '"any" are not supported for this model'),
    "a budget's size": ({"model": OLD, "thinking": budget(2000)}, "`max_tokens` must be greater than"),
    "thinking before calls": (
        {"model": OLD, "thinking": budget(1024), "messages": [user("Hi"), assistant(use("a")), user(result("a"))]},
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    ),
    "budgets": ({"thinking": budget(1024)}, '"thinking.type.enabled" is not supported for this model.'),
    "a beta": ({"thinking": {**ADAPTIVE, **BOUND}}, "block_binding: Extra inputs are not permitted"),
    "names": ({"tools": [{"name": "a.b", "input_schema": EMPTY}]}, "tools.0.custom.name: String should match pattern"),
    "temperature": ({"temperature": 0.5}, "`temperature` is deprecated for this model."),
}


@pytest.mark.parametrize(("fields", "why"), REFUSED.values(), ids=REFUSED)
def test_the_fake_upstream_refuses_what_the_real_one_does(fields: dict[str, Any], why: str) -> None:
    body = {"model": OPUS, "max_tokens": 1500, "messages": [user("Hi")], "stream": True, **fields}
    with pytest.raises(Refused, match=re.escape(why)):
        check({"anthropic-version": "2023-06-01"}, body, Rules())
