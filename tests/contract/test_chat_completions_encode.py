"""What goes upstream for what is asked: tables of requests and the Chat Completions bodies made of them."""

import json
from hashlib import sha256
from typing import Any

import pytest

from openresponses.core.errors import RequestError
from openresponses.core.settings import ProviderSettings
from openresponses.dialects import connect
from tests.contract.turns import call, clock, encode, output, turn
from tests.fakes.chat_completions_rules import check
from tests.fakes.wire import Rules

USER = {"role": "user", "content": "Hi"}
OPEN = {"developer_role": True, "system": "in_place"}


def settings(base_url: str = "http://vendor.test/v1", **options: Any) -> ProviderSettings:
    return ProviderSettings(name="v", dialect="chat_completions", base_url=base_url, options=options)


def sent(fields: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What is sent beside what every request has."""
    body = encode(turn(**fields), settings(**options))
    always = {
        "model": "m",
        "messages": [USER],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return {name: value for name, value in body.items() if always.get(name) != value}


def messages(items: list[Any], fields: dict[str, Any] | None = None, **options: Any) -> Any:
    body = encode(turn(input=items, **(fields or {})), settings(**options))
    rules = Rules(strict=not options.get("developer_role"))
    check({}, json.loads(json.dumps(body)), rules)
    return body["messages"]


def thought(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def calls(*made: tuple[str, str, str], content: str | None = None, **more: Any) -> dict[str, Any]:
    tool_calls = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in made]
    return {"role": "assistant", "content": content, "tool_calls": tool_calls, **more}


def tool(call_id: str, content: str = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


KNOBS = {
    "sampling": (
        {"temperature": 0, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": -1},
        {},
        {"temperature": 0.0, "top_p": 0.5, "presence_penalty": 1.0, "frequency_penalty": -1.0},
    ),
    "limit": ({"max_output_tokens": 99}, {}, {"max_tokens": 99}),
    "limit by its newer name": (
        {"max_output_tokens": 99},
        {"max_completion_tokens": True},
        {"max_completion_tokens": 99},
    ),
    "top logprobs": ({"top_logprobs": 3}, {}, {"logprobs": True, "top_logprobs": 3}),
    "no top logprobs": ({"top_logprobs": 0}, {}, {}),
    "logprobs": ({"include": ["message.output_text.logprobs"]}, {}, {"logprobs": True}),
    "effort": ({"reasoning": {"effort": "none", "summary": "auto"}}, {}, {"reasoning_effort": "none"}),
    "effort renamed": (
        {"reasoning": {"effort": "low"}},
        {"rename": {"reasoning_effort": "thinking_effort"}},
        {"thinking_effort": "low"},
    ),
    "effort left out": ({"reasoning": {"effort": "low"}}, {"omit": ["reasoning_effort"]}, {}),
    "tier": ({"service_tier": "flex"}, {}, {"service_tier": "flex"}),
    "default tier": ({"service_tier": "default"}, {}, {}),
    "end user": ({"user": "u", "safety_identifier": "s"}, {}, {"user": "u"}),
    "safety identifier": ({"safety_identifier": "s", "prompt_cache_key": "k"}, {}, {"user": "s"}),
    "OpenAI's extras": (
        {"safety_identifier": "s", "prompt_cache_key": "k", "text": {"verbosity": "low"}},
        {"openai_extras": True},
        {"safety_identifier": "s", "prompt_cache_key": "k", "verbosity": "low"},
    ),
    "JSON": ({"text": {"format": {"type": "json_object"}}}, {}, {"response_format": {"type": "json_object"}}),
    "plain text": ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {}, {}),
    "schema": (
        {"text": {"format": {"type": "json_schema", "name": "n", "description": "d", "schema": {"type": "object"}}}},
        {},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "description": "d"},
            }
        },
    ),
    "not sent": ({"metadata": {"a": "b"}, "store": True, "truncation": "auto", "parallel_tool_calls": True}, {}, {}),
    "extra body": ({"temperature": 1}, {"extra_body": {"top_k": 5, "temperature": 2}}, {"top_k": 5, "temperature": 2}),
}


@pytest.mark.parametrize(("fields", "options", "expected"), KNOBS.values(), ids=KNOBS)
def test_a_setting_of_the_request_is_sent_by_the_name_it_has_upstream(
    fields: dict[str, Any], options: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert sent(fields, **options) == expected


def test_the_usage_is_not_asked_for_where_the_option_says_so() -> None:
    assert encode(turn(), settings(include_usage=False)) == {"model": "m", "messages": [USER], "stream": True}


LONG = f"{'n' * 40}__{'f' * 40}"
FITTED = f"{LONG[:55]}_{sha256(LONG.encode()).hexdigest()[:8]}"
FREE_TEXT = {"type": "string", "description": "The whole input, as free text."}
EMPTY = {"type": "object", "properties": {}}
F = {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}
SENT_F = {"type": "function", "function": {"name": "f", "parameters": EMPTY}}
TOOLS = {
    "nulls are dropped": ({"tools": [F]}, {"tools": [SENT_F]}),
    "an empty list": ({"tools": []}, {}),
    "a whole function": (
        {"tools": [{**F, "description": "d", "parameters": {"type": "object"}, "strict": False}]},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"type": "object"}, "description": "d", "strict": False},
                }
            ]
        },
    ),
    "a hosted tool": (
        {"tools": [{"type": "serverless:clock"}]},
        {"tools": [{"type": "function", "function": {"name": "clock", "parameters": EMPTY}}]},
    ),
    "a namespace": (
        {"tools": [{"type": "namespace", "name": "mcp__x", "tools": [F]}]},
        {"tools": [{"type": "function", "function": {"name": "mcp__x__f", "parameters": EMPTY}}]},
    ),
    "a name that is too long": (
        {
            "tools": [{"type": "namespace", "name": "n" * 40, "tools": [{**F, "name": "f" * 40}]}],
            "tool_choice": {"type": "function", "name": "f" * 40},
        },
        {
            "tools": [{"type": "function", "function": {"name": FITTED, "parameters": EMPTY}}],
            "tool_choice": {"type": "function", "function": {"name": FITTED}},
        },
    ),
    "a free-text tool": (
        {"tools": [{"type": "custom", "name": "say", "description": "Say."}]},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "say",
                        "parameters": {
                            "type": "object",
                            "properties": {
                                "input": {"type": "string", "description": "The whole input, as free text."}
                            },
                            "required": ["input"],
                            "additionalProperties": False,
                        },
                        "description": "Say.",
                    },
                }
            ]
        },
    ),
    "auto": ({"tools": [F], "tool_choice": "auto"}, {"tools": [SENT_F]}),
    "none": ({"tools": [F], "tool_choice": "none", "parallel_tool_calls": True}, {}),
    "required": ({"tools": [F], "tool_choice": "required"}, {"tools": [SENT_F], "tool_choice": "required"}),
    "one by name": (
        {"tools": [F, {"type": "serverless:clock"}], "tool_choice": {"type": "function", "name": "f"}},
        {"tools": [SENT_F], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    "parallel": ({"tools": [F], "parallel_tool_calls": False}, {"tools": [SENT_F], "parallel_tool_calls": False}),
}


@pytest.mark.parametrize(("fields", "expected"), TOOLS.values(), ids=TOOLS)
def test_tools_are_offered_as_functions(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent(fields) == expected


def digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:8]


F_CALL = ("a", "f", "{}")
HISTORIES: dict[str, tuple[list[Any], dict[str, Any], list[Any]]] = {
    "instructions of all ranks are one message, first": (
        [{"role": "system", "content": "B"}, USER, {"role": "developer", "content": "C"}],
        {},
        [{"role": "system", "content": "A\n\nB\n\nC"}, USER],
    ),
    "instructions stay where they are if the option says so": (
        [{"role": "system", "content": "B"}, USER, {"role": "developer", "content": "C"}],
        OPEN,
        [
            {"role": "system", "content": "A"},
            {"role": "system", "content": "B"},
            USER,
            {"role": "developer", "content": "C"},
        ],
    ),
    "text and calls of a turn are one message": (
        [USER, said("I look."), call("a"), call("b", arguments='{"x":1}'), output("b", "2"), output("a", "1")],
        {},
        [USER, calls(F_CALL, ("b", "f", '{"x":1}'), content="I look."), tool("a", "1"), tool("b", "2")],
    ),
    "a text after the calls of a turn joins them": (
        [USER, call("a"), said("I look."), output("a")],
        {},
        [USER, calls(F_CALL, content="I look."), tool("a")],
    ),
    "turns stay apart": (
        [USER, call("a"), output("a"), said("So."), call("b"), output("b"), call("c"), output("c"), said("Done.")],
        {},
        [
            USER,
            calls(F_CALL),
            tool("a"),
            calls(("b", "f", "{}"), content="So."),
            tool("b"),
            calls(("c", "f", "{}")),
            tool("c"),
            said("Done."),
        ],
    ),
    "interleaved calls and outputs of a reasoning model's turn are one message": (
        [USER, thought("T"), call("a"), output("a"), call("b"), output("b")],
        {},
        [USER, calls(F_CALL, ("b", "f", "{}"), reasoning_content="T"), tool("a"), tool("b")],
    ),
    "an unanswered call gets an output": (
        [USER, call("a"), USER],
        {},
        [USER, calls(F_CALL), tool("a", "(no output)"), USER],
    ),
    "an output that comes late moves to its call": (
        [USER, call("a"), USER, output("a")],
        {},
        [USER, calls(F_CALL), tool("a"), USER],
    ),
    "ids may come again": (
        [USER, call("a"), output("a", "1"), call("a"), output("a", "2")],
        {},
        [USER, calls(F_CALL), tool("a", "1"), calls(("a_2", "f", "{}")), tool("a_2", "2")],
    ),
    "a long id is cut, and no other call has it": (
        [USER, call("i" * 64), output("i" * 64, "1"), call("i" * 60), output("i" * 60, "2")],
        {},
        [
            USER,
            calls((f"{'i' * 31}_{digest('i' * 64)}", "f", "{}")),
            tool(f"{'i' * 31}_{digest('i' * 64)}", "1"),
            calls((f"{'i' * 31}_{digest('i' * 60)}", "f", "{}")),
            tool(f"{'i' * 31}_{digest('i' * 60)}", "2"),
        ],
    ),
    "an id of its own form stays": (
        [USER, call("functions.f:0"), output("functions.f:0")],
        {},
        [USER, calls(("functions.f:0", "f", "{}")), tool("functions.f:0")],
    ),
    "a name that no tool can have here is fitted": (
        [USER, call("a", "f.g"), output("a")],
        {},
        [USER, calls(("a", f"f_g_{digest('f.g')}", "{}")), tool("a")],
    ),
    "a hosted call has its output": (
        [USER, clock("a", "noon"), clock("b", "it broke", "failed"), clock("c", None, "incomplete")],
        {},
        [
            USER,
            calls(("a", "clock", "{}")),
            tool("a", "noon"),
            calls(("b", "clock", "{}")),
            tool("b", "it broke"),
            calls(("c", "clock", "{}")),
            tool("c", "(no output)"),
        ],
    ),
    "a hosted call among the client's stays with them": (
        [USER, call("a"), clock("b", "noon"), call("c"), output("a"), output("c")],
        {},
        [USER, calls(F_CALL, ("b", "clock", "{}"), ("c", "f", "{}")), tool("a"), tool("b", "noon"), tool("c")],
    ),
    "a custom call is a function call": (
        [
            USER,
            {"type": "custom_tool_call", "call_id": "a", "name": "say", "input": 'é "q"'},
            {"type": "custom_tool_call_output", "call_id": "a", "output": "said"},
        ],
        {},
        [USER, calls(("a", "say", '{"input": "é \\"q\\""}')), tool("a", "said")],
    ),
    "a call in a namespace has the name that the model knows": (
        [USER, call("a", namespace="mcp__"), output("a")],
        {},
        [USER, calls(("a", "mcp__f", "{}")), tool("a")],
    ),
    "arguments are always an object": (
        [USER, call("a", arguments=""), call("b", arguments='{"x'), call("c", arguments="[1]")],
        {},
        [
            USER,
            calls(F_CALL),
            tool("a", "(no output)"),
            calls(("b", "f", '{"invalid_arguments": "{\\"x"}')),
            tool("b", "(no output)"),
            calls(("c", "f", '{"invalid_arguments": "[1]"}')),
            tool("c", "(no output)"),
        ],
    ),
    "a tool's text is joined": (
        [USER, call("a"), output("a", [{"type": "input_text", "text": "1"}, {"type": "input_text", "text": "2"}])],
        {},
        [USER, calls(F_CALL), tool("a", "1\n2")],
    ),
    "a tool's image follows in a message of the user": (
        [
            USER,
            call("a"),
            call("b"),
            output("a", [{"type": "input_image", "image_url": "https://x.test/i.png"}]),
            output("b"),
        ],
        {},
        [
            USER,
            calls(F_CALL, ("b", "f", "{}")),
            tool("a", "[1 attached in the message of the user that follows]"),
            tool("b"),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Attached by the tool call a:"},
                    {"type": "image_url", "image_url": {"url": "https://x.test/i.png"}},
                ],
            },
        ],
    ),
    "a refusal is what the assistant said": (
        [USER, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, USER],
        {},
        [USER, said("No."), USER],
    ),
    "reasoning of a turn without calls is not sent": (
        [USER, thought("T"), said("Yes."), USER],
        {},
        [USER, said("Yes."), USER],
    ),
    "reasoning of a turn with calls is sent, on all of its messages": (
        [USER, thought("T"), call("a"), output("a"), said("Yes."), USER, thought("U"), said("No."), USER],
        {},
        [
            USER,
            calls(F_CALL, reasoning_content="T"),
            tool("a"),
            {**said("Yes."), "reasoning_content": ""},
            USER,
            said("No."),
            USER,
        ],
    ),
    "state is sent, and not what a client makes of the reasoning": (
        [USER, {**thought("shortened"), "encrypted_content": '{"text":"T"}'}, call("a"), output("a")],
        {},
        [USER, calls(F_CALL, reasoning_content="T"), tool("a")],
    ),
    "of another provider's reasoning its summary is sent": (
        [
            USER,
            {**thought("T"), "content": [], "summary": [{"type": "summary_text", "text": "S"}]},
            call("a"),
            output("a"),
        ],
        {},
        [USER, calls(F_CALL, reasoning_content="S"), tool("a")],
    ),
    "calls without reasoning are sent with none if the option says so": (
        [USER, said("Yes."), USER, call("a"), output("a"), said("Yes."), USER],
        {"reasoning_echo": "required"},
        [
            USER,
            said("Yes."),
            USER,
            calls(F_CALL, reasoning_content=""),
            tool("a"),
            {**said("Yes."), "reasoning_content": ""},
            USER,
        ],
    ),
    "reasoning is always sent if the option says so": (
        [USER, thought("T"), said("Yes."), USER],
        {"reasoning_echo": "always", "reasoning_field": "reasoning"},
        [USER, {**said("Yes."), "reasoning": "T"}, USER],
    ),
    "reasoning is never sent if the option says so": (
        [USER, thought("T"), call("a"), output("a")],
        {"reasoning_echo": "never"},
        [USER, calls(F_CALL), tool("a")],
    ),
    "a message that says nothing is not sent": ([USER, said(""), thought("T"), USER], {}, [USER, USER]),
    "other implementors' items are not sent": ([USER, {"type": "acme:thing", "x": 1}], {}, [USER]),
}


@pytest.mark.parametrize(("items", "options", "expected"), HISTORIES.values(), ids=HISTORIES)
def test_the_history_becomes_messages(items: list[Any], options: dict[str, Any], expected: list[Any]) -> None:
    instructions = {"instructions": "A"} if any(item.get("role") == "system" for item in items) else {}
    assert messages(items, instructions, **options) == expected


USER_PARTS = {
    "texts": ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], "a\nb"),
    "an original image": (
        [{"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original"}],
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"}}],
    ),
    "a data URL": (
        [{"type": "input_file", "file_data": "data:text/plain;base64,AA=="}],
        [{"type": "file", "file": {"filename": "file", "file_data": "data:text/plain;base64,AA=="}}],
    ),
    "bare data": (
        [{"type": "input_file", "filename": "x.pdf", "file_data": "AA=="}],
        [{"type": "file", "file": {"filename": "x.pdf", "file_data": "data:application/pdf;base64,AA=="}}],
    ),
}


@pytest.mark.parametrize(("content", "expected"), USER_PARTS.values(), ids=USER_PARTS)
def test_a_user_s_parts_are_sent(content: list[Any], expected: Any) -> None:
    assert messages([{"role": "user", "content": content}]) == [{"role": "user", "content": expected}]


REFUSED = {
    "input_video": [{"role": "user", "content": [{"type": "input_video", "video_url": "https://x.test/v"}]}],
    "'input_image' without 'image_url'": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}],
    "'input_file' without 'file_data'": [
        {"role": "user", "content": [{"type": "input_file", "file_url": "https://x"}]}
    ],
    "'input_image' in a message of role 'system'": [
        {"role": "system", "content": [{"type": "input_image", "image_url": "https://x"}]}
    ],
    "compaction": [USER, {"type": "compaction", "encrypted_content": "e"}],
    "call_id 'z'": [USER, output("z")],
}


@pytest.mark.parametrize(("what", "items"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_sent_is_refused(what: str, items: list[Any]) -> None:
    with pytest.raises(RequestError) as raised:
        messages(items)
    assert (what in raised.value.message, raised.value.param) == (True, "input")


def test_the_start_of_the_prompt_stays_the_same_from_turn_to_turn() -> None:
    items = [USER, clock("a", "1"), clock("b", "2"), clock("c", "3")]
    whole = messages(items)
    assert [messages(items[:count]) == whole[: 2 * count - 1] for count in (1, 2, 3, 4)] == [True] * 4


@pytest.mark.parametrize(
    ("base_url", "options"),
    [
        ("", {}),
        ("ftp://x.test", {}),
        ("x.test/v1", {}),
        ("http://x.test", {"unknown": 1}),
        ("http://x.test", {"reasoning_echo": "sometimes"}),
    ],
)
def test_settings_that_cannot_work_are_refused(base_url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="provider 'v'"):
        connect(settings(base_url, **options))


@pytest.mark.parametrize(
    ("base_url", "limit"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://me.openai.azure.com/openai/deployments/d?api-version=1", "max_completion_tokens"),
        ("https://api.openai.com.evil.test/v1", "max_tokens"),
        ("https://api.groq.com/openai/v1", "max_tokens"),
    ],
)
def test_openai_s_hosts_get_openai_s_names(base_url: str, limit: str) -> None:
    assert encode(turn(max_output_tokens=16), settings(base_url))[limit] == 16


def test_an_option_wins_over_what_is_known_of_the_host() -> None:
    body = encode(turn(max_output_tokens=16), settings("https://api.openai.com/v1", max_completion_tokens=False))
    assert body["max_tokens"] == 16


def test_a_provider_at_any_address_counts_as_the_vendor_that_its_option_names() -> None:
    body = encode(turn(max_output_tokens=16), settings("http://127.0.0.1:9/v1", vendor="openai"))
    assert body["max_completion_tokens"] == 16
    body = encode(turn(max_output_tokens=16), settings("https://api.openai.com/v1", vendor="vllm"))
    assert body["max_tokens"] == 16
    with pytest.raises(ValueError, match=r"provider 'v': options.vendor: .*no such vendor; known are anthropic, azure"):
        connect(settings(vendor="opneai"))
