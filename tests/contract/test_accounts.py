"""What is recorded of a response where it ends, against what its client saw of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.accounts import Account
from openresponses.core.bill import PER_DOLLAR, Cost, shown_cost
from openresponses.core.errors import ProviderUnavailable, StorageUnavailable, Superseded
from openresponses.core.ports import Ports
from openresponses.core.records import Batch
from openresponses.core.storage import EventLog
from openresponses.core.turn import Turn
from openresponses.schema.response import Response, Usage
from tests.contract.machine import LIFE, RETRIES, House, Killed
from tests.unit.cases import call, text
from tests.unit.kit import Json, Models, Said, Script, usage

TOOLS: Any = [{"type": "serverless:calculator"}, {"type": "serverless:clock"}]
DOWN = ProviderUnavailable("down")
STOP = d.Finish("stop")
CALLS: list[list[Said]] = [
    [usage(3, reasoning=1), *call("calculator"), STOP],
    [usage(1), *call("clock"), usage(5), STOP],
]
"""A turn makes one item here, so that a client can count the turns."""
ANSWER: list[Said] = [*text("It is 42."), usage(10, reasoning=4), STOP]
DEAD: list[Said] = [usage(4), *text("Half an"), DOWN]


class Talkative(Script):
    """Says its turns, and then talks without an end."""

    async def stream(self, turn: Turn):  # type: ignore[override]
        if len(self.asked) < len(self.turns):
            async for said in super().stream(turn):
                yield said
            return
        self.asked.append(turn)
        yield usage(7)
        while True:
            yield d.Text("t", "and ")
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Kind:
    """`tokens` are the output tokens that the provider told of; `ends` says how the response ends."""

    script: type[Script]
    turns: list[list[Said]]
    tokens: int
    ends: tuple[str, str | None] = ("completed", None)
    request: Json = field(default_factory=dict[str, Any])
    settings: Json = field(default_factory=dict[str, Any])


BACKGROUND: Json = {"background": True}
KINDS = {
    "inline": Kind(Script, [*CALLS, ANSWER], 18),
    "not stored": Kind(Script, [*CALLS, ANSWER], 18, request={"store": False}),
    "handed off": Kind(Script, [*CALLS, ANSWER], 18, settings={"inline_turns": 1}),
    "background": Kind(Script, [*CALLS, ANSWER], 18, request=BACKGROUND),
    "background, a turn dies": Kind(Script, [*CALLS, DEAD, ANSWER], 22, request=BACKGROUND),
    "cancelled inline": Kind(Talkative, CALLS, 15, ("cancelled", None)),
    "cancelled in the background": Kind(Talkative, CALLS, 8, ("cancelled", None), BACKGROUND),
    "failed inline": Kind(Script, [*CALLS, DEAD], 12, ("failed", DOWN.code)),
    "failed in the background": Kind(
        Script, [*CALLS, *[DEAD] * (RETRIES + 2)], 8 + 4 * (RETRIES + 2), ("failed", DOWN.code), BACKGROUND
    ),
}


async def seen(kind: Kind, house: House, script: Script, *, stream: bool) -> Json:
    """The response as its client has it in the end: answered, folded from a stream, or read when it is over."""
    making = asyncio.create_task(house.create(tools=TOOLS, stream=stream, **kind.request))
    if kind.ends[0] == "cancelled":
        while len(script.asked) <= len(kind.turns):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        house.time += 2
        (response_id,) = house.shelf.responses
        await house.stored.cancel(response_id)
    response, events = await making
    await house.idle()
    if kind.request.get("background") and not stream:
        return (await house.stored.retrieve(response["id"])).model_dump(mode="json")
    assert events[-1]["response"] == response
    return response


def priced(used: Usage) -> Cost:
    """Each token has its price, so that what all turns cost is what all tokens cost."""
    return Cost(input=used.input_tokens * 3 * PER_DOLLAR, output=used.output_tokens * 5 * PER_DOLLAR)


def row(account: Account) -> Json:
    return {
        "status": account.status,
        "why": account.reason or account.error,
        "turns": account.turns,
        "tool calls": account.tool_calls,
        "input": account.usage.input_tokens,
        "cached": account.usage.input_tokens_details.cached_tokens,
        "output": account.usage.output_tokens,
        "reasoning": account.usage.output_tokens_details.reasoning_tokens,
        "cost": shown_cost(account.cost).model_dump(),
    }


def row_of(response: Json) -> Json:
    used, done = response["usage"], [item for item in response["output"] if item["status"] == "completed"]
    return {
        "status": response["status"],
        "why": (response["incomplete_details"] or {}).get("reason") or (response["error"] or {}).get("code"),
        "turns": len(done),
        "tool calls": sum(item["type"].startswith("serverless:") for item in done),
        "input": used["input_tokens"],
        "cached": used["input_tokens_details"]["cached_tokens"],
        "output": used["output_tokens"],
        "reasoning": used["output_tokens_details"]["reasoning_tokens"],
        "cost": response["serverless:cost"],
    }


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("name", KINDS)
async def test_what_is_recorded_is_what_the_client_saw(
    name: str, stream: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = KINDS[name]
    script = kind.script(kind.turns)
    house = House(Models(script, pricing=priced), flush_seconds=0.02, key_id="key1", **kind.settings)
    response = await seen(kind, house, script, stream=stream)
    (account,) = house.ledger.accounts
    rows = {"recorded": (recorded := row(account)), "seen": (saw := row_of(response))}
    with capsys.disabled():
        print(f"\n{name}{', streamed' if stream else ''}")
        print(
            *(
                f"{what:>9}: {', '.join(f'{name} {value}' for name, value in each.items())}"
                for what, each in rows.items()
            ),
            sep="\n",
        )
    assert recorded == saw
    assert (recorded["status"], recorded["why"], recorded["output"]) == (*kind.ends, kind.tokens)
    assert (account.response_id, account.key_id, account.kept) == (response["id"], "key1", True)
    assert (account.model, account.target) == ("m", response["model"])
    assert account.cost == priced(account.usage)
    assert response["serverless:cost"]["usd"] == str(account.cost.whole // PER_DOLLAR)


@pytest.mark.parametrize("name", KINDS)
async def test_a_cost_that_is_unknown_is_never_shown_as_nothing(name: str) -> None:
    kind = KINDS[name]
    script = kind.script(kind.turns)
    house = House(script, flush_seconds=0.02, **kind.settings)
    response = await seen(kind, house, script, stream=True)
    assert (response["serverless:cost"], house.ledger.accounts[0].cost) == ({"usd": "unknown"}, None)


async def test_seconds_go_on_while_the_state_machine_works() -> None:
    house = House(Script([*CALLS, ANSWER]))
    house.time = 100.75
    await house.create(tools=TOOLS, background=True)
    house.time = 163.0
    await house.idle()
    (account,) = house.ledger.accounts
    assert account.seconds == 62.25


@pytest.mark.parametrize("store", [True, False])
async def test_a_failure_that_nothing_is_kept_of_is_recorded_as_one(store: bool) -> None:
    house = House(Script([[usage(4), DOWN]]))
    with pytest.raises(ProviderUnavailable):
        await house.create(store=store)
    (account,) = house.ledger.accounts
    assert (account.status, account.error, account.usage.input_tokens, account.kept) == ("failed", DOWN.code, 4, False)


class Lost:
    """A log that takes no batch after the response is settled."""

    def __init__(self, house: House, error: BaseException) -> None:
        self._house, self._log, self._error = house, house.storage.log, error

    async def append(self, response_id: str, batch: Batch) -> None:
        (record,) = await self._house.storage.store.load([response_id])
        if record is not None and record.over:
            raise self._error
        await self._log.append(response_id, batch)

    async def read(self, response_id: str, after_batch: int) -> list[Batch]:
        return await self._log.read(response_id, after_batch)


def over(house: House, log: EventLog) -> Ports:
    return replace(house.ports, storage=replace(house.storage, log=log))


@pytest.mark.parametrize("error", [StorageUnavailable("busy"), Superseded("fenced"), Killed()], ids=type)
async def test_a_log_without_its_end_is_a_response_recorded_once(error: BaseException) -> None:
    house = House(Script([*CALLS, ANSWER]))
    house.worker_ports = lambda: over(house, Lost(house, error))
    queued, _ = await house.create(tools=TOOLS, background=True)
    await house.idle()
    assert (await house.stored.retrieve(queued["id"])).status == "completed"
    assert (await house.events(queued["id"]))[-1]["type"] == "response.completed"
    expected = [] if isinstance(error, Killed) else [queued["id"]]  # a worker that is killed there has told nobody
    assert [account.response_id for account in house.ledger.accounts] == expected


async def test_whoever_is_overtaken_at_the_end_records_nothing() -> None:
    house = House(Script([*CALLS, ANSWER]))
    worker = house.storage.store.settle

    async def overtaken(response: Response, *rest: Any) -> None:
        await worker(response.model_copy(update={"status": "cancelled"}), *rest)
        await worker(response, *rest)

    store = house.storage.store
    store.settle = overtaken  # type: ignore[method-assign]
    await house.create(tools=TOOLS, background=True)
    await house.idle()
    assert house.ledger.accounts == []


async def test_ending_what_has_ended_records_nothing_more() -> None:
    house = House(Script([*CALLS, ANSWER]))
    queued, _ = await house.create(tools=TOOLS, background=True)
    await house.idle()
    worker = house.worker()
    assert (await worker.work(queued["id"], 0, LIFE))["step"] == "over"
    await worker.settle(queued["id"], "ProviderUnavailable", "{}")
    await house.stored.cancel(queued["id"])
    assert len(house.ledger.accounts) == 1


@pytest.mark.parametrize("background", [False, True])
async def test_a_response_that_is_deleted_before_it_ends_is_recorded(background: bool) -> None:
    script = Talkative(CALLS)
    house = House(script, flush_seconds=0.02)
    making = asyncio.create_task(house.create(tools=TOOLS, background=background, stream=True))
    while len(script.asked) <= len(CALLS):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    house.time += 2
    (response_id,) = house.shelf.responses
    await house.stored.delete(response_id)
    assert house.shelf.responses == {}
    await asyncio.wait([making])
    making.exception()
    await house.idle()
    (account,) = house.ledger.accounts
    assert (account.status, account.usage.output_tokens) == ("cancelled", 8 if background else 15)


class Gated(Script):
    """Waits in each turn, before its last word, until it is let go on."""

    def __init__(self, turns: list[list[Said]]) -> None:
        super().__init__(turns)
        self.gates = [asyncio.Event() for _ in turns]
        self.waiting = 0

    async def stream(self, turn: Turn):  # type: ignore[override]
        self.asked.append(turn)
        number = len(self.asked) - 1
        for said in self.turns[number][:-1]:
            yield said
        self.waiting += 1
        await self.gates[number].wait()
        match self.turns[number][-1]:
            case BaseException() as error:
                raise error
            case delta:
                yield delta

    async def until(self, waiting: int) -> None:
        while self.waiting < waiting:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # what was said is in the log


class ByHand(House):
    """No state machine: the test is it."""

    async def _start(self, response_id: str, generation: int) -> None: ...


async def test_a_turn_that_was_given_up_leaves_the_run_to_the_one_that_replaced_it() -> None:
    """It dies only after its retry has taken over, with nothing more to write that would tell it so."""
    script = Gated([[usage(4), *text("Half"), d.End("t"), DOWN], CALLS[0], ANSWER])
    house = ByHand(script)
    queued, _ = await house.create(tools=TOOLS, background=True)
    given_up = asyncio.create_task(house.worker().work(queued["id"], 0, LIFE))
    await script.until(1)
    retry = asyncio.create_task(house.worker().work(queued["id"], 0, LIFE))
    await script.until(2)
    script.gates[0].set()
    with pytest.raises(ProviderUnavailable):
        await given_up
    script.gates[1].set()
    script.gates[2].set()
    assert (await retry)["step"] == "over"
    (account,) = house.ledger.accounts
    assert (account.status, account.turns, account.usage.output_tokens) == ("completed", 2, 13)
