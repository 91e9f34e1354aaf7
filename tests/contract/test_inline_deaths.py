"""The inline worker dies while its client listens: at every event, and the client goes on after what it saw.

A number that it saw is never used for another event, and each item that it saw is closed once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.reducer import apply
from openresponses.core.turn import Turn
from openresponses.schema.response import Response
from tests.contract.deaths import Client, Life, Replaced
from tests.contract.sdk_fold import accumulated
from tests.contract.storage_suite import opened_aws
from tests.openresponses_schema import check_event, check_response
from tests.stream_checker import check_resumed, check_stream
from tests.sweeps import Sweep
from tests.unit.cases import STOP, call, text
from tests.unit.kit import Json, Said, Script
from tests.unit.test_always import EVENT

pytestmark = pytest.mark.usefixtures("hurry")
TOOLS: list[Any] = [
    {"type": "serverless:calculator"},
    {"type": "serverless:clock"},
    {"type": "function", "name": "get_weather"},
]
SERVERS: list[Any] = [
    {"type": "mcp", "server_label": "docs", "require_approval": "never"},
    {"type": "mcp", "server_label": "bank"},
    {"type": "web_search"},
]
THINKING: list[Said] = [
    d.Reasoning("r", "hm "),
    d.Reasoning("r", "well"),
    d.Reasoning("r", "plan", 0),
    d.Opaque("r", "SIG"),
    d.End("r"),
]
HOSTED: list[Said] = [*THINKING, *text("Let me see"), *call("calculator", '{"a": 1}'), *call("clock", key=1), *STOP]
OWN: list[Said] = [
    *THINKING,
    *text("You look"),
    d.ToolCall(0, '{"city": "Os', "call_a", "get_weather"),
    d.ToolCall(1, '{"city"', "call_b", "get_weather"),
    d.ToolCall(0, 'lo"}'),
    d.ToolCall(1, ': "Rome"}'),
    *STOP,
]
SERVED: list[Said] = [
    *THINKING,
    *call("docs__look", '{"what": "it"}'),
    *call("web_search", '{"query": "it"}', key=1),
    *call("docs__look", '"fail"', key=2),
    *STOP,
]
ASKED: list[Said] = [*text("May I?"), *call("bank__pay"), *call("web_search", key=1), *STOP]
LONG: list[Said] = [*text("and " * 400), *STOP]


class Steady(Script):
    """Says the turn that comes after so many answered calls, however often it is asked. It may wait between words."""

    def __init__(self, turns: Sequence[Sequence[Said]], *, waits: bool = False) -> None:
        super().__init__(turns)
        self._waits = waits

    async def stream(self, turn: Turn):  # type: ignore[override]
        answered = sum(item.type.startswith("serverless:") for item in turn.items)
        for said in self.turns[1 if answered else 0]:
            if self._waits:
                await asyncio.sleep(0)
            assert not isinstance(said, BaseException)
            yield said


def without_ids(output: list[Json]) -> list[Json]:
    return [{name: value for name, value in item.items() if name not in ("id", "call_id")} for item in output]


def heard(turns: Sequence[Sequence[Said]], waits: bool, tools: Sequence[Any] = TOOLS) -> list[Json]:
    """The stream that nobody dies of."""
    client = Replaced(Steady(turns, waits=waits), Life()).stream(None, tools=tools)
    check_stream(client.events)
    return client.events


async def judge(at: Replaced, client: Client, whole: list[Json]) -> None:
    """Asserts that the client, who saw `client.events`, can go on, and gets the answer that `whole` has."""
    await at.outlive()
    seen = client.events
    response_id = seen[0]["response"]["id"]
    rest = await at.house.events(response_id, seen[-1]["sequence_number"])
    log = await at.house.events(response_id)
    final = check_resumed(seen, rest, log)
    check_response(final)
    for event in rest:
        if not event["type"].endswith(".delta"):  # nearly all of them, and all alike
            check_event(event)
    folded = Response(id="", created_at=0, model="")
    for event in log:
        folded = apply(folded, EVENT.validate_python(event))
    stored = await at.house.stored.retrieve(response_id)
    assert folded == stored
    assert stored.model_dump(mode="json") == final
    assert without_ids(final["output"]) == without_ids(whole[-1]["response"]["output"]), "an answer stands there twice"
    await at.house.idle()


@pytest.mark.parametrize("pace", [0, 7], ids=["quick storage", "slow storage"])
@pytest.mark.parametrize("waits", [False, True], ids=["a burst", "word by word"])
@pytest.mark.parametrize(
    ("turns", "tools"),
    [([HOSTED, OWN], TOOLS), ([SERVED, ASKED], SERVERS), ([LONG], TOOLS)],
    ids=["calls", "calls of servers", "long"],
)
def test_an_inline_worker_killed_at_any_event(
    sweep: Sweep, turns: Sequence[Sequence[Said]], tools: Sequence[Any], waits: bool, pace: int
) -> None:
    whole = heard(turns, waits, tools)
    trials: list[tuple[Replaced, Client]] = []
    points = range(0, len(whole) - 1, 1 if len(turns) > 1 else 32)  # of a long text, not at each of its words
    for last in sweep.sample(points, 6):
        at = Replaced(Steady(turns, waits=waits), Life(pace=pace))
        client = at.stream(last, tools=tools)
        assert at.life.killed, "nobody was killed"
        trials.append((at, client))

    async def judged() -> None:
        await asyncio.gather(*(judge(at, client, whole) for at, client in trials))

    asyncio.run(judged())


@pytest.mark.parametrize("after", [False, True], ids=["before it takes effect", "before the worker knows"])
def test_an_inline_worker_killed_at_any_call_of_its_storage(after: bool) -> None:
    turns = [HOSTED, OWN]
    whole = heard(turns, waits=True)
    trials: list[tuple[Replaced, Client]] = []
    for number in range(100):
        at = Replaced(Steady(turns, waits=True), Life(last=number, after=after, pace=2))
        client = at.stream(None, tools=TOOLS)
        if not at.life.killed:
            break
        if client.events:
            trials.append((at, client))
    assert len(trials) > 3

    async def judged() -> None:
        await asyncio.gather(*(judge(at, client, whole) for at, client in trials))

    asyncio.run(judged())


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of the SDK, which does not know our tools
def test_the_sdk_makes_the_final_response_of_a_stream_that_was_cut_and_resumed(sweep: Sweep) -> None:
    turns = [HOSTED, [*THINKING, *text("It is sunny"), *STOP]]
    whole = heard(turns, waits=True)
    trials: list[tuple[Replaced, Client]] = []
    for last in sweep.sample(range(len(whole) - 1), 6):
        at = Replaced(Steady(turns, waits=True), Life(pace=3))
        trials.append((at, at.stream(last, tools=TOOLS)))

    async def resumed(at: Replaced, client: Client) -> None:
        await at.outlive()
        response_id = client.events[0]["response"]["id"]
        rest = await at.house.events(response_id, client.events[-1]["sequence_number"])
        final = accumulated([*client.events, *rest])
        assert [item["id"] for item in final["output"]] == [item["id"] for item in rest[-1]["response"]["output"]]

    async def all_resumed() -> None:
        await asyncio.gather(*(resumed(at, client) for at, client in trials))

    asyncio.run(all_resumed())


def test_whoever_hears_of_a_response_finds_it() -> None:
    """A worker that dies before it has told anyone of its response may leave nothing; after that there is a record."""
    for last in range(4):
        at = Replaced(Steady([[*text("Hi"), *STOP]]), Life(pace=3))
        client = at.stream(last)
        assert client.events[0]["response"]["id"] in at.house.shelf.responses


def test_announcing_the_first_item_costs_no_call_beyond_the_one_that_creates_the_response() -> None:
    turns = [[*text("It is sunny"), *STOP]]
    kinds = [event["type"] for event in heard(turns, waits=False)]
    life = Life()
    Replaced(Steady(turns), life).stream(kinds.index("response.output_item.added"))
    assert life.calls == ["store.create"]


def test_creating_a_response_with_its_first_item_is_one_call_of_aws() -> None:
    turns = [[*text("It is sunny"), *STOP]]
    kinds = [event["type"] for event in heard(turns, waits=False)]
    with opened_aws() as backend:
        at = Replaced(Steady(turns), Life(), backend.storage())
        at.stream(kinds.index("response.output_item.added"))
        assert [call.operation for call in backend.aws.calls] == ["TransactWriteItems"]
