"""What a wrong body is told: which field, what is allowed there, and what was found. No validator shows."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from openresponses.api.body import parse_create
from openresponses.core.errors import RequestError
from openresponses.entry.api import build
from openresponses.responses.intake import UNSUPPORTED
from openresponses.schema.request import CreateResponse
from tests.contract.authorized import authorized
from tests.sweeps import Sweep

SECRET = "sk-" + "s3cr3t" * 20
"""What no message may show."""
BODY: dict[str, Any] = {
    "model": "m",
    "input": [
        {"role": "user", "content": "hi"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": "https://a/b", "detail": "low"},
                {"type": "input_file", "filename": "f", "file_data": "AAAA"},
            ],
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "content": [
                {
                    "type": "output_text",
                    "text": "ho",
                    "annotations": [
                        {"type": "url_citation", "url": "https://a", "title": "t", "start_index": 0, "end_index": 2},
                        {"type": "file_citation", "file_id": "f", "filename": "f", "index": 1},
                    ],
                    "logprobs": [{"token": "h", "logprob": -1.5, "bytes": [104], "top_logprobs": []}],
                },
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "e"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "4"}]},
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "y"},
        {"type": "serverless:clock", "call_id": "c3", "name": "clock", "arguments": "{}", "output": "noon"},
        {"type": "shell_call", "call_id": "c4", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c4", "output": []},
        {"type": "tool_search_output", "tools": [{"type": "function", "name": "h"}]},
        {"type": "agent_message", "author": "a", "recipient": "b", "content": []},
        {"type": "compaction", "encrypted_content": "e"},
        {"type": "acme:note", "id": "n"},
        {"type": "item_reference", "id": "msg_2"},
        {"type": "additional_tools", "tools": [{"type": "custom", "name": "k"}]},
    ],
    "tools": [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"type": "serverless:clock"},
        {"type": "custom", "name": "g", "format": {"type": "text"}},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "m"}]},
        {"type": "computer", "display_width": 100},
        {"type": "mcp", "server_label": "s", "server_url": "https://a", "headers": {"Authorization": SECRET}},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "include": ["reasoning.encrypted_content"],
    "metadata": {"a": "b"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}, "verbosity": "low"},
    "temperature": 1,
    "top_p": 0.5,
    "presence_penalty": 0,
    "parallel_tool_calls": True,
    "stream_options": {"include_obfuscation": False},
    "max_output_tokens": 100,
    "max_tool_calls": 3,
    "reasoning": {"effort": "low", "summary": "auto"},
    "safety_identifier": "s",
    "truncation": "auto",
    "service_tier": "auto",
    "top_logprobs": 2,
    "conversation": "c",
    "prompt": {"id": "p"},
    "moderation": {"model": "m"},
    "provider": {"order": ["a"], "allow_fallbacks": True, "options": {"a": {"b": 1}}},
}
WRONG: list[Any] = [
    None, True, 5, -7, 1.5, 10**30, float("nan"), "", "a b", "serverless:a b", "mcp\n", SECRET, [], {}, [3], ["a b"],
    {"type": "a b"}, {"type": 5}, {"type": "text"}, {"type": "message"}, {"role": "user"}, {"a": SECRET}, {"a": 1},
    {"k" * 70: "v"}, {str(n): "v" for n in range(20)}, ["a"] * 20, [{"type": "function"}], [[]],
]  # fmt: skip
INSIDES = re.compile(
    r"Input should|validation|Value error|pattern|regex|union|\btag|discriminator|pydantic|instance of|dictionary"
    r"|\[key\]|list\[|dict\[|NoneType|another value|another form|\^"
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(each, (*path, key))


def written(path: tuple[str | int, ...]) -> str:
    """As `param` has it: a long name is cut."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step[:64]}" for step in path).removeprefix(".")


def with_other(path: tuple[str | int, ...], *value: Any, body: dict[str, Any] = BODY) -> dict[str, Any]:
    """The body with another value at `path`, or with none."""
    body = copy.deepcopy(body)
    holder: Any = body
    for step in path[:-1]:
        holder = holder[step]
    if value:
        holder[path[-1]] = copy.deepcopy(value[0])
    else:
        del holder[path[-1]]
    return body


def refusal(body: Any) -> RequestError | None:
    try:
        parse_create(json.dumps(body).encode())
    except RequestError as error:
        return error
    return None


def test_the_body_that_is_made_wrong_is_right() -> None:
    assert refusal(BODY) is None


@pytest.mark.parametrize("path", list(places(BODY)), ids=written)
def test_no_message_shows_a_validator_or_what_may_be_secret(path: tuple[str | int, ...]) -> None:
    for value in [(), *((each,) for each in WRONG)]:
        body = with_other(path, *value)
        error = refusal(body)
        if error is None:
            continue
        assert not INSIDES.search(error.message), error.message
        assert SECRET not in error.message
        assert len(error.message) < 400
        named = [each for each in places(body) if written(each) == error.param]
        if error.code == "missing_required_parameter":
            assert named == []
            assert error.message == f"'{error.param}' is missing"
        elif error.message.startswith("A name in"):
            assert f"'{error.param}'" in error.message
        else:
            assert len(named) == 1, (error.param, error.message)
            assert error.message.startswith(f"'{error.param}' ")


@pytest.mark.parametrize(
    ("wrong", "param", "message"),
    [
        ({"input": 5}, "input", "must be a string or a list; it is 5"),
        ({"input": [{"role": "user", "message": "hi"}]}, "input[0].content", "is missing"),
        ({"input": [{"role": "owner", "content": ""}]}, "input[0].role",
         "must be 'user', 'assistant', 'system' or 'developer'; it is 'owner'"),
        ({"input": [{"role": "user", "content": ["secret"]}]}, "input[0].content[0]",
         "must be an object; it is a string"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "image"}]}]},
         "input[0].output[0].type",
         "must be one of 'input_text', 'input_image', 'input_file', 'input_video'; it is 'image'"),
        ({"input": [{"type": "mystery"}]}, "input[0].type",
         "must be the type of an item that this server knows; it is 'mystery'"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name",
         "must be made of letters, digits, _, . and -; it is 'a b'"),
        ({"tools": [{"type": "function", "name": "a" * 129}]}, "tools[0].name",
         "must have at most 128 characters; it has 129"),
        ({"tools": [{"type": "serverless:a b"}]}, "tools[0].type",
         "must be serverless: and a name of letters, digits, _ and -; it is 'serverless:a b'"),
        ({"tools": [{"type": "function", "name": "f", "function": 1, "strict": SECRET}]}, "tools[0].strict",
         "must be true or false; it is a string of 123 characters"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema", "is missing"),
        ({"temperature": 9}, "temperature", "must be at most 2; it is 9"),
        ({"max_output_tokens": 99.5}, "max_output_tokens", "must be a whole number; it is 99.5"),
        ({"model": ""}, "model", "must not be empty"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "must have at most 16 entries; it has 17"),
    ],
)  # fmt: skip
def test_a_message_tells_what_is_allowed_and_what_was_found(wrong: dict[str, Any], param: str, message: str) -> None:
    error = refusal({"model": "m", "input": "hi", **wrong})
    assert error is not None
    assert (error.param, error.message) == (param, f"'{param}' {message}")


def test_a_name_that_is_too_long_is_not_shown() -> None:
    error = refusal({"model": "m", "metadata": {"k" * 70: ""}})
    assert error is not None
    assert (error.param, error.message) == (
        "metadata",
        "A name in 'metadata' must have at most 64 characters; it has 70",
    )


@pytest.mark.parametrize("body", [b"{bad", b"", b'{"model": "m",}', b"[" * 500, b'{"a": ' + b"9" * 5000 + b"}"])
def test_what_is_no_json_is_told_where(body: bytes) -> None:
    with pytest.raises(RequestError, match=r"^The body is not JSON: .* at line 1 column \d+$") as raised:
        parse_create(body)
    assert not INSIDES.search(raised.value.message)


HABITS: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": [{"role": "user", "content": "hi"}]}, "messages", "'input'"),
    ({"functions": [{"name": "f"}]}, "functions", "'tools'"),
    ({"function_call": "auto"}, "function_call", "'tool_choice'"),
    ({"response_format": {"type": "json_object"}}, "response_format", "'text.format'"),
    ({"max_tokens": 100}, "max_tokens", "'max_output_tokens'"),
    ({"max_completion_tokens": 100}, "max_completion_tokens", "'max_output_tokens'"),
    ({"reasoning_effort": "low"}, "reasoning_effort", "'reasoning.effort'"),
    ({"verbosity": "low"}, "verbosity", "'text.verbosity'"),
    ({"n": 2}, "n", "one response"),
    ({"stop": ["\n"]}, "stop", "not supported"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].function", '"name": "..."'),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice.function", '"name": "..."'),
    ({"text": {"format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}},
     "text.format.json_schema", '"schema": {...}'),
    ({"input": [{"role": "tool", "tool_call_id": "c", "content": "4"}]}, "input[0].role", "function_call_output"),
    ({"input": [{"role": "function", "name": "f", "content": "4"}]}, "input[0].role", "function_call_output"),
    ({"input": [{"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}]}, "input[0].tool_calls",
     '"function_call"'),
    ({"input": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]},
     "input[0].content[0].type", '"input_image"'),
    ({"input": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "input[0].content[0].type",
     '"input_file"'),
]  # fmt: skip


@pytest.mark.parametrize(("habit", "param", "told"), HABITS, ids=[param for _, param, _ in HABITS])
def test_a_habit_of_chat_completions_is_told_its_name_here(habit: dict[str, Any], param: str, told: str) -> None:
    body = {"model": "m", **habit} if "messages" in habit else {"model": "m", "input": "hi", **habit}
    error = refusal(body)
    assert error is not None
    assert (error.param, error.code, error.status) == (param, "unsupported_parameter", 400)
    assert told in error.message


@pytest.mark.parametrize(
    "fields",
    [
        {name: None for habit, _, _ in HABITS for name in habit if name not in ("input", "model")},
        {"n": 1, "stop": [], "functions": [], "seed": 7, "logit_bias": {}, "top_k": 5, "client_metadata": {"a": "b"}},
        {"input": [{"role": "assistant", "content": "hi", "tool_calls": [], "function_call": None}]},
        {"input": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
        {"tools": [{"type": "function", "name": "f", "function": {"name": "f"}}]},
        {"input": [{"type": "acme:note", "role": "tool", "tool_calls": [1]}]},
    ],
)
def test_what_asks_for_nothing_else_is_left_out(fields: dict[str, Any]) -> None:
    assert refusal({"model": "m", "input": "hi", **fields}) is None


def test_a_body_is_read_as_pydantic_reads_json() -> None:
    body = json.dumps(BODY).encode()
    assert parse_create(body) == CreateResponse.model_validate_json(body)


UNSERVED = (*UNSUPPORTED, "provider", "prompt", "conversation")
"""Of them, `prompt` and `conversation` name what is not there."""
SERVED: dict[str, Any] = {
    **{name: value for name, value in BODY.items() if name not in UNSERVED},
    "model": "offline/demo",
    "input": [
        *(
            {name: value for name, value in item.items() if name != "encrypted_content"}
            for item in BODY["input"]
            if item.get("type") not in ("item_reference", "serverless:clock", "compaction")
        ),
        {"type": "computer_call", "call_id": "c5", "actions": [{"type": "click"}]},
        {"type": "computer_call_output", "call_id": "c5", "output": {"image_url": "https://a"}},
        {"type": "local_shell_call", "call_id": "c6", "action": {"command": ["ls"]}},
        {"type": "apply_patch_call", "call_id": "c7", "operation": {"type": "create_file", "path": "p"}},
        {"type": "apply_patch_call_output", "call_id": "c7", "output": "o"},
        {
            "type": "agent_message",
            "author": "a",
            "recipient": "b",
            "content": [{"type": "input_image", "image_url": "u"}, {"type": "text", "text": "x"}],
        },
    ],
    "tools": [
        *(tool for tool in BODY["tools"] if tool["type"] != "mcp"),
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}},
    ],
}


async def test_no_body_is_answered_with_a_500(sweep: Sweep) -> None:
    transport = httpx2.ASGITransport(authorized(build({})))
    bodies = [(path, *value) for path in places(SERVED) for value in [(), *((each,) for each in WRONG)]]
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        assert (await client.post("/v1/responses", json=SERVED)).status_code == 200
        for path, *value in sweep.sample(bodies, 300):
            sent = json.dumps(with_other(path, *value, body=SERVED))  # httpx2 refuses to write a NaN
            answer = await client.post("/v1/responses", content=sent, headers={"content-type": "application/json"})
            assert answer.status_code < 500, (path, value)
            if answer.status_code == 400:
                assert not INSIDES.search(answer.json()["error"]["message"])
