"""The audit: each call of a tool is one line in the log and one metric, wherever it was made, and not what was said."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from itertools import product
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.accounts import CallAccount, CallOutcome, call_account_of
from openresponses.core.engine import MAX_TRIES, act
from openresponses.core.ports import ToolOutput
from openresponses.core.run import McpServer, Run
from openresponses.durable.journal import Journal, nowhere
from openresponses.responses.create import NewResponses
from openresponses.schema.request import CreateResponse
from openresponses.schema.server_items import HostedToolCall, McpCall, ServerCall, WebSearchCall
from openresponses.telemetry import LoggedAccounts
from tests.contract.approving import DICE, FREE, ROLL, SIX, Casino, approval, asks, requests_in, user
from tests.contract.machine import House
from tests.contract.sockets import Line
from tests.unit.cases import text
from tests.unit.kit import Json, Ledger, Script, Tools, new_run

SECRET = "planted-secret"
TOOLS: Any = [{"type": "serverless:calculator"}, {"type": "serverless:clock"}]
STOP = d.Finish("stop")
ANSWER = [*text("It is 42."), STOP]


class Telling(Tools):
    """Tells a secret; a call with `wait` in it takes 2 seconds, and one with `for ever` never ends."""

    house: House

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        answered = await super().call(call, run)
        if "wait" in answered.text:
            self.house.time += 2
        if "for ever" in answered.text:
            await asyncio.Event().wait()
        return ToolOutput(f"{SECRET}!", failed=answered.failed)


def house_of(*turns: list[Any], **settings: Any) -> tuple[House, Ledger]:
    tools = Telling()
    house = House(Script([*turns, ANSWER]), tools, key_id="key1", **settings)
    tools.house = house
    return house, house.ledger


def asking(name: str, arguments: str, key: str = "c") -> d.ToolCall:
    return d.ToolCall(key, arguments, call_id=f"call_{key}", name=name)


TURN = [asking("calculator", f'{{"wait": "{SECRET}"}}', "a"), asking("clock", f'{{"fail": "{SECRET}"}}', "b"), STOP]
WAYS: dict[str, tuple[Json, Json]] = {
    "inline": ({}, {}),
    "streamed": ({"stream": True}, {}),
    "not stored": ({"store": False}, {}),
    "handed off": ({}, {"inline_turns": 1}),
    "in the background": ({"background": True}, {}),
}


@pytest.mark.parametrize(("request_", "settings"), WAYS.values(), ids=WAYS)
async def test_each_call_is_recorded_once_wherever_it_is_made(request_: Json, settings: Json) -> None:
    house, ledger = house_of(TURN, **settings)
    response, _ = await house.create(tools=TOOLS, **request_)
    await house.idle()
    found = {account.tool: account for account in ledger.calls}
    assert len(ledger.calls) == 2
    calculator, clock = found["calculator"], found["clock"]
    assert calculator == CallAccount(
        response_id=response["id"],
        key_id="key1",
        call_id=calculator.call_id,
        kind="hosted",
        tool="calculator",
        outcome="completed",
        seconds=2.0,
        bytes_in=len(f'{{"wait": "{SECRET}"}}'),
        bytes_out=len(f"{SECRET}!"),
        approved_by="policy",
    )
    assert (clock.outcome, clock.call_id.startswith("htc_")) == ("failed", True)


async def test_a_call_for_a_socket_is_recorded_too() -> None:
    house, ledger = house_of(TURN)
    line = await Line(house).open()
    await line.turn({"type": "response.create", "model": "m", "input": "x", "tools": TOOLS})
    assert {(each.tool, each.outcome, each.key_id) for each in ledger.calls} == {
        ("calculator", "completed", "key1"),
        ("clock", "failed", "key1"),
    }


async def test_a_call_that_its_worker_never_heard_of_again_is_unknown() -> None:
    """Its response was cancelled amid it."""
    house, ledger = house_of([asking("clock", '{"for": "for ever"}'), STOP])
    making = asyncio.create_task(house.create(tools=TOOLS, stream=True))
    while not house.tools.called:
        await asyncio.sleep(0)
    house.time += 3
    making.cancel()
    await asyncio.wait([making])
    assert [(each.outcome, each.seconds, each.bytes_out) for each in ledger.calls] == [("unknown", 3.0, 0)]


async def test_a_call_that_is_given_up_is_unknown() -> None:
    house, ledger = house_of()
    item = HostedToolCall(type="serverless:clock", id="htc_1", call_id="c", name="clock", status="in_progress")
    run = new_run()
    run.response.output, run.tried = [item], {item.id: MAX_TRIES}
    await act(run, house.ports, (item,), Journal(run, nowhere))
    assert [(each.outcome, each.call_id, each.seconds) for each in ledger.calls] == [("unknown", "htc_1", None)]
    assert house.tools.called == []


async def test_a_call_that_was_not_allowed_is_not_made_and_not_recorded() -> None:
    house, ledger = house_of([asking("calculator", "{}"), STOP])
    response, _ = await house.create(tools=TOOLS[1:])
    assert response["output"][0]["type"] == "serverless:rejected_call"
    assert ledger.calls == []


# Approvals

HOW = pytest.mark.parametrize("way", [{}, {"stream": True}, {"store": False}, {"background": True}], ids=str)


async def answered(casino: Casino, first: Json, *items: Json, **way: Any) -> Json:
    talk = [user("roll"), *first["output"]] if way.get("store") is False else []
    before = {} if talk else {"previous_response_id": first["id"]}
    answer = await casino.post(input=[*talk, *items], **before, **way)
    assert answer.status_code == 200, answer.text
    await casino.idle()
    return {} if way.get("stream") else answer.json()


def told(casino: Casino) -> list[tuple[str, str | None, str | None, str]]:
    return [(each.outcome, each.approved_by, each.host, each.tool) for each in casino.ledger.calls]


@HOW
async def test_an_approved_call_says_whose_key_brought_the_approval(way: Json) -> None:
    casino = Casino(ROLL, key_id="key1")
    first = await casino.answer(store=way.get("store"))
    assert casino.ledger.calls == []  # nothing was called
    casino.new = NewResponses(casino.ports, casino.settings, "key2")
    await answered(casino, first, approval(requests_in(first)[0]), **way)
    assert told(casino) == [("completed", "key2", "dice.example", "roll")]


@HOW
async def test_a_refused_call_is_recorded_once(way: Json) -> None:
    """Also where its client sends the whole conversation again."""
    casino = Casino(asks("dice__roll", "dice__peek", "free__peek"), key_id="key1")
    tools = [DICE, FREE]
    first = await casino.answer(store=way.get("store"), tools=tools)
    (roll, peek) = requests_in(first)
    assert told(casino) == [("completed", "policy", "free.example", "peek")]
    casino.ledger.calls.clear()
    said = [approval(roll, False, reason=f"no {SECRET}"), approval(peek), user("Only peek.")]
    second = await answered(casino, first, *said, tools=tools, **way)
    refused, made = casino.ledger.calls
    assert told(casino) == [("refused", "key1", "dice.example", "roll"), ("completed", "key1", "dice.example", "peek")]
    assert (refused.call_id, refused.bytes_in, refused.bytes_out) == (roll["id"], len(SIX), 0)
    assert made.call_id.startswith("mcp_")
    if way.get("store") is False:
        later = [*said, *second["output"], user("And now?")]
        await answered(casino, first, *later, tools=tools, **way)
        assert len(casino.ledger.calls) == 2


async def test_whoever_counts_tokens_refuses_nothing() -> None:
    casino = Casino(ROLL, key_id="key1")
    first = await casino.answer()
    said = {"previous_response_id": first["id"], "input": [approval(requests_in(first)[0], False)]}
    asked = CreateResponse.model_validate({"model": "m", "tools": [DICE], **said})
    await casino.new.accept(asked, reads=True)
    assert casino.ledger.calls == []


SERVERS = [
    McpServer(label="docs", configured=True),
    McpServer(label="mine", url="https://mcp.example.com:8443/planted-secret?key=planted-secret", sealed=SECRET),
]
CALLS: dict[str, tuple[ServerCall, Json]] = {
    "of a server of the deployment": (
        McpCall(id="mcp_1", server_label="docs", name="search", arguments=f'{{"q": "{SECRET}"}}'),
        {"kind": "mcp", "server": "docs", "tool": "search", "approved_by": "policy"},
    ),
    "of a request's server, approved": (
        McpCall(id="mcp_2", server_label="mine", name="send", arguments=SECRET, approval_request_id="mcpr_1"),
        {"kind": "mcp", "server": "mine", "host": "mcp.example.com", "tool": "send", "approved_by": "key1"},
    ),
    "of a search": (
        WebSearchCall(id="ws_1", action={"type": "search", "query": SECRET}),
        {"kind": "search", "tool": "web_search", "approved_by": "policy"},
    ),
    "of a tool": (
        HostedToolCall(type="serverless:clock", id="htc_1", call_id="c", name="clock", arguments=SECRET),
        {"kind": "hosted", "tool": "clock", "approved_by": "policy"},
    ),
}
MEASURED = {"mcp_1": "mcp:docs", "mcp_2": "mcp", "ws_1": "web_search", "htc_1": "clock"}


OUTCOMES: tuple[CallOutcome, ...] = ("completed", "failed", "unknown", "refused")


def log_each() -> None:
    run = new_run()
    run.servers, run.key_id = SERVERS, "key1"
    for (called, _), outcome in product(CALLS.values(), OUTCOMES):
        seconds = None if outcome == "refused" else 1.5
        account = call_account_of(run, called, outcome, seconds, f"{SECRET} \ud800")
        asyncio.run(LoggedAccounts("acme").called(account))


def test_a_call_is_one_line_and_its_metrics_and_nothing_that_was_said() -> None:
    """In a process of its own, since the logger holds on to what was standard output when it was made."""
    code = f"from {__name__} import log_each; log_each()"
    environment = {**os.environ, "POWERTOOLS_METRICS_NAMESPACE": "openresponses"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert "planted" not in done.stdout + done.stderr
    printed = iter([json.loads(line) for line in done.stdout.splitlines()])
    for (called, told), outcome in product(CALLS.values(), OUTCOMES):
        line = next(printed)
        assert (line["message"], line["level"]) == ("tool call", "INFO")
        common = {"tenant": "acme", "key_id": "key1", "response_id": "resp_0123", "call_id": called.id}
        sizes = {"outcome": outcome, "bytes_out": len(SECRET) + 2}
        assert {**common, **told, **sizes}.items() <= line.items()
        assert line.get("duration_ms") == (None if outcome == "refused" else 1500.0)
        assert line["bytes_in"] >= len(SECRET)
        assert {"server", "host"} & line.keys() == {"server", "host"} & told.keys()
        if outcome == "refused":  # it was not made
            continue
        metric = next(printed)
        names = {each["Name"] for each in metric["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        assert names == {"ToolCallDuration"} | ({"ToolCallErrors"} if outcome != "completed" else set())
        assert (metric["tool"], metric["ToolCallDuration"]) == (MEASURED[called.id], [1500.0])
    assert list(printed) == []
