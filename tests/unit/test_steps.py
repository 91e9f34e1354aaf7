"""The next step, for every state that a run can be in between two steps."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from openresponses.core.deltas import FinishReason
from openresponses.core.engine import OUTCOME_UNKNOWN, absorb, act, finish
from openresponses.core.ports import Offer, Offerable, Ports, ToolOutput
from openresponses.core.run import McpServer, Run
from openresponses.core.server_calls import UNREADABLE
from openresponses.core.steps import CALL_CUT_OFF, Act, Open, Step, Stop, Think, next_step, tokens_left
from openresponses.durable.journal import Journal
from openresponses.schema.items import CustomToolCall, FunctionCall, Item, Message
from openresponses.schema.response import Usage
from openresponses.schema.server_items import (
    HostedToolCall,
    McpApprovalRequest,
    McpCall,
    McpListTools,
    ServerCall,
    WebSearchCall,
)
from tests.unit.cases import APPROVED, APPROVED_TOO
from tests.unit.kit import NOTE, TOOLS, Ledger, Log, Script, Tools, new_run, ports


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

CALLED = McpCall(id="mcp_1", server_label="docs", name="look", status="in_progress")
ANSWERED = McpCall(id="mcp_2", server_label="docs", name="look", output="it")
SEARCHED = WebSearchCall(id="ws_1", status="in_progress")
ASKED = McpApprovalRequest(id="mcpr_1", server_label="bank", name="pay")
LISTING = McpListTools(id="mcpl_1", server_label="docs")
SERVER = McpServer(label="docs", listed=True)
BEGUN = McpCall(id="mcp_3", server_label="bank", name="pay", approval_request_id="mcpr_1", status="in_progress")
MADE = BEGUN.model_copy(update={"status": "completed", "output": "paid"})
CUT_OFF = Stop("incomplete", CALL_CUT_OFF, "The provider cut off the arguments of the call of 'web_search'")
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
    "an answer to a call of a server": ([ANSWERED], {}, Think()),
    "calls of this server's": ([FUNCTION, PENDING, CALLED, SEARCHED], {}, Act((PENDING, CALLED, SEARCHED))),
    "a request for approval": ([ASKED], {}, Stop("completed")),
    "a request for approval beside a call": ([ASKED, CALLED], {}, Act((CALLED,))),
    "a request for approval beside an answered call": ([ASKED, ANSWERED], {}, Stop("completed")),
    "an answer after a request of an earlier turn": ([ASKED, ANSWERED], {"turn_start": 1, "turns": 2}, Think()),
    "more calls and requests than allowed": ([ASKED, CALLED], {"max_tool_calls": 1}, OUT_OF_CALLS),
    "a search that was cut off": ([SEARCHED.model_copy(update={"status": "incomplete"})], {}, CUT_OFF),
    "a listing that is to be told": ([], {"turns": 0, "servers": [SERVER]}, Open()),
    "a listing that was told": ([LISTING], {"turns": 0, "servers": [SERVER]}, Think()),
    "a listing of a dead worker": ([LISTING], {"turns": 0, "servers": [SERVER], "discarded": ["mcpl_1"]}, Open()),
    "a server whose tools the conversation knows": (
        [],
        {"turns": 0, "servers": [McpServer(label="docs")]},
        Think(),
    ),
    "an approved call": ([], {"turns": 0, "approved": [APPROVED]}, Open()),
    "an approved call that began": ([BEGUN], {"turns": 0, "approved": [APPROVED]}, Act((BEGUN,))),
    "an approved call that was made": ([MADE], {"turns": 0, "approved": [APPROVED]}, Think()),
    "one of two approved calls": ([MADE], {"turns": 0, "approved": [APPROVED, APPROVED_TOO]}, Open()),
    "an approved call, and a listing": ([BEGUN], {"turns": 0, "approved": [APPROVED], "servers": [SERVER]}, Open()),
    "more approved calls than allowed": (
        [BEGUN, BEGUN],
        {"turns": 0, "approved": [APPROVED], "max_tool_calls": 1},
        OUT_OF_CALLS,
    ),
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
    run.servers, run.approved = state.get("servers", []), state.get("approved", [])
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


LOST: dict[str, tuple[ServerCall, int, bool]] = {
    "a tool of this server's own": (PENDING, 1, True),
    "a tool of this server's own, twice": (PENDING, 2, False),
    "a search": (SEARCHED, 1, True),
    "a tool that only reads": (CALLED, 1, True),
    "a tool that may be called again": (CALLED.model_copy(update={"name": "again"}), 1, True),
    "a tool that may be called again, twice": (CALLED.model_copy(update={"name": "again"}), 2, False),
    "a tool that says nothing": (CALLED.model_copy(update={"name": "note"}), 1, False),
    "a tool that says that it writes": (CALLED.model_copy(update={"name": "write"}), 1, False),
    "a tool that is not offered": (CALLED.model_copy(update={"name": "gone"}), 1, False),
}


@pytest.mark.parametrize(("call", "tries", "repeated"), LOST.values(), ids=LOST)
async def test_a_call_whose_worker_died_is_made_again_if_it_may_be(
    call: ServerCall, tries: int, repeated: bool
) -> None:
    again = NOTE.model_copy(update={"wire_name": "again", "annotations": {"idempotentHint": True}})
    writes = NOTE.model_copy(update={"wire_name": "write", "annotations": {"idempotentHint": False}})
    run, log, tools = new_run(tools=[*TOOLS, again, writes]), Log(), Tools()
    run.response.output, run.tried = [call], {call.id: tries}
    await act(run, ports(Script([]), tools), (call,), Journal(run, log))
    (done,) = (event["item"] for event in log.events if event["type"] == "response.output_item.done")
    assert (len(tools.called), done["status"] == "completed", run.tried) == (repeated, repeated, {})
    if isinstance(call, McpCall) and tries == 1 and not repeated:
        assert done["error"]["content"][0]["text"] == OUTCOME_UNKNOWN.text


@pytest.mark.parametrize("call", [PENDING, CALLED, SEARCHED], ids=lambda call: call.type)
async def test_finish_closes_a_call_that_nobody_will_run(call: ServerCall) -> None:
    run, log = new_run(), Log()
    run.response.output = [call]
    await finish(run, Stop("incomplete", "max_tool_calls"), Journal(run, log), lambda: 2.0)
    assert [event["type"] for event in log.events] == ["response.output_item.done", "response.incomplete"]
    final = log.events[-1]["response"]
    assert (final["output"][0]["status"], final["incomplete_details"], final["completed_at"]) == (
        "incomplete",
        {"reason": "max_tool_calls"},
        None,
    )


LONE = "\ud83d"
ANSWERS: dict[str, tuple[ServerCall, ToolOutput, dict[str, Any]]] = {
    "halves of characters": (CALLED, ToolOutput(f"a{LONE}"), {"status": "completed", "output": "a\ufffd"}),
    "halves of characters in an error": (
        CALLED,
        ToolOutput("x", failed=True, item={"error": {"type": "http_error", "code": 500, "message": LONE}}),
        {"status": "failed", "error": {"type": "http_error", "code": 500, "message": "\ufffd"}, "output": None},
    ),
    "what no item can hold": (
        SEARCHED,
        ToolOutput("", item={"results": [{"url": "u" * 10_000}]}),
        {"status": "failed", "error": UNREADABLE.text},
    ),
    "what is nested too deeply": (
        CALLED,
        ToolOutput("", failed=True, item={"error": json.loads("[" * 100 + "]" * 100)}),
        {"status": "failed", "output": None},
    ),
    "a status of its own": (CALLED, ToolOutput("it", item={"status": "in_progress"}), {"status": "completed"}),
}


@pytest.mark.parametrize(("call", "output", "expected"), ANSWERS.values(), ids=ANSWERS)
async def test_whatever_a_tool_answers_its_item_is_done(
    call: ServerCall, output: ToolOutput, expected: dict[str, Any]
) -> None:
    run, log = new_run(), Log()
    run.response.output = [call]
    await absorb(run, call, output, Journal(run, log))
    done = log.events[-1]["item"]
    assert {name: done[name] for name in expected} == expected
