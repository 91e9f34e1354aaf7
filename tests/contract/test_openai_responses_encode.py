"""What goes upstream for what is asked: tables of requests and the Responses bodies made of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core.errors import RequestError
from openresponses.core.run import OfferedTool
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn
from openresponses.dialects import connect
from openresponses.dialects._shared.naming import tool_names
from openresponses.schema.items import FunctionCall, FunctionCallOutput, Item
from tests.contract import openai_types
from tests.contract.turns import call, clock, encode, output, turn
from tests.fakes.openai_responses_rules import check
from tests.fakes.wire import Rules, sign

USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
COMPACTED = sign("openai_responses", "") + "."
HI = {"role": "user", "content": "Hi"}
OPENAI = "https://api.openai.com/v1"
ENCRYPTED = ["reasoning.encrypted_content"]
RAW = {"type": "reasoning_text", "text": "T"}


def settings(base_url: str = "http://vendor.test/v1", **options: Any) -> ProviderSettings:
    return ProviderSettings(name="v", dialect="openai_responses", base_url=base_url, options=options)


def sent(fields: dict[str, Any], base_url: str = "http://vendor.test/v1", **options: Any) -> dict[str, Any]:
    """What is sent beside what every request has."""
    body = encode(turn(**fields), settings(base_url, **options))
    always = {"model": "m", "input": [USER], "stream": True, "store": False, "include": ENCRYPTED}
    return {name: value for name, value in body.items() if always.get(name) != value}


def history(items: list[Any], fields: dict[str, Any] | None = None, **options: Any) -> Any:
    body = encode(turn(input=items, **(fields or {})), settings(**options))
    assert body["input"] == encode(turn(input=items, **(fields or {})), settings(**options))["input"]
    return body["input"]


def thought(item_id: str = "rs_1", **state: Any) -> dict[str, Any]:
    """As the server got it."""
    return {"type": "reasoning", "summary": [], "id": item_id, **(state or {"encrypted_content": "E"})}


def kept(item_id: str = "rs_1", **state: Any) -> dict[str, Any]:
    """As a client has it."""
    return of_the_provider(**thought(item_id, **state))


def of_the_provider(**state: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_ours", "summary": [], "encrypted_content": json.dumps(state)}


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text}


CITED = {"type": "message", "role": "assistant", "status": "completed"}
CITATIONS: list[dict[str, Any]] = [
    {
        "type": "container_file_citation",
        "container_id": "cntr_1",
        "file_id": "cfile_1",
        "filename": "plot.png",
        "start_index": 4,
        "end_index": 12,
    },
    {"type": "file_citation", "file_id": "file_1", "filename": "notes.md", "index": 12},
    {"type": "url_citation", "url": "https://x.test", "title": "X", "start_index": 0, "end_index": 3},
]


def said_part(*annotations: dict[str, Any]) -> dict[str, Any]:
    return {"type": "output_text", "text": "See plot.png", "annotations": [*annotations]}


KNOBS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "sampling": (
        {"temperature": 0, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": -1},
        {},
        {"temperature": 0.0, "top_p": 0.5, "presence_penalty": 1.0, "frequency_penalty": -1.0},
    ),
    "sampling at OpenAI": (
        {"temperature": 0, "presence_penalty": 1, "frequency_penalty": -1},
        {"base_url": OPENAI},
        {"temperature": 0.0},
    ),
    "limit": ({"max_output_tokens": 99}, {}, {"max_output_tokens": 99}),
    "logprobs": (
        {"include": ["message.output_text.logprobs"]},
        {},
        {"include": ["message.output_text.logprobs", *ENCRYPTED]},
    ),
    "top logprobs": (
        {"top_logprobs": 3},
        {},
        {"top_logprobs": 3, "include": ["message.output_text.logprobs", *ENCRYPTED]},
    ),
    "reasoning": (
        {"reasoning": {"effort": "xhigh", "summary": "auto"}},
        {},
        {"reasoning": {"effort": "xhigh", "summary": "auto"}},
    ),
    "no reasoning": ({"reasoning": {}}, {}, {}),
    "the rest": (
        {
            "truncation": "auto",
            "service_tier": "flex",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
            "user": "u",
            "instructions": "Be brief.",
        },
        {},
        {
            "truncation": "auto",
            "service_tier": "flex",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
            "user": "u",
            "instructions": "Be brief.",
        },
    ),
    "text": (
        {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
        {},
        {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
    ),
    "schema": (
        {"text": {"format": {"type": "json_schema", "name": "n", "description": None, "schema": {"a": None}}}},
        {},
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": None}}}},
    ),
    "not sent": (
        {
            "metadata": {"a": "b"},
            "store": True,
            "background": True,
            "stream_options": {"include_obfuscation": True},
            "previous_response_id": "resp_1",
            "parallel_tool_calls": True,
            "max_tool_calls": 3,
            "include": ["web_search_call.action.sources", *ENCRYPTED],
        },
        {},
        {},
    ),
    "omitted and added": (
        {"temperature": 1, "top_p": 1},
        {"omit": ["top_p"], "extra_body": {"temperature": 2, "top_k": 5}},
        {"temperature": 2, "top_k": 5},
    ),
    "the request's own options": ({"provider": {"options": {"v": {"top_k": 5}, "w": {"top_k": 6}}}}, {}, {"top_k": 5}),
}


@pytest.mark.parametrize(("fields", "options", "expected"), KNOBS.values(), ids=KNOBS)
def test_a_setting_of_the_request_is_sent_by_its_name(
    fields: dict[str, Any], options: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert sent(fields, **options) == expected


def test_a_budget_that_is_nearly_used_up_is_not_below_what_openai_takes() -> None:
    short = turn(max_output_tokens=16)
    less = Turn(**{name: getattr(short, name) for name in Turn.__slots__} | {"max_output_tokens": 3})
    assert encode(less, settings())["max_output_tokens"] == 16


@pytest.mark.parametrize("name", ["previous_response_id", "store", "tools", "include", "model", "input", "background"])
def test_what_the_server_says_is_no_option_of_a_request(name: str) -> None:
    with pytest.raises(RequestError) as raised:
        encode(turn(provider={"options": {"v": {name: "x"}}}), settings())
    assert raised.value.param == f"provider.options.v.{name}"


@pytest.mark.parametrize(
    ("model", "options", "asked"),
    [
        ("gpt-5.1", {}, True),
        ("o3", {}, True),
        ("qwen3", {}, True),
        ("gpt-4.1", {}, False),
        ("openai/gpt-4o", {}, False),
        ("ft:gpt-4o-mini:acme", {}, False),
        ("gpt-5-chat-latest", {}, False),
        ("gpt-4.1", {"encrypted_reasoning": True}, True),
        ("o3", {"encrypted_reasoning": False}, False),
        ("o3", {"echo_reasoning": "never"}, False),
    ],
)
def test_encrypted_reasoning_is_asked_for_where_models_reason(model: str, options: dict[str, Any], asked: bool) -> None:
    assert ("include" in encode(turn(model), settings(**options))) is asked


F = {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}
SENT_F = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
SAY = {"type": "custom", "name": "say", "description": "Say.", "format": {"type": "text"}}
SAID_AS_FUNCTION = {
    "type": "function",
    "name": "say",
    "description": "Say.",
    "parameters": {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The whole input, as free text."}},
        "required": ["input"],
        "additionalProperties": False,
    },
    "strict": False,
}
SEARCH = {"type": "web_search_preview", "search_context_size": "low"}
MCP = {"type": "mcp", "server_label": "l", "server_url": "https://x.test/?k=s", "authorization": "s"}
HOSTS_ALL = {"base_url": OPENAI}
TOOLS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "nulls are dropped": ({"tools": [F]}, {}, {"tools": [SENT_F]}),
    "an empty list": ({"tools": []}, {}, {}),
    "a whole function": (
        {"tools": [{**F, "description": "d", "parameters": {"type": "object"}, "strict": True}]},
        {},
        {
            "tools": [
                {
                    "type": "function",
                    "name": "f",
                    "parameters": {"type": "object"},
                    "strict": True,
                    "description": "d",
                }
            ]
        },
    ),
    "a hosted tool": ({"tools": [{"type": "serverless:clock"}]}, {}, {"tools": [{**SENT_F, "name": "clock"}]}),
    "a namespace": (
        {"tools": [{"type": "namespace", "name": "mcp__x", "tools": [F]}]},
        {},
        {"tools": [{**SENT_F, "name": "mcp__x__f"}]},
    ),
    "a custom tool": ({"tools": [SAY]}, {}, {"tools": [SAID_AS_FUNCTION]}),
    "a custom tool where they are known": ({"tools": [SAY]}, {"custom_tools": True}, {"tools": [SAY]}),
    "a forced custom tool where they are known": (
        {"tools": [SAY], "tool_choice": {"type": "custom", "name": "say"}},
        {"custom_tools": True},
        {"tools": [SAY], "tool_choice": {"type": "custom", "name": "say"}},
    ),
    "auto": ({"tools": [F], "tool_choice": "auto"}, {}, {"tools": [SENT_F]}),
    "none": ({"tools": [F], "tool_choice": "none", "parallel_tool_calls": True}, {}, {}),
    "required": ({"tools": [F], "tool_choice": "required"}, {}, {"tools": [SENT_F], "tool_choice": "required"}),
    "one by name": (
        {"tools": [F, SAY], "tool_choice": {"type": "function", "name": "f"}},
        {},
        {"tools": [SENT_F], "tool_choice": {"type": "function", "name": "f"}},
    ),
    "some": (
        {"tools": [F, SAY], "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]}},
        {},
        {"tools": [SENT_F]},
    ),
    "parallel": (
        {"tools": [F], "parallel_tool_calls": False},
        {},
        {"tools": [SENT_F], "parallel_tool_calls": False},
    ),
    "web search where there is none": ({"tools": [F, SEARCH]}, {}, {"tools": [SENT_F]}),
    "web search": (
        {"tools": [F, SEARCH], "max_tool_calls": 3},
        {"upstream_tools": ["web_search"]},
        {"tools": [SENT_F, SEARCH], "max_tool_calls": 3},
    ),
    "forced web search": (
        {"tools": [F, SEARCH], "tool_choice": {"type": "web_search_preview"}},
        HOSTS_ALL,
        {"tools": [SEARCH], "tool_choice": {"type": "web_search_preview"}},
    ),
    "a server's secrets": ({"tools": [MCP]}, {**HOSTS_ALL, "upstream_tools": ["mcp"]}, {"tools": [MCP]}),
    "what is wanted of its calls": (
        {"tools": [SEARCH], "include": ["web_search_call.action.sources"]},
        HOSTS_ALL,
        {"tools": [SEARCH], "include": ["web_search_call.action.sources", *ENCRYPTED]},
    ),
}


@pytest.mark.parametrize(("fields", "options", "expected"), TOOLS.values(), ids=TOOLS)
def test_tools_are_offered(fields: dict[str, Any], options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent(fields, **options) == expected


@pytest.mark.parametrize("tool", [MCP, {"type": "file_search", "vector_store_ids": []}])
def test_tools_that_the_server_does_not_run_are_refused(tool: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as raised:
        encode(turn(tools=[tool]), settings(upstream_tools=["web_search"]))
    assert raised.value.param == "tools"


UPSTREAM = {"upstream_tools": ["web_search", "mcp"]}
SEARCHED: list[dict[str, Any]] = [
    {"type": "tool_search_call", "call_id": None, "execution": "server", "arguments": {"paths": ["f"]}},
    {
        "type": "tool_search_output",
        "call_id": None,
        "execution": "server",
        "tools": [{**SENT_F, "defer_loading": True}],
    },
]
HISTORIES: dict[str, tuple[list[Any], dict[str, Any], list[Any]]] = {
    "roles stay": (
        [{"role": "system", "content": "A"}, {"role": "developer", "content": "B"}, HI],
        {},
        [
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "A"}]},
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "B"}]},
            USER,
        ],
    ),
    "developers are the system if the option says so": (
        [{"role": "developer", "content": "B"}, HI],
        {"developer_role": False},
        [{"type": "message", "role": "system", "content": [{"type": "input_text", "text": "B"}]}, USER],
    ),
    "what the assistant said is one text": (
        [
            HI,
            {
                "role": "assistant",
                "id": "msg_1",
                "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}],
            },
            HI,
        ],
        {},
        [USER, said("ab"), USER],
    ),
    "a message that says nothing is not sent": ([HI, said(""), HI], {}, [USER, USER]),
    "calls and outputs stay in their places": (
        [HI, call("a", id="fc_1"), call("b", arguments='{"x":1}'), output("b"), output("a")],
        {},
        [USER, call("a"), call("b", arguments='{"x":1}'), output("b"), output("a")],
    ),
    "an unanswered call gets an output": (
        [HI, call("a"), HI],
        {},
        [USER, call("a"), output("a", "(no output)"), USER],
    ),
    "a hosted call has its output": (
        [HI, clock("a", "noon"), clock("b", "it broke", "failed"), clock("c", None, "incomplete")],
        {},
        [
            USER,
            call("a", "clock"),
            output("a", "noon"),
            call("b", "clock"),
            output("b", "it broke"),
            call("c", "clock"),
            output("c", "(no output)"),
        ],
    ),
    "arguments are a JSON object": (
        [HI, call("a", arguments="[1]"), output("a"), call("b", arguments=""), output("b")],
        {},
        [USER, call("a", arguments='{"invalid_arguments": "[1]"}'), output("a"), call("b"), output("b")],
    ),
    "outputs may have parts": (
        [
            HI,
            call("a"),
            output("a", [{"type": "input_text", "text": "x"}, {"type": "input_file", "file_url": "https://x.test/f"}]),
        ],
        {},
        [
            USER,
            call("a"),
            output("a", [{"type": "input_text", "text": "x"}, {"type": "input_file", "file_url": "https://x.test/f"}]),
        ],
    ),
    "an output's type follows its call's": (
        [
            HI,
            {"type": "custom_tool_call", "call_id": "a", "name": "say", "input": "x"},
            output("a"),
            call("b"),
            {"type": "custom_tool_call_output", "call_id": "b", "output": "y"},
        ],
        {"custom_tools": True},
        [
            USER,
            {"type": "custom_tool_call", "call_id": "a", "name": "say", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "a", "output": "ok"},
            call("b"),
            output("b", "y"),
        ],
    ),
    "encrypted reasoning comes before what was made of it": (
        [HI, kept(), call("a"), output("a"), kept("rs_2"), kept("rs_3"), said("Yes."), HI],
        {},
        [USER, thought(), call("a"), output("a"), thought("rs_2"), thought("rs_3"), said("Yes."), USER],
    ),
    "reasoning goes without its id if the option says so": (
        [HI, kept(), call("a"), output("a")],
        {"reasoning_ids": False},
        [USER, {"type": "reasoning", "summary": [], "encrypted_content": "E"}, call("a"), output("a")],
    ),
    "reasoning of which nothing was made is not sent": (
        [HI, kept(), HI, kept("rs_2"), said(""), HI, call("a"), kept("rs_3"), output("a"), kept("rs_4")],
        {},
        [USER, USER, USER, call("a"), output("a")],
    ),
    "reasoning is never sent if the option says so": (
        [HI, kept(), call("a"), output("a")],
        {"echo_reasoning": "never"},
        [USER, call("a"), output("a")],
    ),
    "raw reasoning of the same server": (
        [HI, kept(content=[{"type": "reasoning_text", "text": "T"}]), said("Yes.")],
        {"echo_reasoning": "content"},
        [USER, thought(content=[{"type": "reasoning_text", "text": "T"}]), said("Yes.")],
    ),
    "the calls of a turn stand together where its reasoning is text": (
        [HI, kept(content=[RAW]), clock("a", "1"), clock("b", "2"), kept("rs_2", content=[RAW]), clock("c", "3")],
        {"echo_reasoning": "content"},
        [
            USER,
            thought(content=[RAW]),
            call("a", "clock"),
            call("b", "clock"),
            output("a", "1"),
            output("b", "2"),
            thought("rs_2", content=[RAW]),
            call("c", "clock"),
            output("c", "3"),
        ],
    ),
    "reasoning of others": (
        [
            HI,
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "S"}], "encrypted_content": None},
            {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "T"}]},
            said("Yes."),
        ],
        {"echo_reasoning": "content"},
        [USER, said("Yes.")],
    ),
    "state that nobody made here": (
        [
            HI,
            *({"type": "reasoning", "summary": [], "encrypted_content": state} for state in ("x", "[]", "{}", '"E"')),
            said("Yes."),
        ],
        {},
        [USER, said("Yes.")],
    ),
    "an upstream's calls": (
        [
            HI,
            kept(),
            {"type": "web_search_call", "id": "ext_01", "status": "failed", "action": {"type": "search"}},
            {"type": "mcp_list_tools", "id": "ext_02", "status": "completed", "server_label": "l", "tools": []},
            {"type": "code_interpreter_call", "id": "ext_03", "status": "completed", "code": "1"},
            said("Yes."),
        ],
        UPSTREAM,
        [
            USER,
            thought(),
            {"type": "web_search_call", "status": "failed", "action": {"type": "search"}, "id": "ws_01"},
            {"type": "mcp_list_tools", "server_label": "l", "tools": [], "id": "mcpl_02"},
            said("Yes."),
        ],
    ),
    "an approval": (
        [
            HI,
            {"type": "mcp_approval_request", "id": "ext_9", "name": "f", "arguments": "{}", "server_label": "l"},
            {"type": "mcp_approval_response", "id": "x", "approval_request_id": "ext_9", "approve": True},
        ],
        UPSTREAM,
        [
            USER,
            {"type": "mcp_approval_request", "name": "f", "arguments": "{}", "server_label": "l", "id": "mcpr_9"},
            {"type": "mcp_approval_response", "approval_request_id": "mcpr_9", "approve": True},
        ],
    ),
    "compaction": (
        [{"type": "compaction", "id": "cmp_1", "encrypted_content": COMPACTED}, HI],
        {},
        [{"type": "compaction", "encrypted_content": COMPACTED}, USER],
    ),
    "a compaction that the provider made": (
        [HI, of_the_provider(type="compaction", encrypted_content=COMPACTED), HI],
        {},
        [USER, {"type": "compaction", "encrypted_content": COMPACTED}, USER],
    ),
    "a namespace that the provider gave a call": (
        [
            HI,
            kept(),
            of_the_provider(type="function_call", call_id="a", namespace="n"),
            call("a"),
            call("b"),
            output("a"),
        ],
        {},
        [
            USER,
            thought(),
            {**call("a"), "namespace": "n"},
            call("b"),
            output("b", "(no output)"),
            output("a"),
        ],
    ),
    "addresses that a provider which runs tools cited go back to it": (
        [HI, {**CITED, "id": "msg_1", "content": [said_part(*CITATIONS, {"type": "newer"}), said_part()]}],
        UPSTREAM,
        [USER, {**CITED, "id": "msg_1", "content": [said_part(CITATIONS[-1]), said_part()]}],
    ),
    "all that it cited goes back to one whose files are shared": (
        [HI, {**CITED, "id": "msg_1", "content": [said_part(*CITATIONS, {"type": "newer"}), said_part()]}],
        {**UPSTREAM, "shared_files": True},
        [USER, {**CITED, "id": "msg_1", "content": [said_part(*CITATIONS), said_part()]}],
    ),
    "what cites nothing that it knows is a text": (
        [HI, {**CITED, "id": "msg_1", "content": [said_part({"type": "newer"})]}],
        UPSTREAM,
        [USER, said("See plot.png")],
    ),
    "citations go to nobody else": (
        [HI, {**CITED, "id": "msg_1", "content": [said_part(*CITATIONS)]}],
        {},
        [USER, said("See plot.png")],
    ),
    "citations are not sent where an id must be stored": (
        [HI, {**CITED, "id": "msg_1", "content": [said_part(*CITATIONS)]}],
        {**UPSTREAM, "reasoning_ids": False},
        [USER, said("See plot.png")],
    ),
    "a search for tools goes back as it came": (
        [HI, *({**item, "id": f"ext_{at}"} for at, item in enumerate(SEARCHED)), call("a"), output("a")],
        {"upstream_tools": ["tool_search"]},
        [USER, *({**item, "status": "completed"} for item in SEARCHED), call("a"), output("a")],
    ),
    "a search for tools goes to nobody else": ([HI, *SEARCHED], UPSTREAM, [USER]),
    "other implementors' items are not sent": ([HI, {"type": "acme:thing", "x": 1}], {}, [USER]),
}


@pytest.mark.parametrize(("items", "options", "expected"), HISTORIES.values(), ids=HISTORIES)
def test_the_history_becomes_input(items: list[Any], options: dict[str, Any], expected: list[Any]) -> None:
    assert history(items, **options) == expected


USER_PARTS: dict[str, tuple[Any, Any]] = {
    "an image": (
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original"},
    ),
    "an image of the provider's": (
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_image", "file_id": "file-1", "detail": "auto"},
    ),
    "a file's URL": (
        {"type": "input_file", "filename": "f", "file_url": "https://x.test/f.pdf"},
        {"type": "input_file", "file_url": "https://x.test/f.pdf"},
    ),
    "a file of the provider's": (
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "file_id": "file-1"},
    ),
    "a data URL": (
        {"type": "input_file", "file_data": "data:text/plain;base64,AA=="},
        {"type": "input_file", "filename": "file", "file_data": "data:text/plain;base64,AA=="},
    ),
    "bare data": (
        {"type": "input_file", "filename": "x.pdf", "file_data": "AA=="},
        {"type": "input_file", "filename": "x.pdf", "file_data": "data:application/pdf;base64,AA=="},
    ),
    "an answer": ({"type": "output_text", "text": "a"}, {"type": "input_text", "text": "a"}),
    "a refusal": ({"type": "refusal", "refusal": "No."}, {"type": "input_text", "text": "No."}),
}


@pytest.mark.parametrize(("part", "expected"), USER_PARTS.values(), ids=USER_PARTS)
def test_a_user_s_parts_are_sent(part: Any, expected: Any) -> None:
    (message,) = history([{"role": "user", "content": [part]}], shared_files="file_id" in part)
    assert message["content"] == [expected]


VIDEO = {"type": "input_video", "video_url": "https://x.test/v"}
REFUSED: dict[str, tuple[list[Any], str, str]] = {
    "video": ([HI, {"role": "user", "content": [VIDEO]}], "input_video", "input[1].content[0]"),
    "an empty image": ([{"role": "user", "content": [{"type": "input_image"}]}], "image_url", "input[0].content[0]"),
    "an empty file": ([{"role": "user", "content": [{"type": "input_file"}]}], "file_data", "input[0].content[0]"),
    "a video of a tool": ([HI, call("a"), output("a", [VIDEO])], "input_video", "input[2].output[0]"),
    "a stray output": ([HI, output("z")], "call_id 'z'", "input"),
}


@pytest.mark.parametrize(("items", "what", "param"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_sent_is_refused(items: list[Any], what: str, param: str) -> None:
    with pytest.raises(RequestError) as raised:
        history(items)
    assert (what in raised.value.message, raised.value.param) == (True, param)


def test_the_place_of_what_an_earlier_response_holds_is_not_said() -> None:
    with pytest.raises(RequestError) as raised:
        history([{"role": "user", "content": [VIDEO]}], {"previous_response_id": "resp_1"})
    assert raised.value.param == "input"


def test_the_start_of_the_prompt_stays_the_same_from_turn_to_turn() -> None:
    items = [HI, kept(), clock("a", "1"), clock("b", "2"), kept("rs_2"), call("c"), output("c"), said("So.")]
    whole = history(items)
    for count in (1, 3, 4, 7, 8):
        part = history(items[:count])
        assert part == whole[: len(part)]


names = st.text(st.sampled_from("ab._-"), min_size=1, max_size=4) | st.sampled_from(["x" * 64, "x" * 65, "x" * 128])


@given(st.lists(names, unique=True, max_size=6))
def test_names_of_tools_are_led_there_and_back(ours: list[str]) -> None:
    tools = [OfferedTool(name=name, kind="function", item_type="function", wire_name=name) for name in ours]
    known = tool_names(tools)
    upstream = [known.wire(name) for name in ours]
    assert [known.ours(name) for name in upstream] == ours
    assert all(len(name) <= 64 and "." not in name for name in upstream)
    assert [name for name in ours if len(name) <= 64 and "." not in name] == [n for n in upstream if n in ours]


def test_a_tool_whose_name_is_what_another_s_becomes_keeps_it() -> None:
    becomes = tool_names([]).wire("a.b")
    tools = [OfferedTool(name=name, kind="function", item_type="function", wire_name=name) for name in ("a.b", becomes)]
    known = tool_names(tools)
    assert known.wire(becomes) == becomes
    assert known.ours(known.wire("a.b")) == "a.b" != known.wire("a.b")


@given(st.lists(st.sampled_from(["call_1", "functions.f:0", "0", "x" * 200]), min_size=1, max_size=8))
def test_every_call_and_its_output_share_an_id_of_their_own(ids: list[str]) -> None:
    items: list[Item] = []
    for call_id in ids:
        items += [FunctionCall(call_id=call_id, name="f"), FunctionCallOutput(call_id=call_id, output="")]
    sent = history(items)
    made = [each["call_id"] for each in sent[::2]]
    assert made == [each["call_id"] for each in sent[1::2]]
    assert len(set(made)) == len(made)
    assert all(1 <= len(each) <= 64 and ":" not in each for each in made)
    assert history([*items, FunctionCall(call_id="0", name="f")])[: len(sent)] == sent


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_fits_the_sdk_s_types_and_is_one_that_openai_takes(name: str) -> None:
    items, options, _ = HISTORIES[name]
    body: Any = encode(turn("gpt-4.1", input=items), settings(**options))
    if options.get("reasoning_ids") is not False:  # which the types require, and Azure refused
        openai_types.check_request(body)
    if all(item.get("type") != "reasoning" for item in body["input"]):  # the fake signs its own
        check({}, body, Rules())


@pytest.mark.parametrize("name", [name for name in TOOLS if name != "an empty list"])
def test_tools_fit_the_sdk_s_types(name: str) -> None:
    fields, options, _ = TOOLS[name]
    openai_types.check_request(encode(turn(**fields), settings(**options)))


@pytest.mark.parametrize(
    ("base_url", "options"),
    [
        ("", {}),
        ("ftp://x.test", {}),
        ("http://x.test", {"unknown": 1}),
        ("http://x.test", {"upstream_tools": ["computer"]}),
        ("http://x.test", {"echo_reasoning": "sometimes"}),
        ("http://x.test", {"key_header": "x-secret"}),
    ],
)
def test_settings_that_cannot_work_are_refused(base_url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="provider 'v'"):
        connect(settings(base_url, **options))


@pytest.mark.parametrize(
    ("base_url", "custom", "identified"),
    [
        (OPENAI, "custom", True),
        ("https://eu.api.openai.com/v1", "custom", True),
        ("https://me.openai.azure.com/openai/v1?api-version=preview", "custom", False),
        ("https://me.services.ai.azure.com/openai/v1", "custom", False),
        ("https://api.openai.com.evil.test/v1", "function", True),
        ("https://openrouter.ai/api/v1", "function", True),
        ("http://127.0.0.1:1234/v1", "function", True),
    ],
)
def test_known_hosts_get_what_they_know(base_url: str, custom: str, identified: bool) -> None:
    body: Any = encode(turn(input=[HI, kept(), said("So."), HI], tools=[SAY]), settings(base_url))
    assert (body["tools"][0]["type"], "id" in body["input"][1]) == (custom, identified)
