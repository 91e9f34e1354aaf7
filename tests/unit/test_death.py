"""Turns that die: what they leave behind is closed, and never used again."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core import deltas as d
from openresponses.core.engine import begin, drive, finish
from openresponses.core.errors import ProviderError, ProviderUnavailable, StreamViolation
from openresponses.core.run import Run
from openresponses.core.steps import Stop
from openresponses.durable.journal import Journal
from openresponses.schema.events import Event
from openresponses.schema.response import ResponseError
from tests.stream_checker import check_stream
from tests.unit.cases import ANSWER, CASES, SEARCH, STOP, call, text
from tests.unit.kit import Log, Said, Script, Tools, new_run, ports, usage

DEATHS: dict[str, list[Said]] = {
    "before it said anything": [ProviderUnavailable("529")],
    "amid a text": [*text("It is"), ProviderUnavailable("529")],
    "amid the reasoning": [d.Reasoning("r", "hm"), d.Opaque("r", "SIG"), ProviderUnavailable("529")],
    "amid the arguments": [d.ToolCall(0, '{"a', "c", "get_weather"), ProviderUnavailable("529")],
    "after a complete function call": [*call("get_weather"), d.End(0), ProviderUnavailable("529")],
    "amid a hosted call": [d.ToolCall(0, '{"a', "c", "clock"), ProviderUnavailable("529")],
    "after a complete hosted call": [*call("clock"), d.End(0), *text("so"), ProviderUnavailable("529")],
    "amid a tool that the provider runs": [d.Progress("s", SEARCH), ProviderUnavailable("529")],
    "after a rejected call": [*call("nope"), d.End(0), ProviderUnavailable("529")],
    "amid a call of a server": [d.ToolCall(0, '{"a', "c", "docs__look"), ProviderUnavailable("529")],
    "after complete calls of a server": [
        *call("docs__look", '{"a": 1}'),
        d.End(0),
        *call("web_search", key=1),
        d.End(1),
        *text("so"),
        ProviderUnavailable("529"),
    ],
    "after a request for approval": [*call("bank__pay"), d.End(0), ProviderUnavailable("529")],
    "because its stream was cut": [*text("It is")],
    "because it broke the contract": [*text("It is"), d.ToolCall(0, "{}")],
    "because it went on after its end": [*call("clock"), d.Finish("stop"), d.Text("late", "x")],
}
every_death = pytest.mark.parametrize("death", [pytest.param(said, id=name) for name, said in DEATHS.items()])


async def retried(run: Run, script: Script, tools: Tools) -> Log:
    """The run, with each dead turn tried again; the run is JSON between the attempts."""
    log = Log()
    await begin(run, Journal(run, log))
    for _ in script.turns:
        try:
            step = await drive(run, ports(script, tools), Journal(run, log), lambda _: False)
        except ProviderError:
            again = Run.model_validate_json(run.model_dump_json())
            run.__dict__.update(again.__dict__)
        else:
            assert isinstance(step, Stop)
            await finish(run, step, Journal(run, log), lambda: 2.0)
            break
    return log


def left_out(log: Log) -> list[str]:
    """The ids of the items that are in the log, and not in the final response."""
    kept = [item["id"] for item in log.events[-1]["response"]["output"]]
    added = [event["item"]["id"] for event in log.events if event["type"] == "response.output_item.added"]
    return [each for each in added if each not in kept]


@every_death
async def test_items_of_a_dead_turn_are_not_shown_again_nor_are_their_calls_run(death: list[Said]) -> None:
    script, tools, run = Script([death, ANSWER]), Tools(), new_run()
    log = await retried(run, script, tools)
    final = check_stream(log.events, deaths=1)
    assert final["status"] == "completed"
    assert script.asked[1].items == script.asked[0].items
    assert tools.called == []
    assert [item.id for item in run.settled()] == [item["id"] for item in final["output"]]
    assert left_out(log) == run.discarded


@every_death
async def test_a_death_in_a_later_turn_leaves_the_earlier_ones_alone(death: list[Said]) -> None:
    script, tools, run = Script([[*call("calculator"), *STOP], death, ANSWER]), Tools(), new_run()
    log = await retried(run, script, tools)
    final = check_stream(log.events, deaths=1)
    assert final["status"] == "completed"
    assert left_out(log) == run.discarded
    assert script.asked[2].items == script.asked[1].items
    assert [each.name for each in tools.called] == ["calculator"]
    assert [item.type for item in run.settled()] == ["serverless:calculator", "message"]
    assert run.turns == 2


@every_death
async def test_a_response_that_ends_with_a_death_is_well_formed(death: list[Said]) -> None:
    run, log = new_run(), Log()
    emit = Journal(run, log)
    await begin(run, emit)
    with pytest.raises(ProviderError):
        await drive(run, ports(Script([death])), emit, lambda _: False)
    await finish(run, Stop("failed", error=ResponseError(code="x", message="y")), emit, lambda: 2.0)
    check_stream(log.events)
    assert run.settled() == left_out(log) == []


@every_death
async def test_everything_is_closed_as_soon_as_the_turn_is_dead(death: list[Said]) -> None:
    run, log = new_run(), Log()
    with pytest.raises(ProviderError):
        await drive(run, ports(Script([death])), Journal(run, log), lambda _: False)
    assert [item for item in log.events if item["type"] == "response.output_item.added"] or log.events == []
    assert all(getattr(item, "status", None) != "in_progress" for item in run.response.output)


async def test_the_tokens_of_a_dead_turn_are_counted() -> None:
    run = new_run()
    await retried(
        run, Script([[usage(5), ProviderUnavailable("529")], [usage(3), *ANSWER[:-2], d.Finish("stop")]]), Tools()
    )
    assert (run.used().output_tokens, run.usage.output_tokens) == (8, 3)


async def test_a_violation_says_what_was_wrong() -> None:
    with pytest.raises(StreamViolation, match="Text after the end of its turn"):
        await drive(
            new_run(), ports(Script([[d.Finish("stop"), d.Text("t", "x")]])), Journal(new_run(), Log()), lambda _: False
        )


async def test_a_stream_without_its_finish_is_a_dead_turn() -> None:
    with pytest.raises(ProviderUnavailable):
        await drive(new_run(), ports(Script([text("It is")])), Journal(new_run(), Log()), lambda _: False)


class GivesUp:
    """A sink that is cancelled in the middle of event `n`, as a deadline does where the client reads slowly."""

    def __init__(self, log: Log, n: int) -> None:
        self._log, self._n = log, n

    async def __call__(self, event: Event) -> None:
        await self._log(event)
        if event.sequence_number == self._n:
            raise asyncio.CancelledError


ONE_TURN = [name for name, case in CASES.items() if len(case.turns) == 1]


@given(st.sampled_from(ONE_TURN), st.integers(2, 30))
def test_a_turn_that_is_cancelled_at_any_event_still_makes_a_well_formed_stream(name: str, n: int) -> None:
    async def cancelled() -> None:
        case, log = CASES[name], Log()
        run = new_run(**case.request)
        emit = Journal(run, GivesUp(log, n))
        await begin(run, emit)
        try:
            step = await drive(run, ports(Script(case.turns)), emit, lambda _: False)
        except asyncio.CancelledError:
            step = Stop("incomplete", "max_duration")
        assert isinstance(step, Stop)
        try:
            await finish(run, step, emit, lambda: 2.0)
        except asyncio.CancelledError:
            return
        check_stream(log.events)

    asyncio.run(cancelled())
