"""What a client may write to make the offline model work: it runs on the event loop that everybody shares, so each of
these costs little time, and makes little text. The limits are far above what the budget allows, and far below what most
of these took before there was one."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Generator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from types import FrameType

import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import ProviderUnavailable
from openresponses.core.run import OfferedTool
from openresponses.core.settings import Settings
from openresponses.core.turn import Turn, turn_of
from openresponses.dialects.offline import Offline, hints
from openresponses.dialects.offline.budget import CALLS, Budget
from openresponses.dialects.offline.instances import instance
from openresponses.dialects.offline.script import parse
from openresponses.entry.settings import OFFLINE
from openresponses.responses.create import NewResponses
from openresponses.schema.items import FunctionCall, FunctionCallOutput, Item
from openresponses.schema.request import CreateResponse
from openresponses.toolbox import Toolbox
from tests.immediately import immediately
from tests.unit.kit import Json, Models, ports_of

SECONDS = 1.0
"""Of the processor, for one turn."""
CHARACTERS = 500_000
OBJECT = {"type": "object"}
MANY = 100_000


def chain(length: int) -> Json:
    """Each definition refers to the next."""
    defs = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{length}": {"type": "integer"}}}


def doubled(levels: int) -> Json:
    """Each definition refers to the next twice."""
    defs: Json = {}
    for n in range(levels):
        following = {"$ref": f"#/$defs/d{n + 1}"}
        defs[f"d{n}"] = {**OBJECT, "properties": {"a": following, "b": following}, "required": ["a", "b"]}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{levels}": {"type": "string"}}}


def nested(levels: int, wrap: Callable[[Json], Json]) -> Json:
    schema: Json = {"type": "string"}
    for _ in range(levels):
        schema = wrap(schema)
    return schema


def properties(schema: Json, **more: object) -> Json:
    return {**OBJECT, "properties": {f"p{n}": schema for n in range(MANY)}, **more}


def repeated(schema: Json) -> Json:
    return {"type": "array", "minItems": 10**9, "items": schema}


ALL = [f"p{n}" for n in range(MANY)]
LONG = "x" * 1_000_000
SCHEMAS: dict[str, Json] = {
    "a billion items": repeated({"type": "integer"}),
    "a billion times a billion items": repeated(repeated(repeated({"type": "integer"}))),
    "more items than a float holds": {"type": "array", "minItems": math.inf, "items": {}},
    "no number of items": {"type": "array", "minItems": math.nan, "maxItems": math.nan, "items": {}},
    "fewer items than none": {"type": "array", "maxItems": -5, "items": {}},
    "a billion characters": {"type": "string", "minLength": 10**9, "maxLength": 10**9},
    "an infinite length": {"type": "string", "minLength": math.inf, "maxLength": math.inf},
    "a length that is no number": {"type": "string", "maxLength": math.nan},
    "a negative length": {"type": "string", "maxLength": -5},
    "a pattern that backtracks": {"type": "string", "pattern": "^(a+)+$"},
    "names by a pattern": {**OBJECT, "patternProperties": {"^(a+)+$": {"type": "string"}}, "minProperties": 10**9},
    "an enum of many words": {"enum": ALL},
    "an enum of many more numbers": {"enum": [1] * 3_000_000},
    "an enum of regular expressions": {"enum": ["(a+)+$" * 10 + str(n) for n in range(MANY)]},
    "an enum of long words": repeated({"enum": ["a " * 5_000 + str(n) for n in range(100)]}),
    "an enum of objects": repeated({"enum": [{"a": ALL}, {"b": ALL}]}),
    "an enum of huge numbers": {"enum": [10**5_000, 10**5_000 + 1]},
    "a chain of references": chain(MANY),
    "a reference to itself": {"$ref": "#"},
    "references that double": doubled(64),
    "a long pointer": repeated({"$ref": "#" + "/a" * 500_000}),
    "a pointer through lists": {"$ref": "#/a/0/1/b", "a": [[1]]},
    "a reference beside many keywords": repeated({"$ref": "#/a", **dict.fromkeys(ALL, 1)}) | {"a": {"$ref": "#/a"}},
    "many properties": properties({"type": "string"}),
    "many required properties": properties({"type": "integer"}, required=ALL),
    "many required properties, from the last": properties({"type": "integer"}, required=ALL[::-1]),
    "names that are no text": properties({}, required=[None, [1], {"a": 1}, *ALL]),
    "many properties in many objects": repeated(properties({"type": "number"}, required=ALL)),
    "many references in properties": properties({"$ref": "#/x"}) | {"x": properties({"$ref": "#/x"})},
    "many types": repeated({"type": ["null"] * MANY}),
    "types that are no text": {"type": [[], {}]},
    "many alternatives": repeated({"anyOf": [{"type": "null"}] * MANY}),
    "alternatives in alternatives": nested(5_000, lambda schema: {"oneOf": [{"type": "null"}, schema]}),
    "all of many": repeated({"allOf": [{"type": "string"}] * MANY}),
    "deep objects": nested(5_000, lambda schema: {**OBJECT, "properties": {"a": schema}, "required": ["a"]}),
    "deep arrays": nested(5_000, lambda schema: {"type": "array", "minItems": 5, "items": schema}),
    "a long constant, often": repeated({"const": LONG}),
    "a large constant, often": repeated({"const": ALL}),
    "a deep constant": {"const": nested(5_000, lambda schema: {"a": schema})},
    "a large default, often": repeated({"default": dict.fromkeys(ALL, 1)}),
    "a constant that is a huge number": {"const": 10**5_000},
    "a constant that is no number": {"const": [math.nan, math.inf, -math.inf]},
    "a long name, often": repeated({**OBJECT, "properties": {LONG: {}}, "required": [LONG]}),
    "a number too large for many": {"type": "integer", "minimum": 1e308},
    "an infinite minimum": {"type": "number", "minimum": math.inf},
    "a minimum that is no number": {"type": "integer", "minimum": math.nan, "maximum": math.nan},
    "a huge minimum": {"type": "integer", "minimum": 10**5_000},
    "a tiny step": {"type": "number", "minimum": 3, "multipleOf": 1e-300},
    "a step of nothing": {"type": "number", "multipleOf": 0},
    "keywords of wrong types": {"type": 5, "properties": [], "required": {}, "enum": {},
                                "anyOf": 7, "$ref": 1, "maxLength": ""},
}  # fmt: skip
DIGITS = "7" * 300_000
WORDS = {
    "nothing": "",
    "digits": DIGITS,
    "numbers": "7.7" * 100_000,
    "arithmetic": "1 + (" * 60_000,
    "brackets": "(" * 300_000,
    "spaces after a digit": "1" + " ) " * 100_000,
    "quotation marks": "\u201c" * 300_000,
    "open quotations": '" \u201c' * 100_000,
    "names": "A" + " Aa-a/a'a" * 30_000,
    "one word often": "a " * 150_000,
}
SCRIPTS = {
    "many words": "[[words 30000000]]",
    "99999 words": "[[words 99999]]",
    "many calls": "[[parallel 99999]] get_weather",
    "many turns": "[[turns 99999]] [[parallel 99999]]",
    "many scripted calls": "[[call f]]" * 30_000,
    "many long calls": f'[[call f {{"a": "{"x" * 1900}"}}]]' * 150,
    "calls that do not end": '[[call f {"a": ' * 20_000,
    "brackets": "[" * 300_000,
    "directives that do not end": "[[words 5" * 30_000,
    "a turn of many digits": f"[[fail after 1 in turn {'9' * 6_000}]]",
    "a number of many digits": f"[[words {'9' * 6_000}]]",
    "a long pause": "[[slow 99999ms]] [[refuse]]",
}


class TooSlow(Exception): ...


@contextmanager
def cheap() -> Generator[None]:
    """Raises TooSlow amid what takes the processor too long, so that it can't hang."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    began = time.process_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert time.process_time() - began < SECONDS


def made(schema: Json, words: str) -> str:
    with cheap():
        return json.dumps(instance(schema, words, Budget()))


@pytest.mark.parametrize("bomb", SCHEMAS)
def test_no_schema_costs_much(bomb: str) -> None:
    assert len(made(SCHEMAS[bomb], "the words p99999 and 7 of Ada (3 + 4)")) < CHARACTERS


@pytest.mark.parametrize("bomb", WORDS)
def test_no_words_cost_much(bomb: str) -> None:
    kinds: list[Json] = [{"type": "string"}, {"type": "integer"}, {"enum": ALL}]
    schema = {**OBJECT, "properties": {"expression": kinds[0], **{f"p{n}": each for n, each in enumerate(kinds)}}}
    assert len(made(schema, WORDS[bomb])) < 10_000


@pytest.mark.parametrize("bomb", WORDS)
def test_no_words_take_longer_than_they_are_long(bomb: str) -> None:
    """Searched whole, which a request never is."""
    with cheap():
        for search in (hints.number, hints.expression, hints.quoted_or_named, parse):
            search(WORDS[bomb])


def turn(said: str, tools: tuple[OfferedTool, ...] = (), items: tuple[Item, ...] = ()) -> Turn:
    new = NewResponses(ports_of(Models(Offline(OFFLINE)), Toolbox([])), Settings())
    run, _ = immediately(new.accept(CreateResponse(model="m", input=said)))
    asked = turn_of(run, "demo")
    return replace(asked, tools=tools, items=(*asked.items, *items))


def tool(name: str, schema: Json) -> OfferedTool:
    return OfferedTool(name=name, kind="function", item_type="function_call", wire_name=name, parameters=schema)


async def spoken(asked: Turn) -> tuple[list[d.Delta], float]:
    """One turn, and the seconds that it would have waited."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    heard: list[d.Delta] = []
    with cheap(), suppress(ProviderUnavailable):
        async with aclosing(Offline(OFFLINE, sleep).stream(asked)) as deltas:
            async for each in deltas:
                heard += [each]
    said = sum(len(getattr(each, "text", "") or getattr(each, "arguments", "")) for each in heard)
    calls = [each for each in heard if isinstance(each, d.ToolCall) and each.name]
    assert (len(heard) < 11_000, said < CHARACTERS, len(calls) <= CALLS, sum(waited) <= 301) == (True,) * 4
    return heard, sum(waited)


@pytest.mark.parametrize("bomb", SCRIPTS)
@pytest.mark.parametrize("schema", [None, {}, SCHEMAS["a large constant, often"]], ids=["no tool", "plain", "large"])
async def test_no_script_costs_much(bomb: str, schema: Json | None) -> None:
    heard, waited = await spoken(turn(SCRIPTS[bomb], () if schema is None else (tool("get_weather", schema),)))
    assert heard
    assert waited <= 300


async def test_a_turn_says_ten_thousand_words_and_stops_for_length() -> None:
    heard, _ = await spoken(turn("[[words 99999]]"))
    assert sum(isinstance(each, d.Text) and each.text != "" for each in heard) == 10_000
    assert heard[-1] == d.Finish("length")


async def test_all_calls_of_a_turn_share_its_budget() -> None:
    heard, _ = await spoken(turn("[[parallel 99999]]", (tool("f", repeated({"type": "string"})),)))
    assert sum(isinstance(each, d.ToolCall) and bool(each.name) for each in heard) == CALLS


@pytest.mark.parametrize(
    "script", ["[[slow 99999ms]]", "[[stall]]", "[[slow 200ms]] [[words 99999]] [[stall after 4]]"]
)
async def test_a_turn_waits_for_five_minutes_at_most(script: str) -> None:
    heard, waited = await spoken(turn(script))
    assert waited == pytest.approx(300)
    assert isinstance(heard[-1], d.Finish) == ("stall" not in script)


def answered(number: int, output: str) -> tuple[Item, ...]:
    call_id = f"call_{number}"
    call = FunctionCall(type="function_call", id="fc_1", call_id=call_id, name="f", arguments="{}", status="completed")
    return call, FunctionCallOutput(
        type="function_call_output", id="fco_1", call_id=call_id, output=output, status="completed"
    )


HISTORIES: dict[str, tuple[Item, ...]] = {
    "a long output": answered(0, "a " * 2_500_000),
    "an output of spaces": answered(0, " " * 5_000_000),
    "many outputs": tuple(item for n in range(10_000) for item in answered(n, "ab " * 200)),
}


@pytest.mark.parametrize("bomb", HISTORIES)
async def test_no_history_costs_much(bomb: str) -> None:
    heard, _ = await spoken(turn("Hello", items=HISTORIES[bomb]))
    assert heard[-1] in (d.Finish("stop"), d.Finish("length"))
