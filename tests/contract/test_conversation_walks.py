"""Four clients of two tenants do what they like with conversations, at once, while workers die: nothing is lost,
nothing is there twice, nothing is another's.

Every text is said once. So a conversation's items tell of each request whether it was added, where, and how often; and
what the model was shown tells what was there before it.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import ProviderUnavailable
from openresponses.core.storage import Storage
from openresponses.core.turn import Turn
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.schema.items import Message
from openresponses.storage.memory.storage import memory_storage
from tests.contract.deaths import Life
from tests.contract.machine import House, Killed
from tests.contract.served import client_of
from tests.contract.storage_suite import opened_aws
from tests.sweeps import Sweep
from tests.unit.kit import Json, Script

TOOLS: list[Any] = [{"type": "serverless:calculator"}]
CLIENTS = (("ours", 0), ("ours", 1), ("theirs", 2), ("theirs", 3))
NOT_DONE = ("conversation_locked", "conversation_not_found", "item_not_found")


def word_of(item: Any) -> str:
    return item.content[0].text if isinstance(item, Message) and item.content else item.type  # type: ignore[union-attr]


class Echo(Script):
    """Answers each text in its own way, and keeps what it was shown before it."""

    def __init__(self) -> None:
        super().__init__([])
        self.shown: dict[str, list[list[str]]] = {}

    async def stream(self, turn: Turn):  # type: ignore[override]
        words = [word_of(item) for item in turn.items]
        last = max(n for n, item in enumerate(turn.items) if isinstance(item, Message) and item.role == "user")
        word = words[last]
        self.shown.setdefault(word, []).append(words[:last])
        for _ in range(len(word) % 5):
            await asyncio.sleep(0)
        if word.endswith("refuse"):
            raise ProviderUnavailable("down")
        yield d.Text("t", f"re {word} {len(words) - last}")
        yield d.End("t")
        if word.endswith("fail"):
            raise ProviderUnavailable("down")
        if word.endswith("tool") and words[-1] != TOOLS[0]["type"]:
            yield d.ToolCall(0, "{}", "call_1", "calculator")
        yield d.Finish("length" if word.endswith("cut") else "stop")


@dataclass
class Asked:
    """A text that was said in a conversation. `status`: what the client was told became of it; empty if nothing."""

    conversation: str
    began: int
    ended: int = -1
    status: str = ""
    response_id: str = ""


@dataclass
class Side:
    """One tenant: what it has asked for, and what came of it."""

    house: House
    random: random.Random
    slots: list[str] = field(default_factory=list[str])
    asked: dict[str, Asked] = field(default_factory=dict[str, Asked])
    removed: set[str] = field(default_factory=set[str])
    all: set[str] = field(default_factory=set[str])
    gone: set[str] = field(default_factory=set[str])


class Patient(House):
    """Its state machine never gives up a task whose worker dies."""

    async def _execute(self, response_id: str, generation: int) -> None:
        while True:
            with suppress(Killed, AssertionError):  # the second says that all retries of a task were used
                await super()._execute(response_id, generation)
                return


class World:
    def __init__(self, storages: dict[str, Storage | None], seed: str, deaths: float) -> None:
        self.echo, self.clock, self.deaths, self.counts = Echo(), 0, deaths, Counter[str]()
        self.sides = {name: self._side(storage, f"{seed} {name}") for name, storage in storages.items()}

    def _side(self, storage: Storage | None, seed: str) -> Side:
        dice = random.Random(seed)
        house = Patient(self.echo, inline_turns=1)
        in_memory = house.storage
        house.storage = replace(storage or memory_storage(house.shelf, house._start), launcher=in_memory.launcher)
        new_id = lambda: f"{dice.getrandbits(128):032x}"  # noqa: E731
        house.ports = replace(house.ports, storage=house.storage, new_id=new_id)
        house.worker_ports = lambda: self._mortal(house, dice)[0]
        return Side(house, dice)

    def _mortal(self, house: House, dice: random.Random) -> tuple[Any, Life]:
        """What a worker has that may die at some call of its storage."""
        dies = dice.random() < self.deaths
        life = Life(last=dice.randrange(12) if dies else None, after=dice.random() < 0.5, pace=dice.randrange(3))
        return replace(house.ports, storage=life.over(house.storage)), life

    async def call(self, side: Side, method: str, path: str, body: Json | None = None, key: str = "") -> Any:
        """(status, body or events) as a client sees them; None if its worker died. Headers are the same for all."""
        ports, life = self._mortal(side.house, side.random)
        side.house.time += side.random.random() * 4
        settings = side.house.settings
        worker: Any = SimpleNamespace(
            new=NewResponses(ports, settings), stored=StoredResponses(ports), settings=settings
        )

        async def sent() -> tuple[int, Any]:
            async with client_of(worker) as client:
                answer = await client.request(method, path, json=body, headers={"idempotency-key": key} if key else {})
                streamed = answer.headers["content-type"].startswith("text/event-stream")
                return answer.status_code, answer.text if streamed else answer.json()

        task = asyncio.ensure_future(sent())
        spins = 0
        while not task.done() and not life.killed:
            spins += 1
            await asyncio.sleep(0 if spins < 500 else 0.01)
            side.house.time += 0 if spins < 500 else 0.5  # it waits for one that died, maybe
        if not task.done():
            task.cancel()
        with suppress(BaseException):
            await task
        return task.result() if task.done() and not task.cancelled() and task.exception() is None else None

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    async def act(self, side: Side, client: int, n: int, dice: random.Random) -> None:
        slot = dice.randrange(2)
        conversation = side.slots[slot]
        kind = dice.choices(("create", "add", "remove", "delete response", "delete"), (60, 15, 10, 5, 4))[0]
        match kind:
            case "create":
                outcome = await self.create(side, conversation, f"c{client}-{n}", dice)
            case "add":
                outcome = await self.add(side, conversation, f"c{client}-{n}-item")
            case "remove":
                outcome = await self.remove(side, conversation, dice)
            case "delete response":
                outcome = await self.delete_response(side, dice)
            case _:
                outcome = await self.delete(side, slot, conversation)
        self.counts[f"{kind}: {outcome}"] += 1

    async def create(self, side: Side, conversation: str, name: str, dice: random.Random) -> str:
        how = dice.choices(("", "-tool", "-cut", "-fail", "-refuse"), (50, 20, 10, 10, 5))[0]
        kind: Json = dice.choice(({}, {"stream": True}, {"background": True}, {"store": False}))
        keyed = dice.random() < 0.4 and kind.get("store") is not False
        times = 1 + (keyed and dice.random() < 0.7) + keyed
        return await self.say(side, conversation, f"{name}{how}", kind, key=name if keyed else "", times=times)

    async def say(self, side: Side, conversation: str, word: str, kind: Json, *, key: str = "", times: int = 1) -> str:
        one = side.asked[word] = Asked(conversation, self.tick())
        body = {"model": "m", "input": word, "conversation": conversation, "tools": TOOLS, **kind}
        for _ in range(times):
            self.hear(one, await self.call(side, "POST", "/responses", body, key))
        one.ended = self.tick()
        if kind.get("store") is False:
            side.gone.add(one.response_id)  # it can't be asked for
        return one.status or "unknown"

    def hear(self, one: Asked, answer: Any) -> None:
        """What the last answer to a request tells. Each answer of one key names one response."""
        status, found = "", ""
        match answer:
            case (200, str(text)):
                events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
                responses = [event["response"] for event in events if "response" in event]
                found = responses[0]["id"] if responses else ""
                last = responses[-1]["status"] if responses else ""
                status = last if last not in ("queued", "in_progress") else ""
            case (200, {"id": str(found), "status": str(status)}):
                status = "" if status in ("queued", "in_progress") else status
            case (_, {"error": {"code": str(code)}}):
                status = "refused" if code in NOT_DONE else ""
            case _:
                pass
        if found:
            assert one.response_id in ("", found), "one key made two responses"
            one.response_id = found
        one.status = status

    async def add(self, side: Side, conversation: str, word: str) -> str:
        one = side.asked[word] = Asked(conversation, self.tick())
        items = [{"role": "user", "content": word}]
        answer = await self.call(side, "POST", f"/conversations/{conversation}/items", {"items": items})
        if answer:
            done = answer[0] == 200
            one.status = "added" if done else "refused" if answer[1]["error"]["code"] in NOT_DONE else ""
        one.ended = self.tick()
        return one.status or "unknown"

    async def remove(self, side: Side, conversation: str, dice: random.Random) -> str:
        path = f"/conversations/{conversation}/items"
        listed = await self.call(side, "GET", f"{path}?limit=100")
        messages = [] if not listed or listed[0] != 200 else [x for x in listed[1]["data"] if x["type"] == "message"]
        if not messages:
            return "nothing there"
        chosen = dice.choice(messages)
        word = chosen["content"][0]["text"]
        answer = await self.call(side, "DELETE", f"{path}/{chosen['id']}")
        if answer and answer[0] == 200:
            side.removed.add(word)
        elif answer is None:
            side.all.add(word)  # it may be there or not
        return "unknown" if answer is None else f"{answer[0]}"

    async def delete_response(self, side: Side, dice: random.Random) -> str:
        made = [one for one in side.asked.values() if one.response_id not in {"", *side.gone} and one.ended >= 0]
        if not made:
            return "nothing there"
        one = dice.choice(made)
        side.gone.add(one.response_id)
        answer = await self.call(side, "DELETE", f"/responses/{one.response_id}")
        return "unknown" if answer is None else f"{answer[0]}"

    async def delete(self, side: Side, slot: int, conversation: str) -> str:
        answer = await self.call(side, "DELETE", f"/conversations/{conversation}")
        await self.renewed(side, slot, conversation)
        return "unknown" if answer is None else f"{answer[0]}"

    async def renewed(self, side: Side, slot: int, conversation: str) -> None:
        """Another conversation in the place of one that is gone."""
        stored = StoredResponses(side.house.ports).conversations
        left = await side.house.storage.conversations.load(conversation)
        if left is None and side.slots[slot] == conversation:
            side.slots[slot] = (await stored.create([], {})).id

    async def settle(self, side: Side) -> None:
        """Until no response is under way: whoever died is found by who wants its conversation next."""
        house = side.house
        conversations = {one.conversation for one in side.asked.values()}
        stored = StoredResponses(house.ports)
        for _ in range(300):
            await asyncio.gather(*house.executions)
            house.time += 31
            statuses = set[str]()
            for one in side.asked.values():
                if one.response_id and one.response_id not in side.gone:
                    statuses.add((await stored.retrieve(one.response_id)).status)
            free = list[str]()
            for n, each in enumerate(sorted(conversations)):
                with suppress(Exception):
                    conversation = await house.storage.conversations.load(each)
                    if conversation is None:
                        free.append(each)
                        continue
                    items: Any = [Message.model_validate({"role": "user", "content": f"end-{n}"})]
                    await stored.conversations.add(each, items)
                    free.append(each)
            conversations -= {*free}
            if not conversations and not statuses & {"queued", "in_progress"}:
                return
        raise AssertionError(f"locked for ever: {conversations}")

    async def check(self, side: Side, others: set[str]) -> None:
        conversations = side.house.storage.conversations
        stored = StoredResponses(side.house.ports)
        kept: dict[str, list[str]] = {}
        for each in {one.conversation for one in side.asked.values()}:
            kept[each] = [word_of(item) for item in await conversations.items(each, 10**9)]
        for name, words in kept.items():
            texts = [word for word in words if word != TOOLS[0]["type"]]
            assert [word for word, times in Counter(texts).items() if times > 1] == [], "doubled"
            assert not [word for word in texts if word.removeprefix("re ").split()[0] in others], "of another tenant"
            for word in texts:
                asked = side.asked.get(re.sub(r"^re (\S+) \d$", r"\1", word))
                assert word.startswith("end-") or (asked and asked.conversation == name), "of another conversation"
        for word, one in side.asked.items():
            words, status = kept[one.conversation], one.status
            if one.response_id and one.response_id not in side.gone:
                status = (await stored.retrieve(one.response_id)).status
                assert one.status in ("", status)
            if await conversations.load(one.conversation) is None:
                assert words == []
                continue
            position = words.index(word) if word in words else None
            answers = [each for each in words if each.startswith(f"re {word} ")]
            if status in ("completed", "incomplete", "added"):
                assert position is not None or word in side.removed | side.all, f"lost: {word} {one}"
                if status != "added" and not any(each.startswith(f"re {word} ") for each in side.removed | side.all):
                    assert answers, f"lost: the answer to {word}"
            if status in ("refused", "failed", "cancelled"):
                assert position is None, f"{word} is there, though it was {status}"
                assert answers == []
            if word in side.removed:
                assert position is None
            if position is not None and answers:
                between = words[position + 1 : words.index(answers[-1])]
                assert {*between} <= {TOOLS[0]["type"], *answers}, f"something stands within {word}"
            if position is not None and not word.endswith("item"):
                for before in self.echo.shown[word]:
                    there = [each for each in before if each in words]
                    assert there == words[:position], f"{word} was answered after other words"
        self.in_order(side, kept)

    def in_order(self, side: Side, kept: dict[str, list[str]]) -> None:
        """What was over before something else began stands before it."""
        for words in kept.values():
            there = [side.asked[word] for word in words if word in side.asked]
            latest = -1
            for one in there:
                assert one.ended == -1 or one.ended > latest or one.status == "", "out of order"
                latest = max(latest, one.began) if one.status in ("completed", "incomplete", "added") else latest


async def walk(storages: dict[str, Storage | None], operations: int, seed: str, deaths: float = 0.15) -> Counter[str]:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of the dead
    world = World(storages, seed, 0)
    for name, side in world.sides.items():
        for _ in range(2):
            side.slots.append((await StoredResponses(side.house.ports).conversations.create([], {})).id)
        assert await world.say(side, side.slots[0], f"{name}-first", {}) == "completed", "all the rest may die"
    world.deaths = deaths

    async def client(tenant: str, number: int) -> None:
        dice = random.Random(f"{seed} {number}")
        for n in range(operations // len(CLIENTS)):
            await world.act(world.sides[tenant], number, n, dice)

    await asyncio.gather(*(client(*each) for each in CLIENTS))
    for name, side in world.sides.items():
        await world.settle(side)
        others = {word for other, each in world.sides.items() if other != name for word in each.asked}
        await world.check(side, others)
    return world.counts


def told(capsys: pytest.CaptureFixture[str], where: str, counts: Counter[str]) -> None:
    with capsys.disabled():
        each = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        print(f"\nconversations, {where}: {counts.total()} operations ({each}); 0 lost, 0 doubled, 0 of another tenant")


@contextmanager
def storages(where: str) -> Iterator[dict[str, Storage | None]]:
    if where == "memory":
        yield {"ours": None, "theirs": None}
        return
    with opened_aws() as backend:
        yield {name: backend.storage(name) for name in ("ours", "theirs")}


@pytest.mark.timeout(1800)  # on moto, 1,000 operations take minutes, and gigabytes of its history
@pytest.mark.parametrize(("where", "full", "sample"), [("memory", 1000, 160), ("moto", 252, 48)])
def test_nothing_is_lost_or_doubled_or_anothers(
    sweep: Sweep, pytestconfig: pytest.Config, where: str, full: int, sample: int, capsys: pytest.CaptureFixture[str]
) -> None:
    operations = full if sweep.full else sample
    with storages(where) as opened:
        counts = asyncio.run(walk(opened, operations, f"{pytestconfig.option.sweep_seed}"))
    told(capsys, where, counts)
    assert counts.total() == operations
