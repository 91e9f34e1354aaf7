"""The engine's loop against a server that refuses what OpenAI refuses: what we send back, it takes."""

import json
from copy import deepcopy
from typing import Any

import httpx2
import pytest

from openresponses.core.errors import ProviderError, ProviderMisconfigured, ProviderRejected, ProviderThrottled
from openresponses.core.run import Run
from openresponses.core.settings import ProviderSettings
from openresponses.schema.events import Event, ToolProgress
from tests.contract import openai_types, turns
from tests.contract.turns import SCHEMA
from tests.fakes.server import FakeUpstream, fake_upstream
from tests.fakes.wire import Rules, sign

Json = dict[str, Any]
LOOK = {"type": "function", "name": "look", "parameters": SCHEMA}
MODEL = "gpt-5.1!"


async def driven(
    upstream: FakeUpstream, options: Json | None = None, events: list[Event] | None = None, **fields: Any
) -> Run:
    known = {**upstream.wire.settings["options"], **(options or {})}
    settings = ProviderSettings(
        name="v", dialect="openai_responses", base_url=upstream.url, api_key="sk-key", options=known
    )
    return await turns.driven(settings, events, **fields)


def dumped(run: Run) -> list[Json]:
    return [item.model_dump(mode="json") for item in run.response.output]


def answers(output: list[Json]) -> list[Json]:
    return [
        {"type": f"{item['type']}_output", "call_id": item["call_id"], "output": f"seen {item['call_id']}"}
        for item in output
        if item["type"] in ("function_call", "custom_tool_call")
    ]


def text_of(run: Run) -> str:
    return dumped(run)[-1]["content"][0]["text"]


@pytest.mark.parametrize("options", [{}, {"reasoning_ids": False}], ids=["with ids", "without ids"])
@pytest.mark.parametrize("reasoning", [0, 3])
async def test_a_loop_of_parallel_hosted_calls_is_accepted_in_every_turn(reasoning: int, options: Json) -> None:
    async with fake_upstream("openai_responses", rules=Rules(reasoning=True)) as upstream:
        model = f"{MODEL}tools;turns=3;parallel=2;reasoning={reasoning}"
        run = await driven(
            upstream,
            options,
            model=model,
            tools=[{"type": "serverless:clock"}],
            instructions="Be exact.",
            max_output_tokens=999,
        )
    thought = ["reasoning"] if reasoning else []
    assert [item.type for item in run.response.output] == [
        *[*thought, *["serverless:clock"] * 2] * 3,
        *thought,
        "message",
    ]
    sent = [item["type"] for item in upstream.requests[-1].body["input"]]
    assert sent == ["message", *[*thought, *["function_call", "function_call_output"] * 2] * 3]
    assert (len(upstream.requests), upstream.connections, run.turns) == (4, 1, 4)


async def test_what_a_response_said_can_be_sent_back_with_the_outputs_of_its_calls() -> None:
    async with fake_upstream("openai_responses", rules=Rules(reasoning=True)) as upstream:
        asked: Json = {
            "model": f"{MODEL}tools;parallel=3;reasoning=2",
            "tools": [LOOK],
            "reasoning": {"summary": "auto"},
        }
        first = dumped(await driven(upstream, **asked))
        question = {"role": "user", "content": "What do you see?"}
        second = await driven(upstream, **{**asked, "input": [question, *first, *reversed(answers(first))]})
    seen = [item["call_id"] for item in reversed(first) if item["type"] == "function_call"]
    assert text_of(second) == f"The tools said: {' '.join(f'seen {each}' for each in seen)} "


@pytest.mark.parametrize("native", [True, False], ids=["as such", "as functions"])
async def test_custom_tools_are_called(native: bool) -> None:
    tools = [{"type": "custom", "name": "say", "description": "Says it."}]
    async with fake_upstream("openai_responses", rules=Rules(reasoning=True)) as upstream:
        asked: Json = {"model": f'{MODEL}tools;reasoning=2;args={{"input":"a b"}}', "tools": tools}
        first = dumped(await driven(upstream, {"custom_tools": native}, **asked))
        again = [{"role": "user", "content": "Say."}, *first, *answers(first)]
        second = await driven(upstream, {"custom_tools": native}, **{**asked, "input": again})
    assert [(item["type"], item.get("input")) for item in first] == [("reasoning", None), ("custom_tool_call", "a b")]
    assert text_of(second).startswith("The tools said: seen ")
    made = upstream.requests[-1].body["input"][2]
    assert made["type"] == ("custom_tool_call" if native else "function_call")


async def test_names_and_ids_that_openai_has_not_are_led_there_and_back() -> None:
    tools = [{**LOOK, "name": name} for name in ("fs.read", "x" * 128)]
    async with fake_upstream("openai_responses") as upstream:
        asked: Json = {"model": f"{MODEL}tools;parallel=2;turns=2", "tools": tools}
        earlier = [
            {"type": "function_call", "call_id": "functions.fs:0", "name": "fs.read", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "functions.fs:0", "output": "x"},
        ]
        run = await driven(upstream, **{**asked, "input": [{"role": "user", "content": "Go."}, *earlier, *earlier]})
    assert [item["name"] for item in dumped(run)] == ["fs.read", "x" * 128]
    ids = [item["call_id"] for item in upstream.requests[-1].body["input"] if "call_id" in item]
    assert len(set(ids)) == 2


async def test_a_search_that_the_upstream_makes_is_an_item_that_can_be_sent_back() -> None:
    tools = [{"type": "web_search"}, LOOK]
    async with fake_upstream("openai_responses", rules=Rules(reasoning=True)) as upstream:
        asked: Json = {"model": f"{MODEL}tools;search=1", "tools": tools, "include": ["web_search_call.action.sources"]}
        events: list[Event] = []
        first = dumped(await driven(upstream, events=events, **asked))
        again = [{"role": "user", "content": "Look."}, *first, *answers(first)]
        await driven(upstream, **{**asked, "input": again})
    action = {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://a.test/"}]}
    search = {"type": "web_search_call", "id": "ext_00000", "status": "completed", "action": action}
    assert (first[0], first[1]["type"]) == (search, "function_call")
    words = ["in_progress", "searching", "completed"]
    assert [event.type for event in events if isinstance(event, ToolProgress)] == [
        f"response.web_search_call.{word}" for word in words
    ]
    assert upstream.requests[-1].body["input"][1] == {**search, "id": "ws_00000"}


async def test_raw_reasoning_of_a_server_that_encrypts_nothing_stays_here() -> None:
    async with fake_upstream("openai_responses") as upstream:
        run = await driven(upstream, model=f"{MODEL}tools;reasoning=2;names=open", tools=[{"type": "serverless:clock"}])
    thought = dumped(run)[0]
    assert (thought["content"][0]["text"], "encrypted_content" in thought) == ("thought0 thought1 ", False)
    assert "reasoning" not in [item["type"] for item in upstream.requests[-1].body["input"]]


@pytest.mark.parametrize(
    ("directive", "kind", "said"),
    [
        ("status;code=400;message=Bad", ProviderRejected, "The provider refused the request (HTTP 400): Bad"),
        ("status;code=401", ProviderMisconfigured, "The provider refused our credentials (HTTP 401)"),
        ("throttle;after=7", ProviderThrottled, "The provider limits our rate (HTTP 429)"),
        ("nothing", ProviderRejected, "The provider refused the request (HTTP 404): The model `gpt-5.1!nothing`"),
        ("error;code=429", ProviderThrottled, "The provider limits our rate"),
    ],
)
async def test_a_refusal_is_the_turn_s_error(directive: str, kind: type[ProviderError], said: str) -> None:
    async with fake_upstream("openai_responses") as upstream:
        with pytest.raises(kind) as raised:
            await driven(upstream, model=MODEL + directive)
    assert raised.value.message.startswith(said)


@pytest.mark.parametrize(("header", "value"), [("authorization", "Bearer sk-key"), ("api-key", "sk-key")])
async def test_the_key_goes_where_the_options_say(header: str, value: str) -> None:
    async with fake_upstream("openai_responses", rules=Rules(api_key="sk-key")) as upstream:
        await driven(upstream, {"key_header": header}, model=f"{MODEL}text")
    headers = upstream.requests[0].headers
    assert {name: headers[name] for name in ("authorization", "api-key") if name in headers} == {header: value}


TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
STATE = f"{sign('openai_responses', 'rs_1', '[]')}.rs_1"
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": STATE}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
USER = {"role": "user", "content": "Hi"}
BODY: Json = {"model": "gpt-5.1!text", "input": [USER, THOUGHT, CALL, OUTPUT], "stream": True, "store": False}
REFUSED: dict[str, tuple[Json, str]] = {
    "an unknown parameter": ({"n": 1}, "Unknown parameter: 'n'."),
    "a stored response": ({"previous_response_id": "resp_1"}, "Unknown parameter: 'previous_response_id'."),
    "temperature of a reasoning model": (
        {"model": "o3!text", "temperature": 1},
        "Unsupported parameter: 'temperature'",
    ),
    "encryption without reasoning": (
        {"model": "gpt-4.1!text", "include": ["reasoning.encrypted_content"]},
        "Encrypted content is not supported",
    ),
    "too low a limit": ({"max_output_tokens": 5}, "integer below minimum value"),
    "a name with a dot": ({"tools": [{**TOOL, "name": "a.b"}]}, "string does not match pattern"),
    "a long name": ({"tools": [{**TOOL, "name": "a" * 65}]}, "string too long"),
    "a name that comes twice": ({"tools": [TOOL, TOOL]}, "unique"),
    "a loose schema": ({"tools": [{**TOOL, "strict": True}]}, "'additionalProperties' is required"),
    "a choice among nothing": ({"tool_choice": "required"}, "must be specified with 'tools'"),
    "a choice of another": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}},
        "Tool choice 'function' not found",
    ),
    "an unknown item": ({"input": [{"type": "acme:x"}]}, "Invalid value: 'acme:x'"),
    "an item's unknown field": ({"input": [{**USER, "name": "x"}]}, "Unknown parameter: 'input[0].name'"),
    "another's id": ({"input": [{**USER, "id": "item_1"}]}, "Expected an ID that begins with 'msg'"),
    "an id that comes twice": ({"input": [{**USER, "id": "msg_1"}] * 2}, "Duplicate item found with id msg_1"),
    "a long call id": ({"input": [USER, {**CALL, "call_id": "c" * 65}]}, "string too long"),
    "a call without its output": ({"input": [USER, CALL]}, "No tool output found for function call call_1"),
    "an output without its call": ({"input": [USER, OUTPUT]}, "No tool call found for function call output"),
    "reasoning that nothing follows": ({"input": [USER, THOUGHT]}, "without its required following item"),
    "reasoning that is looked up": (
        {"input": [USER, {**THOUGHT, "encrypted_content": None}, CALL, OUTPUT]},
        "Item with id 'rs_1' not found",
    ),
    "reasoning that was altered": (
        {"input": [USER, {**THOUGHT, "encrypted_content": f"x{STATE}"}, CALL, OUTPUT]},
        "could not be decrypted or parsed",
    ),
    "reasoning under another id": (
        {"input": [USER, {**THOUGHT, "id": "rs_2"}, CALL, OUTPUT]},
        "item_id did not match the target item id",
    ),
    "reasoning that was lost": (
        {"input": [USER, {**CALL, "call_id": "c_rs000000000001"}, OUTPUT]},
        "without its required 'reasoning' item: 'rs_000000000001'",
    ),
    "a user's answer": (
        {"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]},
        "Invalid value: 'output_text'",
    ),
    "an assistant's question": (
        {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
        "Supported values are: 'output_text' and 'refusal'",
    ),
    "bare base64": (
        {"input": [{"role": "user", "content": [{"type": "input_file", "filename": "f", "file_data": "AA=="}]}]},
        "Expected a base64-encoded data URL",
    ),
}


DIRECTIVES = [
    "text;reasoning=2;search=1",
    "tools;reasoning=2;parallel=2",
    "refusal",
    "length",
    "filter",
    "error",
    "json",
]


@pytest.mark.parametrize("directive", DIRECTIVES)
async def test_what_the_fake_upstream_streams_fits_the_sdk_s_types(directive: str) -> None:
    tools = [TOOL, {"type": "custom", "name": "c"}, {"type": "web_search"}]
    more = {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"], "tools": tools}
    async with (
        fake_upstream("openai_responses") as upstream,
        httpx2.AsyncClient(base_url=upstream.url) as client,
    ):
        answer = await client.post("/responses", json={**BODY, **more, "model": MODEL + directive})
    frames = [frame.partition("data: ")[2] for frame in answer.text.split("\n\n") if frame]
    for frame in frames:
        openai_types.check_event(frame)
    assert [json.loads(frame)["sequence_number"] for frame in frames] == list(range(len(frames)))


@pytest.mark.parametrize(("change", "why"), REFUSED.values(), ids=REFUSED)
async def test_the_fake_upstream_refuses_what_the_real_one_refuses(change: Json, why: str) -> None:
    async with (
        fake_upstream("openai_responses", rules=Rules(reasoning=True)) as upstream,
        httpx2.AsyncClient(base_url=upstream.url) as client,
    ):
        assert (await client.post("/responses", json=BODY)).status_code == 200
        refused = await client.post("/responses", json=deepcopy({**BODY, **change}))
    error = refused.json()["error"]
    assert (refused.status_code in (400, 404), why in error["message"]) == (True, True), json.dumps(error)
