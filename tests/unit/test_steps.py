"""The next step, for every state that a run can be in between two steps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openresponses.core.deltas import FinishReason
from openresponses.core.engine import act, finish
from openresponses.core.ports import Offer, Offerable, Ports, ToolOutput
from openresponses.core.run import Run
from openresponses.core.steps import Act, Step, Stop, Think, next_step, tokens_left
from openresponses.durable.journal import Journal
from openresponses.schema.items import (
    CustomToolCall,
    FunctionCall,
    HostedToolCall,
    Item,
    McpListTools,
    Message,
    ServerCall,
)
from openresponses.schema.response import Usage
from tests.unit.kit import Ledger, Log, Script, new_run


def hosted(call_id: str, status: str = "in_progress", output: str | None = None) -> HostedToolCall:
    kind = "serverless:calculator"
    return HostedToolCall.model_validate(
        {
            "type": kind,
            "id": f"htc_{call_id}",
            "call_id": call_id,
            "name": "calculator",
            "status": status,
            "output": output,
        }
    )


MESSAGE = Message(id="msg_1", role="assistant", content=[])
FUNCTION = FunctionCall(id="fc_1", call_id="f", name="get_weather")
CUSTOM = CustomToolCall(id="ctc_1", call_id="c", name="shell")
PENDING = hosted("p")
DONE = hosted("d", "completed", "2")
REJECTED = hosted("r", "failed", "There is no such tool.")

OUT_OF_CALLS = Stop("incomplete", "max_tool_calls")
OUT_OF_TOKENS = Stop("incomplete", "max_output_tokens")
TABLE: dict[str, tuple[list[Item], dict[str, Any], Step]] = {
    "nothing was said yet": ([], {"turns": 0}, Think()),
    "a run that died before its first turn": ([MESSAGE], {"turns": 0, "discarded": ["msg_1"]}, Think()),
    "an answer": ([MESSAGE], {}, Stop("completed")),
    "silence": ([], {}, Stop("completed")),
    "cut for length": ([MESSAGE], {"finish": "length"}, OUT_OF_TOKENS),
    "cut for length, with a call": ([PENDING], {"finish": "length"}, OUT_OF_TOKENS),
    "filtered": ([MESSAGE], {"finish": "content_filter"}, Stop("incomplete", "content_filter")),
    "a hosted call": ([MESSAGE, PENDING], {}, Act((PENDING,))),
    "a hosted call beside a function call": ([FUNCTION, PENDING], {}, Act((PENDING,))),
    "a hosted call of a dead turn": ([PENDING, MESSAGE], {"discarded": ["htc_p"]}, Stop("completed")),
    "an answered hosted call": ([DONE], {}, Think()),
    "a rejected call": ([REJECTED], {}, Think()),
    "an answer after a hosted call": ([DONE, MESSAGE], {"turn_start": 1, "turns": 2}, Stop("completed")),
    "a function call": ([FUNCTION], {}, Stop("completed")),
    "a custom call": ([CUSTOM], {}, Stop("completed")),
    "a function call beside an answered one": ([DONE, FUNCTION], {}, Stop("completed")),
    "a function call beside a rejected one": ([FUNCTION, REJECTED], {}, Stop("completed")),
    "as many calls as allowed": ([PENDING], {"max_tool_calls": 1}, Act((PENDING,))),
    "as many calls as allowed, answered": ([DONE], {"max_tool_calls": 1}, Think()),
    "more calls than allowed": ([DONE, PENDING], {"max_tool_calls": 1}, OUT_OF_CALLS),
    "more function calls than allowed": ([FUNCTION, CUSTOM], {"max_tool_calls": 1}, OUT_OF_CALLS),
    "the last turn, with a call": ([PENDING], {"turns": 8}, Act((PENDING,))),
    "the last turn, answered": ([DONE], {"turns": 8}, Stop("incomplete", "max_turns")),
    "the last turn, an answer": ([MESSAGE], {"turns": 8}, Stop("completed")),
    "tokens left": ([DONE], {"max_output_tokens": 17, "output_tokens": 16}, Think()),
    "no tokens left": ([DONE], {"max_output_tokens": 16, "output_tokens": 16}, OUT_OF_TOKENS),
    "tokens overspent": ([DONE], {"max_output_tokens": 16, "output_tokens": 20}, OUT_OF_TOKENS),
    "no tokens left, but an answer": ([MESSAGE], {"max_output_tokens": 16, "output_tokens": 16}, Stop("completed")),
}  # fmt: skip


@pytest.mark.parametrize(("output", "state", "step"), [pytest.param(*row, id=name) for name, row in TABLE.items()])
def test_the_next_step(output: list[Item], state: dict[str, Any], step: Step) -> None:
    request = {name: state[name] for name in ("max_tool_calls", "max_output_tokens") if name in state}
    run = new_run(**request)
    reason: FinishReason = state.get("finish", "stop")
    run.response.output, run.turns, run.finish = (
        output,
        state.get("turns", 1),
        reason if state.get("turns", 1) else None,
    )
    run.turn_start, run.discarded = state.get("turn_start", 0), state.get("discarded", [])
    run.usage = Usage(output_tokens=state.get("output_tokens", 0))
    assert next_step(run) == step


def test_without_a_limit_there_is_no_number_of_tokens_left() -> None:
    assert tokens_left(new_run()) is None


def test_tokens_left_are_never_negative() -> None:
    run = new_run(max_output_tokens=16)
    run.usage = Usage(output_tokens=20)
    assert tokens_left(run) == 0


class Backwards:
    """Tools that answer only once all calls have come, the last one first."""

    def __init__(self, calls: int) -> None:
        self._barrier, self._turn, self._missing = asyncio.Barrier(calls), asyncio.Condition(), calls

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        return None

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        assert isinstance(call, HostedToolCall)
        await self._barrier.wait()
        async with self._turn:
            await self._turn.wait_for(lambda: int(call.call_id) == self._missing - 1)
            self._missing -= 1
            self._turn.notify_all()
        return ToolOutput(f"{call.call_id}: {self._missing} still to come")

    async def leave(self, run: Run) -> None: ...


async def test_calls_run_at_once_and_each_is_absorbed_when_it_is_answered() -> None:
    calls = [hosted("0"), hosted("1"), hosted("2")]
    run, log = new_run(), Log()
    run.response.output = [*calls]
    tools = Ports(models=Script([]), tools=Backwards(3), accounts=Ledger(), now=lambda: 2.0, new_id=lambda: "x")
    await act(run, tools, tuple(calls), Journal(run, log))
    assert [(event["output_index"], event["item"]["output"]) for event in log.events] == [
        (2, "2: 2 still to come"),
        (1, "1: 1 still to come"),
        (0, "0: 0 still to come"),
    ]


async def test_finish_closes_a_call_that_nobody_will_run() -> None:
    run, log = new_run(), Log()
    run.response.output = [hosted("0")]
    await finish(run, Stop("incomplete", "max_tool_calls"), Journal(run, log), lambda: 2.0)
    assert [event["type"] for event in log.events] == ["response.output_item.done", "response.incomplete"]
    final = log.events[-1]["response"]
    assert (final["output"][0]["status"], final["incomplete_details"], final["completed_at"]) == (
        "incomplete",
        {"reason": "max_tool_calls"},
        None,
    )
