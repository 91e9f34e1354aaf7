"""What a provider is asked for, turn by turn: tools, choice, context and budget."""

from __future__ import annotations

from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.run import Run
from openresponses.core.turn import Turn, callable_tools, chosen_tools, turn_of
from openresponses.schema.items import Message
from openresponses.schema.response import Usage
from openresponses.schema.tools import NamedToolChoice
from tests.unit.cases import ANSWER, STOP, call
from tests.unit.kit import CALCULATOR, CLOCK, GROUPED, SHELL, TOOLS, WEATHER, Script, new_run, play

ALL = [tool.name for tool in TOOLS]
TWO = ["get_weather", "calculator"]
CALC = {"type": "serverless:calculator"}
FUNC = {"type": "function", "name": "get_weather"}


def allowed(mode: str, *tools: dict[str, str]) -> dict[str, Any]:
    return {"type": "allowed_tools", "mode": mode, "tools": list(tools)}


# choice -> what the first turn gets, and what every later one gets: (tools, tool_choice, must_call)
TABLE: list[tuple[Any, tuple[list[str], str, str | None], tuple[list[str], str, str | None]]] = [
    (None, (ALL, "auto", None), (ALL, "auto", None)),
    ("auto", (ALL, "auto", None), (ALL, "auto", None)),
    ("none", ([], "none", None), ([], "none", None)),
    ("required", (ALL, "required", None), (ALL, "auto", None)),
    (FUNC, (["get_weather"], "required", "get_weather"), (ALL, "auto", None)),
    (CALC, (["calculator"], "required", "calculator"), (ALL, "auto", None)),
    ({"type": "function", "name": "search"}, (["mcp__search"], "required", "mcp__search"), (ALL, "auto", None)),
    ({"type": "custom", "name": "shell"}, (["shell"], "required", "shell"), (ALL, "auto", None)),
    (allowed("auto", FUNC, CALC), (TWO, "auto", None), (TWO, "auto", None)),
    (allowed("required", FUNC), (["get_weather"], "required", None), (["get_weather"], "auto", None)),
    (allowed("none", FUNC), ([], "none", None), ([], "none", None)),
]  # fmt: skip


def seen(turn: Turn) -> tuple[list[str], str, str | None]:
    return [tool.name for tool in turn.tools], turn.tool_choice, turn.must_call


@pytest.mark.parametrize(("choice", "first", "later"), TABLE)
def test_a_tool_choice_forces_the_first_turn_only(choice: Any, first: object, later: object) -> None:
    run = new_run(tool_choice=choice)
    assert seen(turn_of(run, "m")) == first
    run.turns = 1
    assert seen(turn_of(run, "m")) == later


@pytest.mark.parametrize("choice", ["auto", "required", None])
def test_without_tools_the_choice_is_none(choice: Any) -> None:
    assert seen(turn_of(new_run(tools=[], tool_choice=choice), "m")) == ([], "none", None)


def test_what_a_turn_may_call_is_what_the_assembler_lets_through() -> None:
    run = new_run(tool_choice=allowed("auto", CALC))
    assert callable_tools(run) == {"calculator": CALCULATOR}


async def test_a_call_that_the_choice_forbids_is_rejected_and_the_model_reads_why() -> None:
    script, run = Script([[*call("get_weather"), *STOP], ANSWER]), new_run(tool_choice=allowed("auto", CALC))
    await play(run, script)
    assert [item.type for item in run.response.output] == ["serverless:rejected_call", "message"]
    shown = script.asked[1].items[-1]
    assert shown == run.response.output[0]


@pytest.mark.parametrize(
    ("choice", "tool"),
    [
        ({"type": "function", "name": "get_weather"}, WEATHER),
        ({"type": "serverless:clock"}, CLOCK),
        ({"type": "function", "name": "mcp__search"}, GROUPED),
        ({"type": "function", "name": "search"}, GROUPED),
        ({"type": "custom", "name": "shell"}, SHELL),
        ({"type": "serverless:nope"}, None),
        ({"type": "function", "name": "nope"}, None),
    ],
)
def test_a_choice_names_a_tool_by_name_or_by_type(choice: dict[str, str], tool: object) -> None:
    assert chosen_tools(TOOLS, NamedToolChoice.model_validate(choice)) == ([tool] if tool else [])


def test_a_function_is_not_chosen_without_its_name() -> None:
    assert chosen_tools(TOOLS, NamedToolChoice.model_validate({"type": "function"})) == []


def test_the_context_is_the_input_then_what_the_response_has_said() -> None:
    run = new_run(said="hi", instructions="Be brief.")
    said, dead = Message(id="m1", role="assistant", content=[]), Message(id="m2", role="assistant", content=[])
    run.response.output, run.discarded = [said, dead], ["m2"]
    turn = turn_of(run, "upstream")
    assert (turn.items, turn.instructions, turn.model) == ((*run.context, said), "Be brief.", "upstream")


def test_each_turn_gets_what_is_left_of_the_budget() -> None:
    run: Run = new_run(max_output_tokens=100)
    assert turn_of(run, "m").max_output_tokens == 100
    run.usage = Usage(output_tokens=30)
    assert turn_of(run, "m").max_output_tokens == 70


async def test_provider_state_is_shown_again_unchanged_after_the_run_was_stored() -> None:
    script = Script([[d.Reasoning("r", "hm"), d.Opaque("r", 'S"\u00e9\n'), *call("clock"), *STOP], ANSWER])
    run = new_run()
    await play(run, script)
    stored = Run.model_validate_json(run.model_dump_json())
    assert script.asked[1].items[1] == stored.response.output[0]
    assert stored.response.output[0].model_dump()["encrypted_content"] == 'S"\u00e9\n'
