"""The offline model: what it says, what it calls, and how it is scripted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from openresponses.core import deltas as d
from openresponses.core.errors import ProviderThrottled
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.core.turn import Turn, turn_of
from openresponses.dialects import connect
from openresponses.dialects.offline.budget import Budget
from openresponses.dialects.offline.instances import instance
from openresponses.dialects.offline.script import Ending, Script, parse
from openresponses.responses.create import NewResponses
from openresponses.schema.request import CreateResponse
from openresponses.toolbox import Toolbox
from openresponses.toolbox.files import ToolFiles
from tests.immediately import immediately
from tests.openresponses_schema import check_event
from tests.stream_checker import check_stream
from tests.unit.kit import Json, Log, Models, Said, ports_of

SETTINGS = Settings()
OFFLINE = connect(ProviderSettings(name="offline", dialect="offline", models=("demo",)))
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "maximum": 7},
        },
        "required": ["location"],
    },
}
CALCULATOR, CLOCK = {"type": "serverless:calculator"}, {"type": "serverless:clock"}
INTRODUCTION = "This is the offline demo model: no real model ran."


async def respond(said: Any, **request: Any) -> tuple[Json, list[Json]]:
    """The whole way through the core: the final response and its events, all of them checked."""
    new = NewResponses(ports_of(Models(OFFLINE), Toolbox([ToolFiles()])), SETTINGS)
    run, record = await new.accept(CreateResponse.model_validate({"model": "offline/demo", "input": said, **request}))
    log = Log()
    await new.respond(run, record, log, seconds=None, committed=lambda: True)
    for event in log.events:
        check_event(event)
    return check_stream(log.events), log.events


def texts(response: Json) -> list[str]:
    messages = [item for item in response["output"] if item["type"] == "message"]
    return [part.get("text", part.get("refusal")) for item in messages for part in item["content"]]


def calls(response: Json) -> list[tuple[str, Any]]:
    return [(item["name"], json.loads(item["arguments"])) for item in response["output"] if "arguments" in item]


async def deltas(said: str, **request: Any) -> list[Said | str]:
    """One turn's deltas, and the name of the error that ended it."""
    heard: list[Said | str] = []
    try:
        async with aclosing(OFFLINE.stream(turn(said, **request))) as stream:
            async for each in stream:
                heard += [each]
    except Exception as error:
        heard.append(type(error).__name__)
    return heard


def turn(said: str, **request: Any) -> Turn:
    new = NewResponses(ports_of(Models(OFFLINE), Toolbox([ToolFiles()])), SETTINGS)
    asked = CreateResponse.model_validate({"model": "offline/demo", "input": said, **request})
    return turn_of(immediately(new.accept(asked))[0], "demo")


def spoken(heard: Sequence[Said | str]) -> int:
    return sum(isinstance(each, d.Text | d.Refusal) for each in heard)


async def test_it_answers_in_text_word_by_word_and_says_what_it_is() -> None:
    response, events = await respond("Hello there")
    assert texts(response) == [f'{INTRODUCTION} You said: "Hello there"']
    spoken = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert len(spoken) == len("".join(spoken).split()) == 14


async def test_it_is_deterministic() -> None:
    said = "What is 6 * 7, in Paris? [[parallel 2]] [[turns 2]]"
    one = await respond(said, tools=[CALCULATOR, WEATHER], reasoning={"effort": "high"})
    two = await respond(said, tools=[CALCULATOR, WEATHER], reasoning={"effort": "high"})
    assert one == two


async def test_it_counts_words_as_tokens() -> None:
    response, _ = await respond("one two three", instructions="Be brief.", reasoning={"effort": "low"})
    usage = response["usage"]
    reasoning = response["output"][0]["content"][0]["text"]
    assert usage == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": len(reasoning.split()) + len(texts(response)[0].split()),
        "output_tokens_details": {"reasoning_tokens": len(reasoning.split())},
        "total_tokens": 5 + usage["output_tokens"],
    }


@pytest.mark.parametrize(
    ("reasoning", "parts"),
    [
        (None, None),
        ({"effort": "none"}, None),
        ({"effort": "none", "summary": "auto"}, None),
        ({}, None),
        ({"effort": "low"}, (1, 0)),
        ({"effort": "high", "summary": "detailed"}, (1, 1)),
        ({"summary": "auto"}, (0, 1)),
    ],
)
async def test_it_reasons_where_reasoning_is_asked_for(reasoning: Any, parts: tuple[int, int] | None) -> None:
    response, _ = await respond("hi", reasoning=reasoning)
    thoughts = [item for item in response["output"] if item["type"] == "reasoning"]
    assert [(len(item["content"]), len(item["summary"])) for item in thoughts] == ([parts] if parts else [])


async def test_it_gives_state_to_echo_only_where_it_is_asked_for() -> None:
    include = ["reasoning.encrypted_content"]
    response, _ = await respond("hi", reasoning={"effort": "low"}, include=include)
    assert response["output"][0]["encrypted_content"] == "offline/demo:turn-1"
    response, _ = await respond("hi", reasoning={"effort": "low"})
    assert "encrypted_content" not in response["output"][0]


async def test_it_calls_a_clients_tool_and_waits() -> None:
    response, events = await respond("What's the weather in Oslo for 3 days?", tools=[WEATHER])
    assert calls(response) == [("get_weather", {"location": "Oslo", "days": 3})]
    assert texts(response) == []
    assert [event["type"] for event in events].count("response.function_call_arguments.delta") > 1


async def test_it_answers_with_the_output_that_the_client_sends_back() -> None:
    said: list[Json] = [{"role": "user", "content": "What's the weather in Oslo?"}]
    response, _ = await respond(said, tools=[WEATHER])
    call = response["output"][0]
    said += [call, {"type": "function_call_output", "call_id": call["call_id"], "output": "18 degrees"}]
    response, _ = await respond(said, tools=[WEATHER])
    assert texts(response) == [f"{INTRODUCTION} The tool get_weather answered: 18 degrees"]
    said += [*response["output"], {"role": "user", "content": "And in Rome?"}]
    response, _ = await respond(said, tools=[WEATHER])
    assert calls(response) == [("get_weather", {"location": "Rome"})]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("What is 15 * 37?", "555"),
        ("What is (2 + 3) * 4^2, please?", "80"),
        ("In 2026, what is 3 - 1?", "2"),
        ("What about 42?", "42"),
        ("Divide by nothing: 1 / 0", "Can't calculate this: at character 1: division by zero."),
        ("No numbers here", "Can't calculate this: at character 4: invalid syntax."),
    ],
)
async def test_it_uses_the_calculator_with_the_users_own_expression(said: str, answer: str) -> None:
    response, _ = await respond(said, tools=[CALCULATOR])
    assert texts(response) == [f"{INTRODUCTION} The tool calculator answered: {answer}"]


async def test_it_uses_the_clock_with_the_users_own_place() -> None:
    response, _ = await respond("What time is it in Tokyo?", tools=[CLOCK])
    assert calls(response) == [("clock", {"zone": "Tokyo"})]
    assert '"zone":"Asia/Tokyo"' in texts(response)[0]


@pytest.mark.parametrize(
    ("said", "request_", "called"),
    [
        ("hi", {}, ["get_weather"]),
        ("Use the calculator: 1 + 1", {}, ["calculator"]),
        ("Get weather, then the clock", {}, ["get_weather", "clock"]),
        ("get_weather and clock", {"parallel_tool_calls": False}, ["get_weather"]),
        ("get_weather and clock", {"tool_choice": "none"}, []),
        ("hi", {"tool_choice": "required"}, ["get_weather"]),
        ("hi", {"tool_choice": CLOCK}, ["clock"]),
        ("calculator", {"tool_choice": {"type": "function", "name": "get_weather"}}, ["get_weather"]),
        ("hi", {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [CLOCK]}}, ["clock"]),
        ("[[parallel 3]] clock", {}, ["clock", "clock", "clock"]),
        ("[[parallel 3]] clock get_weather", {}, ["get_weather", "clock", "get_weather"]),
        ('[[call clock {"zone": "Oslo"}]][[call get_weather]]', {}, ["clock", "get_weather"]),
    ],
)
async def test_which_tools_it_calls_in_a_turn(said: str, request_: Json, called: list[str]) -> None:
    heard = await deltas(said, tools=[WEATHER, CALCULATOR, CLOCK], **request_)
    assert [each.name for each in heard if isinstance(each, d.ToolCall) and each.name] == called


async def test_a_scripted_call_is_made_exactly_also_of_a_tool_that_is_not_offered() -> None:
    response, _ = await respond('[[call clock {"zone": "Oslo"}]] [[call nope {"a": [[1]]}]]', tools=[CLOCK])
    assert calls(response) == [("clock", {"zone": "Oslo"}), ("nope", {"a": [[1]]})]
    assert [item["type"] for item in response["output"]] == ["serverless:clock", "serverless:rejected_call", "message"]
    assert texts(response)[0].endswith("The tool nope answered: There is no tool named 'nope' that you may call now.")


async def test_a_long_loop_of_hosted_calls_ends_with_an_answer() -> None:
    response, _ = await respond("1 + 1 [[turns 12]]", tools=[CALCULATOR])
    assert [item["type"] for item in response["output"]] == ["serverless:calculator"] * 12 + ["message"]


async def test_a_long_loop_of_parallel_calls_counts_turns_not_calls() -> None:
    response, _ = await respond("1 + 1 [[turns 3]] [[parallel 2]]", tools=[CALCULATOR], reasoning={"effort": "low"})
    kinds = [item["type"].removeprefix("serverless:") for item in response["output"]]
    assert kinds == ["reasoning", "calculator", "calculator"] * 3 + ["reasoning", "message"]


async def test_a_loop_is_counted_over_a_clients_turns_too() -> None:
    said: list[Json] = [{"role": "user", "content": "Weather in Oslo [[turns 3]]"}]
    for _ in range(3):
        response, _ = await respond(said, tools=[WEATHER])
        (call,) = response["output"]
        said += [call, {"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}]
    response, _ = await respond(said, tools=[WEATHER])
    assert [item["type"] for item in response["output"]] == ["message"]


async def test_structured_output_is_an_instance_of_the_schema_in_pieces() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "steps": {"type": "array", "items": {"type": "integer"}}},
        "required": ["name", "steps"],
        "additionalProperties": False,
    }
    text = {"format": {"type": "json_schema", "name": "plan", "schema": schema, "strict": True}}
    response, events = await respond("A plan for Ada", text=text)
    assert json.loads(texts(response)[0]) == {"name": "Ada", "steps": [1]}
    assert [event["type"] for event in events].count("response.output_text.delta") > 2


async def test_a_json_object_is_an_object() -> None:
    response, _ = await respond("hi", text={"format": {"type": "json_object"}})
    assert json.loads(texts(response)[0]) == {"model": "offline/demo", "you_said": "hi"}


async def test_it_stops_at_the_limit_of_tokens() -> None:
    response, _ = await respond("hi [[words 50]]", max_output_tokens=16)
    assert len(texts(response)[0].split()) == 16
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert response["output"][0]["status"] == "incomplete"
    response, _ = await respond("hi [[words 16]]", max_output_tokens=16)
    assert response["status"] == "completed"


async def test_it_answers_without_a_user_message() -> None:
    response, _ = await respond([{"role": "developer", "content": "Be brief."}])
    assert texts(response) == [INTRODUCTION]


@pytest.mark.parametrize(
    ("directive", "words", "end"),
    [
        ("[[words 200]]", 200, d.Finish("stop")),
        ("[[words 3]]", 3, d.Finish("stop")),
        ("[[length]]", 5, d.Finish("length")),
        ("[[length 2]]", 2, d.Finish("length")),
        ("[[filter]]", 5, d.Finish("content_filter")),
        ("[[filter 1]]", 1, d.Finish("content_filter")),
        ("[[refuse]]", 9, d.Finish("stop")),
        ("[[error]]", 0, "ProviderUnavailable"),
        ("[[throttle]]", 0, "ProviderThrottled"),
        ("[[fail after 3]]", 3, "ProviderUnavailable"),
        ("[[fail after 99]] [[words 10]]", 10, "ProviderUnavailable"),
        ("[[fail]]", 0, "ProviderUnavailable"),
        ("[[fail after 3 in turn 1]]", 3, "ProviderUnavailable"),
        ("[[fail after 3 in turn 2]] [[words 10]]", 10, d.Finish("stop")),
        ("[[slow 1ms]] [[words 4]]", 4, d.Finish("stop")),
        ("[[nothing]] [[words 4]]", 4, d.Finish("stop")),
    ],
)
async def test_a_script_directs_the_answer(directive: str, words: int, end: object) -> None:
    heard = await deltas(f"hello {directive}")
    assert (spoken(heard), heard[-1]) == (words, end)


async def test_an_error_comes_before_anything_is_said() -> None:
    assert await deltas("[[error]]") == ["ProviderUnavailable"]
    with pytest.raises(ProviderThrottled) as caught:
        await anext(OFFLINE.stream(turn("[[throttle]]")))
    assert caught.value.retry_after == 1


async def test_a_stall_waits_for_ever() -> None:
    stream = OFFLINE.stream(turn("[[stall after 2]]"))
    heard = [await anext(stream) for _ in range(4)]
    assert spoken(heard) == 2
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.05)


async def test_a_later_turn_can_fail() -> None:
    response, _ = await respond("1 + 1 [[fail after 2 in turn 2]]", tools=[CALCULATOR])
    assert [(item["type"], item["status"]) for item in response["output"]] == [
        ("serverless:calculator", "completed"),
        ("message", "incomplete"),
    ]
    assert (response["status"], response["error"]["code"]) == ("failed", "provider_unavailable")


@pytest.mark.parametrize(
    ("message", "script"),
    [
        ("hi  there", Script("hi there")),
        ("a [[slow 50ms]] b", Script("a b", pause=0.05)),
        ("[[slow]]", Script("", pause=0.05)),
        ("[[stall after 2 in turn 3]]", Script("", ending=Ending("stall", 2, 3))),
        ("[[throttle in turn 2]]", Script("", ending=Ending("throttle", 0, 2))),
        ("[[call f]][[call g {}]]", Script("", calls=(("f", None), ("g", "{}")))),
        ('[[call f {"a": "]]"}]] x', Script("x", calls=(("f", '{"a": "]]"}'),))),
        ("[[call f {broken]] [[words 4", Script("[[call f {broken]] [[words 4")),
        ("[[unknown]] [[callous]]", Script("[[unknown]] [[callous]]")),
        ("[[turns 3]][[parallel 2]][[words 9]]", Script("", turns=3, parallel=2, length=9)),
        ("[[[words 9]]] a [[call [[words 8]]", Script("[] a [[call", length=8)),
        ("[[parallel 99]] [[words 123456]]", Script("[[words 123456]]", parallel=32)),
        ("[[fail in turn 123456]]", Script("[[fail in turn 123456]]")),
    ],
)
def test_directives_are_read_and_taken_out_of_the_words(message: str, script: Script) -> None:
    assert parse(message) == script


OBJECT = {"type": "object"}
INSTANCES: list[tuple[Json, str, object]] = [
    ({}, "hi", "hi"),
    ({"type": "string"}, "", "text"),
    ({"const": 3}, "", 3),
    ({"enum": ["a", "b"]}, "I want b", "b"),
    ({"enum": ["x", "y"]}, "", "x"),
    ({"enum": ["new_york", "", "in New York"]}, "I live In New-York.", "in New York"),
    ({"enum": [1, 7]}, "take 7", 7),
    ({"type": "string", "default": "d"}, "hi", "d"),
    ({"type": ["null", "integer"]}, "", 1),
    ({"type": "null"}, "", None),
    ({"type": "boolean"}, "", True),
    ({"type": "integer", "minimum": 5}, "", 5),
    ({"type": "integer", "minimum": 5, "maximum": 9}, "take 7", 7),
    ({"type": "integer", "maximum": 9}, "take 70", 9),
    ({"type": "number"}, "2.5 kg", 2.5),
    ({"type": "string", "maxLength": 2}, "abc", "ab"),
    ({"type": "string", "format": "date-time"}, "", "2026-01-01T00:00:00Z"),
    ({"type": "string", "format": "uuid"}, "", "00000000-0000-4000-8000-000000000000"),
    ({"type": "string"}, 'say "good day" to Ada', "good day"),
    ({"type": "string"}, "say it to Ada Lovelace now", "Ada Lovelace"),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 3}, "", [1, 1, 1]),
    ({"type": "array", "maxItems": 0}, "", []),
    ({**OBJECT, "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]}, "", {"a": 1}),
    ({**OBJECT, "properties": {"city": {"type": "string"}}}, "in Oslo", {"city": "Oslo"}),
    ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, "", 1),
    ({"oneOf": [{"const": "x"}, {"const": "y"}]}, "", "x"),
    ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer", "minimum": 2}}}, "", 2),
]


@pytest.mark.parametrize(("schema", "words", "value"), INSTANCES)
def test_an_instance_of_a_schema(schema: Json, words: str, value: object) -> None:
    made = instance(schema, words, Budget())
    assert made == value == instance(schema, words, Budget())
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(made)


def test_a_recursive_schema_ends() -> None:
    branch = {"anyOf": [{"$ref": "#"}, {"type": "null"}]}
    schema = {**OBJECT, "properties": {"v": {"const": 1}, "next": branch}, "required": ["v", "next"]}
    Draft202012Validator(schema).validate(instance(schema, "", Budget()))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {**OBJECT, "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
        {"type": "array", "minItems": 10**12, "items": {"type": "array", "minItems": 10**12}},
    ],
)
def test_an_instance_of_any_schema_is_small(schema: Json) -> None:
    assert len(json.dumps(instance(schema, "words", Budget()))) < 50_000


class Person(BaseModel):
    name: str
    age: Annotated[int, Field(ge=0, le=150)]
    role: Literal["author", "reader"] | None
    born: date
    friends: list[Person]


def test_a_model_of_pydantic_gets_its_instance() -> None:
    made = instance(Person.model_json_schema(), "The reader is Ada, aged 36.", Budget())
    person = Person.model_validate(made)
    assert (person.name, person.age, person.role) == ("Ada", 36, "reader")
    assert person.friends


async def test_it_has_no_options_that_a_request_may_set() -> None:
    other = {"model": "other"}
    assert await deltas("Hello", provider={"options": {"offline": other}}) == ["RequestError"]
    assert "RequestError" not in await deltas("Hello", provider={"options": {"another": other}})
