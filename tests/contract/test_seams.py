"""Where features meet: conversations with compaction, truncation, prompts, counts, keys and sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openresponses.core.errors import InputTooLong, ProviderUnavailable, RequestError, Superseded
from openresponses.core.records import Batch
from openresponses.core.turn import Turn
from openresponses.schema.items import Compaction
from openresponses.schema.request import CreateResponse
from tests.contract.compacting import Reader, house, text_in, text_of
from tests.contract.machine import House
from tests.contract.served import client_of
from tests.contract.sockets import Line
from tests.contract.test_context_management import LONG, managed
from tests.contract.test_conversation_creates import (
    ANSWER,
    HOSTED,
    TOOLS,
    Slow,
    code_of,
    conversation,
    kept,
    post,
    shown,
)
from tests.unit.kit import Json, Script

TRIGGER: Json = {"type": "compaction_trigger"}
KINDS: list[Json] = [{}, {"stream": True}, {"background": True}, {"store": False}]


async def state(at: House, name: str) -> tuple[Any, list[str]]:
    """All that there is of a conversation, and all responses."""
    stored = await at.storage.conversations.load(name)
    items = await at.storage.conversations.items(name, 10**9)
    return stored, [*(item.model_dump_json() for item in items), *sorted(at.shelf.responses)]


def kinds_of(words: list[str]) -> list[str]:
    return ["long" if word.startswith("old-words") else word for word in words]


# --- conversation and compaction


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_what_context_management_has_compacted_is_not_shown_again(kind: Json) -> None:
    reader = Reader()
    here = house(reader)
    name = await conversation(here, "fact-blue", LONG)
    await here.create(input="So?", conversation=name, **kind, **managed())
    await here.idle()
    assert kinds_of(await kept(here, name)) == ["fact-blue", "long", "So?", "compaction", "I know fact-blue"]
    await here.create(input="And now?", conversation=name, **kind)
    await here.idle()
    seen = reader.asked[-1]
    assert "old-words" not in text_in(seen)
    assert shown(seen)[-2:] == ["I know fact-blue", "And now?"]
    assert "fact-blue" in text_in(seen)
    assert (await kept(here, name))[-2:] == ["And now?", "I know fact-blue"]


async def test_a_compaction_amid_a_handed_off_loop_is_appended_once() -> None:
    reader = Reader(calls=12)
    here = house(reader, inline_turns=3, max_turns=99)
    name = await conversation(here, "Remember fact-blue.", LONG)
    response, _ = await here.create(input="Go.", conversation=name, tools=TOOLS, **managed())
    await here.idle()
    assert here.executions
    items = await here.storage.conversations.items(name, 10**9)
    assert [item.id for item in items[3:]] == [item["id"] for item in response["output"]]
    assert sum(isinstance(item, Compaction) for item in items) == len(reader.summaries) >= 2
    await here.create(input="So?", conversation=name)
    assert "old-words" not in text_in(reader.asked[-1])
    assert sum(item.type == "compaction" for item in reader.asked[-1].items) <= 1


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_trigger_compacts_the_conversation_itself(kind: Json) -> None:
    reader = Reader()
    here = house(reader)
    name = await conversation(here, "fact-blue", LONG)
    response, _ = await here.create(input=[TRIGGER], conversation=name, **kind)
    await here.idle()
    assert kinds_of(await kept(here, name)) == ["fact-blue", "long", "compaction"]
    await here.create(input="So?", conversation=name)
    assert "old-words" not in text_in(reader.asked[-1])
    assert shown(reader.asked[-1])[-1] == "So?"
    assert (await kept(here, name))[-1] == "I know fact-blue"
    assert response["conversation"] == {"id": name}


@pytest.mark.parametrize("fields", [{"input": [TRIGGER]}, {"input": []}, {"input": None}], ids=str)
async def test_an_empty_conversation_has_nothing_to_go_on_from(fields: Json) -> None:
    here = house(Reader())
    name = await conversation(here)
    with pytest.raises(RequestError) as refused:
        await here.create(conversation=name, **fields)
    assert refused.value.param == "input"
    assert (await here.storage.conversations.load(name)).holder == ""  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS[:1] + KINDS[3:], ids=str)
async def test_a_summary_that_fails_leaves_the_conversation_as_it_was(kind: Json) -> None:
    here = house(Reader(fails=[ProviderUnavailable("down")] * 2))
    name = await conversation(here, "fact-blue", LONG)
    before = await state(here, name)
    answer = await post(here, conversation=name, input=[TRIGGER], **kind)
    assert (answer.json()["status"], answer.json()["output"]) == ("failed", [])
    assert (await state(here, name))[0] == before[0]
    assert kinds_of(await kept(here, name)) == ["fact-blue", "long"]


async def test_a_cancel_amid_a_compaction_appends_nothing() -> None:
    reader, asked = Reader(), asyncio.Event()
    stream = reader.stream

    async def slow(turn: Turn) -> Any:
        if turn.keeps is not None and not asked.is_set():
            asked.set()
            await asyncio.sleep(60)
        async for delta in stream(turn):
            yield delta

    reader.stream = slow  # type: ignore[method-assign]
    here = house(reader)
    name = await conversation(here, "fact-blue", LONG)
    response = (await post(here, conversation=name, background=True, **managed())).json()
    await asked.wait()
    assert (await here.stored.cancel(response["id"])).status == "cancelled"
    assert kinds_of(await kept(here, name)) == ["fact-blue", "long"]
    assert (await post(here, conversation=name, **managed())).status_code == 200
    assert kinds_of(await kept(here, name))[2:] == ["hello", "compaction", "I know fact-blue"]


@pytest.mark.parametrize("asked", [{"input": [TRIGGER]}, managed()], ids=["trigger", "threshold"])
async def test_a_repeated_request_compacts_once(asked: Json) -> None:
    reader = Reader()
    here = house(reader)
    name = await conversation(here, "fact-blue", LONG)
    answers = await asyncio.gather(*(post(here, key="k", conversation=name, **asked) for _ in range(3)))
    late = await post(here, key="k", conversation=name, **asked)
    assert {answer.status_code for answer in (*answers, late)} == {200}
    assert len({answer.json()["id"] for answer in (*answers, late)}) == 1
    assert len(reader.summaries) == 1
    assert (await kept(here, name)).count("compaction") == 1


async def test_what_compact_answers_can_begin_a_conversation() -> None:
    reader = Reader()
    here = house(reader)
    async with client_of(here) as client:
        asked = {"model": "m", "input": [{"role": "user", "content": "fact-blue"}]}
        compacted = (await client.post("/responses/compact", json=asked)).json()["output"]
        made = (await client.post("/conversations", json={"items": compacted})).json()
    assert (await post(here, conversation=made["id"])).status_code == 200
    assert "fact-blue" in text_in(reader.asked[-1])


# --- conversation and truncation, and what goes on from a response that has a conversation


class Narrow(Script):
    """Reads no more than three items."""

    async def stream(self, turn: Turn):  # type: ignore[override]
        self.asked.append(turn)
        if len(turn.items) > 3:
            raise InputTooLong("too long")
        for delta in ANSWER:
            assert not isinstance(delta, BaseException)
            yield delta


async def test_what_truncation_drops_stays_in_the_conversation() -> None:
    here = house(Narrow([]))  # type: ignore[arg-type]
    words = [f"w{n}" for n in range(6)]
    name = await conversation(here, *words)
    for n in range(2):
        response, _ = await here.create(input=f"q{n}", conversation=name, truncation="auto")
        assert response["status"] == "completed"
    assert await kept(here, name) == [*words, "q0", "Sunny", "q1", "Sunny"]
    with pytest.raises(InputTooLong):
        await here.create(conversation=name)
    assert await kept(here, name) == [*words, "q0", "Sunny", "q1", "Sunny"]


@pytest.mark.parametrize("kind", KINDS[:3], ids=str)
async def test_who_goes_on_from_a_response_brings_its_conversation_along(kind: Json) -> None:
    script = Script([ANSWER, HOSTED, ANSWER, ANSWER, ANSWER])
    here = House(script, inline_turns=1)
    name = await conversation(here, "once")
    first, _ = await here.create(conversation=name)
    asked: Json = {"input": "beside", "tools": TOOLS}
    second, _ = await here.create(previous_response_id=first["id"], **asked, **kind)
    await here.idle()
    await here.create(input="later", previous_response_id=second["id"])
    expected = ["once", "hello", "Sunny", "beside"]
    assert [shown(turn) for turn in script.asked[1:]] == [
        expected,
        [*expected, "Look"],
        [*expected, "Look", "Sunny", "later"],
    ]
    assert await kept(here, name) == ["once", "hello", "Sunny"]
    items, _ = await here.stored.input_items(second["id"], limit=9, order="asc", after=None, before=None)
    assert [item.content[0].text for item in items] == expected  # type: ignore[union-attr]


# --- conversation and prompt


async def test_a_prompts_messages_are_input_each_time_and_its_instructions_are_not() -> None:
    script = Script([ANSWER] * 4)
    here = House(script)
    body = {"model": "m", "instructions": "Be {{how}}.", "input": [{"role": "user", "content": "Hi {{how}}"}]}
    await here.storage.prompts.add("greet", CreateResponse.model_validate(body))
    name = await conversation(here)
    prompt = {"id": "greet", "variables": {"how": "kind"}}
    await here.create(input="one", conversation=name, prompt=prompt)
    await here.create(input="two", conversation=name, prompt=prompt)
    await here.create(input="three", conversation=name)
    assert await kept(here, name) == ["Hi kind", "one", "Sunny", "Hi kind", "two", "Sunny", "three", "Sunny"]
    assert [turn.request.instructions for turn in script.asked] == ["Be kind.", "Be kind.", None]
    ids = [item.id for item in await here.storage.conversations.items(name, 10**9)]
    assert len({*ids}) == len(ids)
    alone = await conversation(here)
    await here.create(input=None, conversation=alone, prompt=prompt)
    assert await kept(here, alone) == ["Hi kind", "Sunny"]


# --- counts and compaction of a window, beside a conversation


async def counted(at: House, **fields: Any) -> Any:
    async with client_of(at) as client:
        return await client.post("/responses/input_tokens", json={"model": "m", **fields})


async def test_a_count_holds_no_conversation_and_waits_for_none() -> None:
    script = Slow()
    here = house(script)  # type: ignore[arg-type]
    name = await conversation(here, "word " * 400)
    before = await state(here, name)
    large = (await counted(here, input="hi", conversation=name)).json()["input_tokens"]
    small = (await counted(here, input="hi")).json()["input_tokens"]
    assert large > small + 300
    assert await state(here, name) == before
    first = asyncio.create_task(post(here, conversation=name, input="word " * 400))
    while not script.asked:
        await asyncio.sleep(0.01)
    held = await state(here, name)
    assert held[0].holder
    assert (await counted(here, input="hi", conversation=name)).json()["input_tokens"] == large
    assert (await counted(here, input="hi", conversation="conv_9")).status_code == 404
    assert await state(here, name) == held
    script.may.set()
    assert (await first).status_code == 200
    assert (await counted(here, input="hi", conversation=name)).json()["input_tokens"] > large + 300


async def test_a_count_revives_no_holder_that_died() -> None:
    here = house(Slow())  # type: ignore[arg-type]
    name = await conversation(here, "once")
    first = asyncio.create_task(post(here, conversation=name))
    while not (await here.storage.conversations.load(name)).holder:  # type: ignore[union-attr]
        await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    here.time += 100
    held = await state(here, name)
    assert (await counted(here, input="hi", conversation=name)).status_code == 200
    assert not here.executions
    assert await state(here, name) == held


async def test_a_count_is_of_the_prompt_and_of_the_chain_too() -> None:
    here = house(Script([ANSWER]))  # type: ignore[arg-type]
    body = {"model": "m", "input": [{"role": "user", "content": "{{long}}"}]}
    await here.storage.prompts.add("greet", CreateResponse.model_validate(body))
    prompt = {"id": "greet", "variables": {"long": "word " * 400}}
    small = (await counted(here, input="hi")).json()["input_tokens"]
    assert (await counted(here, input="hi", prompt=prompt)).json()["input_tokens"] > small + 300
    response, _ = await here.create(input="word " * 400)
    by_chain = await counted(here, input="hi", previous_response_id=response["id"])
    assert by_chain.json()["input_tokens"] > small + 300
    both = await counted(here, input="hi", previous_response_id=response["id"], conversation="conv_1")
    assert code_of(both) == (400, "mutually_exclusive_parameters")
    missing = await counted(here, input="hi", prompt={"id": "greet"})
    assert missing.json()["error"]["param"] == "prompt.variables.long"


async def test_a_compacted_window_of_a_response_disturbs_no_conversation() -> None:
    reader = Reader()
    here = house(reader)
    name = await conversation(here, "fact-blue")
    response, _ = await here.create(conversation=name)
    before = await state(here, name)
    async with client_of(here) as client:
        answer = await client.post(
            "/responses/compact", json={"model": "m", "previous_response_id": response["id"], "conversation": name}
        )
    assert answer.status_code == 200
    assert "fact-blue" in text_in(reader.asked[-1])
    assert await state(here, name) == before


# --- sockets


async def test_a_conversation_is_held_by_one_lane_at_a_time() -> None:
    script = Slow()
    line = await Line(House(script)).open()
    name = await conversation(line.house, "once")
    asked: Json = {"type": "response.create", "model": "m", "input": "hello", "conversation": name}
    await line.say({**asked, "stream_id": "a"})
    while not script.asked:
        await asyncio.sleep(0.01)
    for more in ({}, {"store": False}, {"generate": False}):
        await line.say({**asked, "stream_id": "b", **more})
    await line.until(lambda: sum(event["type"] == "error" for event in line.far.events) == 3)
    errors = [event for event in line.far.events if event["type"] == "error"]
    assert {(each["status"], each["error"]["code"], each["stream_id"]) for each in errors} == {
        (409, "conversation_locked", "b")
    }
    script.may.set()
    await line.quiet()
    start = len(line.far.frames)
    await line.say({**asked, "stream_id": "b"})
    await line.quiet()
    assert line.far.events[start:][-1]["type"] == "response.completed"
    assert await kept(line.house, name) == ["once", "hello", "Sunny", "hello", "Sunny"]


@pytest.mark.parametrize("store", [True, False])
async def test_what_is_only_made_ready_is_appended_once(store: bool) -> None:
    script = Script([ANSWER, ANSWER])
    line = await Line(House(script)).open()
    name = await conversation(line.house, "once")
    ready = await line.create("history", conversation=name, generate=False, store=store)
    assert (ready[-1]["type"], ready[-1]["response"]["output"], script.asked) == ("response.completed", [], [])
    assert await kept(line.house, name) == ["once", "history"]
    assert (await line.house.storage.conversations.load(name)).holder == ""  # type: ignore[union-attr]
    await line.create("go", conversation=name, store=store)
    assert shown(script.asked[-1]) == ["once", "history", "go"]
    await line.create("beside", previous_response_id=ready[-1]["response"]["id"], store=store)
    last = ["once", "history"] if store else None  # the connection remembers its newest response alone
    assert (shown(script.asked[-1])[:-1] if store else None) == last
    assert await kept(line.house, name) == ["once", "history", "go", "Sunny"]


async def test_the_connection_remembers_what_the_conversation_brought_along() -> None:
    script = Script([ANSWER, ANSWER])
    line = await Line(House(script)).open()
    name = await conversation(line.house, "once")
    first = await line.create("hello", conversation=name, store=False)
    await line.create("beside", previous_response_id=first[-1]["response"]["id"], store=False)
    assert shown(script.asked[-1]) == ["once", "hello", "Sunny", "beside"]


@pytest.mark.parametrize("store", [True, False])
async def test_a_socket_compacts_as_http_does(store: bool) -> None:
    reader = Reader()
    line = await Line(house(reader)).open()
    name = await conversation(line.house, "fact-blue", LONG)
    frames = await line.create("So?", conversation=name, store=store, **managed())
    types = [frame["type"] for frame in frames]
    assert types.count("response.compaction.compacting") == 1
    assert text_of(frames[-1]["response"]) == "I know fact-blue"
    chained = await line.create([TRIGGER], previous_response_id=frames[-1]["response"]["id"], store=store)
    assert [item["type"] for item in chained[-1]["response"]["output"]] == ["compaction"]
    after = await line.create("Now?", previous_response_id=chained[-1]["response"]["id"], store=store)
    assert text_of(after[-1]["response"]) == "I know fact-blue"
    assert "old-words" not in text_in(reader.asked[-1])
    assert kinds_of(await kept(line.house, name)) == ["fact-blue", "long", "So?", "compaction", "I know fact-blue"]


async def test_what_is_only_made_ready_compacts_nothing() -> None:
    reader = Reader()
    line = await Line(house(reader)).open()
    first = await line.create([{"role": "user", "content": f"fact-blue {LONG}"}], generate=False, **managed())
    ready = await line.create([TRIGGER], generate=False, previous_response_id=first[-1]["response"]["id"])
    assert (ready[-1]["type"], ready[-1]["response"]["output"], reader.asked) == ("response.completed", [], [])
    done = await line.create("So?", previous_response_id=ready[-1]["response"]["id"], **managed())
    assert [item["type"] for item in done[-1]["response"]["output"]] == ["compaction", "message"]
    assert text_of(done[-1]["response"]) == "I know fact-blue"


async def test_a_socket_takes_a_prompt() -> None:
    script = Script([ANSWER] * 2)
    line = await Line(House(script)).open()
    body = {"model": "m", "instructions": "Be {{how}}.", "input": [{"role": "user", "content": "Hi"}]}
    await line.house.storage.prompts.add("greet", CreateResponse.model_validate(body))
    wrong = await line.create("x", prompt={"id": "greet"})
    assert (wrong[-1]["type"], wrong[-1]["error"]["param"]) == ("error", "prompt.variables.how")
    prompt = {"id": "greet", "variables": {"how": "kind"}}
    first = await line.create("x", prompt=prompt, store=False)
    await line.create("y", previous_response_id=first[-1]["response"]["id"], store=False)
    assert [shown(turn) for turn in script.asked] == [["Hi", "x"], ["Hi", "x", "Sunny", "y"]]
    assert [turn.request.instructions for turn in script.asked] == ["Be kind.", None]


# --- what the state machine gives up


async def test_what_another_worker_ends_first_is_not_given_up() -> None:
    here = House(Script([ANSWER]))
    name = await conversation(here)
    queued, _ = await here.create(background=True, conversation=name)
    load, met = here.storage.runs.load, list[str]()

    async def late(response_id: str) -> Any:
        """The other worker does all of its work after this one has read the run."""
        run = await load(response_id)
        if not met:
            met.append(response_id)
            await here.idle()
        return run

    here.storage.runs.load = late  # type: ignore[method-assign]
    await here.worker().settle(queued["id"], "States.Timeout", "")
    assert met == [queued["id"]]
    assert (await here.stored.retrieve(queued["id"])).status == "completed"
    assert await kept(here, name) == ["hello", "Sunny"]


async def test_what_another_worker_takes_meanwhile_is_not_given_up() -> None:
    here = House(Script([ANSWER]))
    queued, _ = await here.create(background=True)
    here.executions.pop().cancel()
    settle = here.storage.store.settle

    async def fenced(*_: Any) -> None:
        raise Superseded("another worker has it")

    here.storage.store.settle = fenced  # type: ignore[method-assign]
    await here.worker().settle(queued["id"], "States.Timeout", "")
    here.storage.store.settle = settle  # type: ignore[method-assign]
    (record,) = await here.storage.store.load([queued["id"]])
    assert record
    assert not record.over


async def test_a_cancel_outlasts_a_worker_that_saves_its_run_meanwhile() -> None:
    here = House(Script([ANSWER]))
    name = await conversation(here)
    queued, _ = await here.create(background=True, conversation=name)
    here.executions.pop().cancel()
    load, saves = here.storage.runs.load, 2

    async def overtaken(response_id: str) -> Any:
        nonlocal saves
        run = await load(response_id)
        if run is not None and saves:
            saves -= 1
            other = await load(response_id)
            assert other
            other.next_batch = len(await here.storage.log.read(response_id, -1))
            await here.storage.runs.save(other, Batch(other.next_batch, []))
        return run

    here.storage.runs.load = overtaken  # type: ignore[method-assign]
    assert (await here.stored.cancel(queued["id"])).status == "cancelled"
    assert not saves
    assert await kept(here, name) == []
    await here.stored.conversations.delete(name)
