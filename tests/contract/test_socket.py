"""WebSocket mode in its room: the specification's rules, case by case. No socket, no AWS."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from openresponses.client_keys import ClientKey
from openresponses.core import deltas as d
from openresponses.core.errors import ConnectionGone, ProviderUnavailable
from tests.contract.machine import House, Killed
from tests.contract.sockets import TERMINAL, Far, Line
from tests.openresponses_schema import check_event, check_response
from tests.unit.kit import Json, Said, Script, usage


def saying(*words: str) -> list[Said]:
    return [*(d.Text("0", word) for word in words), usage(3), d.Finish("stop")]


def calling(name: str = "get_weather") -> list[Said]:
    return [d.ToolCall("0", "{}", "call_1", name), d.End("0"), usage(3), d.Finish("stop")]


class Patient(Script):
    """Says so many `first` words only once the word before is out, and lets others go first after each of the rest."""

    def __init__(self, turns: list[list[Said]], first: int = 0) -> None:
        super().__init__(turns)
        self.far, self._first = Far(), first

    async def stream(self, turn: Any) -> Any:
        async for said in super().stream(turn):
            yield said
            await asyncio.sleep(0.001)
            if isinstance(said, d.Text) and self._first:
                self._first -= 1
                async with asyncio.timeout(10):
                    while self.far.events[-1].get("delta") != said.text:
                        await asyncio.sleep(0.001)


async def patient(words: list[str], first: int) -> list[str]:
    """The deltas that went out."""
    script = Patient([saying(*words)], first)
    line = await Line(House(script)).open()
    script.far = line.far
    frames = await line.create()
    assert len([frame for frame in frames if frame["type"] != "response.output_text.delta"]) == 8
    return [frame["delta"] for frame in frames if frame["type"] == "response.output_text.delta"]


def house_of(*turns: list[Said], **settings: Any) -> House:
    return House(Script(turns), **settings)


async def line_of(*turns: list[Said], **settings: Any) -> Line:
    return await Line(house_of(*turns, **settings)).open()


def kinds(frames: list[Json]) -> list[str]:
    return [frame["type"] for frame in frames]


def code_of(frames: list[Json]) -> str:
    assert kinds(frames) == ["error"]
    return frames[0]["error"]["code"]


async def test_a_turn_is_its_events_one_a_frame_and_ends_once() -> None:
    line = await line_of(saying("Hello ", "there"))
    frames = await line.create([{"type": "message", "role": "user", "content": "Say hello."}])
    numbers = [frame["sequence_number"] for frame in frames]
    assert (numbers, numbers[:4], numbers[-1]) == (sorted(set(numbers)), [0, 1, 2, 3], 9)
    assert [kind for kind in kinds(frames) if kind in TERMINAL] == ["response.completed"]
    assert frames[-1]["response"]["output"][0]["content"][0]["text"] == "Hello there"
    for frame in frames:
        check_event(frame)
    assert b"[DONE]" not in b"".join(line.far.frames)
    assert not line.far.closed


async def test_turns_follow_each_other_on_one_connection() -> None:
    line = await line_of(saying("one"), saying("two"))
    for said in ("one", "two"):
        frames = await line.create("hi", store=False)
        assert frames[-1]["response"]["output"][0]["content"][0]["text"] == said
    assert not line.house.shelf.responses


async def test_a_response_that_is_not_stored_goes_on_on_its_own_connection_only() -> None:
    house = house_of(saying("one"), saying("two"), saying("three"))
    line, other = await Line(house).open(), await Line(house, connection_id="c2=").open()
    first = (await line.create("my name is Ada", store=False))[-1]["response"]["id"]
    assert code_of(await other.create("who am I?", store=False, previous_response_id=first)) == (
        "previous_response_not_found"
    )
    assert other.far.events[0] == {
        "type": "error",
        "status": 400,
        "error": {
            "type": "invalid_request",
            "code": "previous_response_not_found",
            "message": f"There is no response {first!r}",
            "param": "previous_response_id",
        },
    }
    second = await line.create("who am I?", store=False, previous_response_id=first)
    assert second[-1]["type"] == "response.completed"
    script = house.ports.models._provider  # type: ignore[attr-defined]
    assert [item.content[0].text for item in script.asked[1].items] == ["my name is Ada", "one", "who am I?"]
    third = await other.create("a new chain", store=False)
    assert third[-1]["type"] == "response.completed"


async def test_only_the_newest_response_of_a_lane_is_remembered() -> None:
    line = await line_of(saying("one"), saying("two"))
    first = (await line.create(store=False))[-1]["response"]["id"]
    await line.create(store=False)
    assert code_of(await line.create(store=False, previous_response_id=first)) == "previous_response_not_found"


async def test_a_failed_continuation_evicts_what_it_referred_to() -> None:
    line = await line_of(saying("one"))
    first = (await line.create(store=False))[-1]["response"]["id"]
    orphan = [{"type": "function_call_output", "call_id": "call_never", "output": "?"}]
    refused = await line.create(orphan, store=False, previous_response_id=first)
    assert (code_of(refused), refused[0]["error"]["param"]) == ("call_not_found", "input[0].call_id")
    assert len(line.house.ports.models._provider.asked) == 1  # type: ignore[attr-defined]
    assert code_of(await line.create(store=False, previous_response_id=first)) == "previous_response_not_found"


async def test_a_call_and_its_output_go_on_without_a_store() -> None:
    line = await line_of(calling(), saying("sunny"))
    tools = [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}]
    first = (await line.create(store=False, tools=tools))[-1]["response"]
    output = [{"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "sun"}]
    second = await line.create(output, store=False, tools=tools, previous_response_id=first["id"])
    assert second[-1]["response"]["output"][0]["content"][0]["text"] == "sunny"


async def test_what_is_stored_goes_on_from_anywhere_and_takes_along_what_is_not() -> None:
    house = house_of(saying("one"), saying("two"), saying("three"), saying("four"))
    line, other = await Line(house).open(), await Line(house, connection_id="c2=").open()
    first = (await line.create("1"))[-1]["response"]["id"]
    second = (await line.create("2", store=False, previous_response_id=first))[-1]["response"]["id"]
    third = (await line.create("3", previous_response_id=second))[-1]["response"]["id"]
    fourth = await other.create("4", previous_response_id=third, store=False)
    assert fourth[-1]["type"] == "response.completed"
    script = house.ports.models._provider  # type: ignore[attr-defined]
    texts = [item.content[0].text for item in script.asked[3].items]
    assert texts == ["1", "one", "2", "two", "3", "three", "4"]


async def test_prepared_state_asks_no_model_and_goes_on_with_an_empty_input() -> None:
    line = await line_of(saying("ready"))
    frames = await line.create("the whole history", generate=False, store=False)
    assert kinds(frames) == ["response.created", "response.in_progress", "response.completed"]
    response = frames[-1]["response"]
    check_response(response)
    assert (response["output"], response["usage"]["output_tokens"]) == ([], 0)
    assert response["usage"]["input_tokens"] > 0
    script = line.house.ports.models._provider  # type: ignore[attr-defined]
    assert script.asked == []
    frames = await line.create([], store=False, previous_response_id=response["id"])
    assert frames[-1]["response"]["output"][0]["content"][0]["text"] == "ready"
    assert [item.content[0].text for item in script.asked[0].items] == ["the whole history"]


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("not json", "invalid_json", None),
        ("[1]", "invalid_json", None),
        ("[" * 20_000, "invalid_json", None),
        ('{"type": "response.create", "input": [' + "{}," * 30_000 + "{}]}", "body_too_large", None),
        ({"model": "m", "input": "x"}, "unknown_message_type", "type"),
        ({"type": "response.cancel"}, "unknown_message_type", "type"),
        ({"type": "response.inject"}, "unknown_message_type", "type"),
        ({"type": 3}, "unknown_message_type", "type"),
        ({"stream": False}, "unsupported_parameter", "stream"),
        ({"stream": None}, "unsupported_parameter", "stream"),
        ({"stream_options": {}}, "unsupported_parameter", "stream_options"),
        ({"background": False}, "unsupported_parameter", "background"),
        ({"generate": "perhaps"}, "invalid_value", "generate"),
        ({"stream_id": 3}, "invalid_value", "stream_id"),
        ({"stream_id": "x" * 65}, "invalid_value", "stream_id"),
        ({"model": 5}, "invalid_value", "model"),
        ({"messages": [1]}, "unsupported_parameter", "messages"),
        ({"metadata": {"k": "v" * 100_000}}, "invalid_value", "metadata.k"),
    ],
)
async def test_what_is_wrong_is_told_and_the_connection_stays(message: Any, code: str, param: str | None) -> None:
    line = await line_of(saying("still here"))
    if isinstance(message, dict) and not {"type", "input"} & {*message}:
        message = {"type": "response.create", "model": "m", "input": "x"} | message
    frames = await line.turn(message)
    assert (code_of(frames), frames[0]["error"]["param"]) == (code, param)
    assert frames[0]["status"] == (413 if code == "body_too_large" else 400)
    assert (await line.create())[-1]["type"] == "response.completed"


async def test_steering_is_answered_at_once_and_ends_no_turn() -> None:
    line = await line_of(saying("one"))
    steer = {"type": "response.steer", "previous_response_id": "resp_1", "input": "faster"}
    assert await line.say(steer) == "steer"
    (failed,) = line.far.events
    assert (failed["type"], failed["error"]["code"]) == ("response.steer.failed", "steering_not_supported")
    assert failed["steer"] == {"previous_response_id": "resp_1", "input": "faster"}


async def test_a_provider_that_refuses_leaves_an_error_and_no_response() -> None:
    line = await line_of([ProviderUnavailable("down")], saying("up"))
    assert code_of(await line.create()) == "provider_unavailable"
    assert not line.house.shelf.responses
    assert (await line.create())[-1]["type"] == "response.completed"


async def test_a_response_that_exists_ends_as_failed_and_with_nothing_else() -> None:
    line = await line_of(saying("first"), [d.Text("0", "Hel"), ProviderUnavailable("down")], saying("up"))
    first = (await line.create(store=False))[-1]["response"]["id"]
    line.far.pace = 0.001
    frames = await line.create(store=False, previous_response_id=first)
    if frames[-1]["type"] == "response.failed":  # the client had seen some of it
        assert [kind for kind in kinds(frames) if kind in TERMINAL] == ["response.failed"]
    else:
        assert kinds(frames) == ["error"]
    assert code_of(await line.create(store=False, previous_response_id=first)) == "previous_response_not_found"


async def test_lanes_run_side_by_side_and_each_in_order() -> None:
    gate = asyncio.Event()

    class Gated(Script):
        async def stream(self, turn: Any) -> Any:
            if turn.items[-1].content[0].text == "slow":
                await gate.wait()
            for said in saying(turn.items[-1].content[0].text):
                yield said

    line = await Line(House(Gated([]))).open()
    for lane, said in (("a", "slow"), ("a", "second"), ("b", "quick")):
        await line.say({"type": "response.create", "model": "m", "input": said, "stream_id": lane, "store": False})
    ended: Any = lambda lane: [e for e in line.far.events if e["type"] in TERMINAL and e["stream_id"] == lane]  # noqa: E731
    await line.until(lambda: bool(ended("b")))
    assert not ended("a")
    gate.set()
    await line.until(lambda: len(ended("a")) == 2)
    await line.quiet()
    texts = [event["response"]["output"][0]["content"][0]["text"] for event in ended("a")]
    assert texts == ["slow", "second"]
    forked = await line.create(
        "fork", stream_id="c", store=False, previous_response_id=ended("a")[-1]["response"]["id"]
    )
    assert {frame["stream_id"] for frame in forked} == {"c"}


async def test_a_message_too_many_is_refused_and_the_others_are_answered() -> None:
    gate = asyncio.Event()

    class Gated(Script):
        async def stream(self, turn: Any) -> Any:
            await gate.wait()
            for said in saying("x"):
                yield said

    line = await Line(House(Gated([]))).open()
    message = {"type": "response.create", "model": "m", "input": "x", "store": False}
    assert await line.say(message) == "held"
    while line.desk.lanes[""].current is None:
        await asyncio.sleep(0)
    assert [await line.say(message) for _ in range(16)] == ["queued"] * 16
    assert {await line.say(message) for _ in range(100)} == {"too_many_messages"}
    assert [event["status"] for event in line.far.events] == [429] * 100
    gate.set()
    await line.quiet()
    assert kinds(line.far.events).count("response.completed") == 17


async def test_an_event_that_is_delivered_twice_is_answered_once() -> None:
    line = await line_of(saying("one"), saying("two"))
    await line.say({"type": "response.create", "model": "m", "input": "x"})
    await asyncio.gather(line.work(line.invoked[0]), line.quiet())
    assert [kind for kind in kinds(line.far.events) if kind in TERMINAL] == ["response.completed"]


async def test_a_worker_that_dies_leaves_exactly_one_error_and_the_lane_goes_on() -> None:
    line = await line_of([Killed()], saying("two"), saying("three"))
    await line.say({"type": "response.create", "model": "m", "input": "x", "store": False})
    with pytest.raises(Killed):
        await line.tasks.pop()
    assert line.far.frames == []
    assert await line.say({"type": "response.create", "model": "m", "input": "y", "store": False}) == "queued"
    line.house.time += 31
    frames = await line.turn({"type": "response.create", "model": "m", "input": "z", "store": False})
    ends = [kind for kind in kinds(frames) if kind in TERMINAL]
    assert ends == ["error", "response.completed", "response.completed"]
    assert frames[0]["error"]["code"] == "worker_died"


async def test_no_worker_that_starts_is_told() -> None:
    line = await line_of(saying("one"))
    line.refuses_to_start = True
    frames = await line.turn({"type": "response.create", "model": "m", "input": "x"})
    assert (code_of(frames), frames[0]["status"]) == ("overloaded", 503)
    line.refuses_to_start = False
    assert (await line.create())[-1]["type"] == "response.completed"


async def test_a_key_that_ends_ends_the_connection() -> None:
    line = await line_of(saying("one"), saying("two"))
    await line.create()
    line.key = replace(line.key, revoked_at=1)
    frames = await line.turn({"type": "response.create", "model": "m", "input": "x"})
    assert (frames[0]["status"], code_of(frames), line.far.closed) == (401, "invalid_api_key", True)


async def test_a_connection_lives_an_hour() -> None:
    line = await line_of(saying("one"))
    line.house.time += 3601
    frames = await line.turn({"type": "response.create", "model": "m", "input": "x"})
    assert (code_of(frames), line.far.closed) == ("websocket_connection_limit_reached", True)


async def test_a_client_that_leaves_ends_what_is_not_stored() -> None:
    line = await Line(House(Patient([saying(*["word "] * 50)]))).open()

    def leave(frame: bytes) -> None:
        line.far.gone = b"delta" in frame

    line.far.on_post = leave
    await line.say({"type": "response.create", "model": "m", "input": "x", "store": False})
    await line.quiet()
    assert [account.status for account in line.house.ledger.accounts] == ["cancelled"]
    await line.door.disconnect()
    assert (line.desk.lanes, line.desk.memories, line.desk.messages) == ({}, {}, {})


async def test_a_client_that_leaves_does_not_end_what_is_stored() -> None:
    line = await Line(House(Patient([saying(*["word "] * 50)]))).open()
    line.far.on_post = lambda frame: setattr(line.far, "gone", b"delta" in frame)
    await line.say({"type": "response.create", "model": "m", "input": "x"})
    await line.quiet()
    (response_id,) = line.house.shelf.responses
    assert (await line.house.stored.retrieve(response_id)).status == "completed"


async def test_a_hand_off_is_followed_by_the_next_invocation_under_the_same_numbers() -> None:
    class Long(Script):
        async def stream(self, turn: Any) -> Any:
            await asyncio.sleep(0.4 if self.asked else 0)
            async for said in super().stream(turn):
                yield said

    line = await Line(House(Long([calling("calculator"), saying("done")]), inline_turns=1)).open()
    line.life = 15.1
    frames = await line.create(tools=[{"type": "serverless:calculator"}])
    await line.house.idle()
    numbers = [frame["sequence_number"] for frame in frames]
    assert numbers == sorted(set(numbers))
    assert [sorted(heir) for heir in line.invoked[:2]] == [["holder", "lane"], ["follow", "holder", "lane"]]
    assert [kind for kind in kinds(frames) if kind in TERMINAL] == ["response.completed"]
    assert "serverless:detached" not in kinds(frames)
    assert frames[-1]["response"]["id"] == frames[0]["response"]["id"]


async def test_deltas_are_joined_where_the_client_is_slow_and_say_the_same() -> None:
    words = [f"{n} " for n in range(400)]
    line = await line_of(saying(*words))
    line.far.pace = 0.002
    frames = await line.create()
    numbers = [frame["sequence_number"] for frame in frames]
    assert numbers == sorted(set(numbers))
    deltas = [frame["delta"] for frame in frames if frame["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "".join(words)
    assert len(deltas) < 40


async def test_deltas_that_come_fast_are_joined_though_the_client_is_fast_and_nothing_else_waits_for_them() -> None:
    words = [f"{n} " for n in range(100)]
    deltas = await patient(words, 1)
    assert ("".join(deltas), deltas[0]) == ("".join(words), "0 "), "the first goes at once"
    assert 2 <= len(deltas) < 50


async def test_a_delta_goes_out_before_the_next_one_comes() -> None:
    assert await patient(["a", "b", "c"], 3) == ["a", "b", "c"]


@pytest.mark.parametrize("store", [True, False])
async def test_what_no_frame_holds_is_told_and_nothing_is_lost_silently(store: bool) -> None:
    text = "é\u0000🙂x" * 4_000
    line = await line_of([d.Text("0", text), usage(1), d.Finish("stop")], saying("next"))
    line.limit = 16_384
    frames = await line.create(store=store, instructions="i" * 9_000)
    assert all(len(frame) <= 16_384 for frame in line.far.frames)
    deltas = "".join(frame["delta"] for frame in frames if frame["type"] == "response.output_text.delta")
    assert deltas == text
    response = frames[-1]["response"]
    assert (frames[-1]["type"], response["status"], response["output"]) == ("response.incomplete", "incomplete", [])
    assert response["incomplete_details"]["reason"] == "serverless:too_large"
    omitted = [frame for frame in frames if frame["type"] == "serverless:omitted"]
    assert {frame["event"] for frame in omitted} == {
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    }
    assert {frame["resume"] for frame in omitted} == {f"responses/{response['id']}" if store else None}
    again = await line.create(store=store, previous_response_id=response["id"])
    assert again[-1]["type"] == "response.completed"


async def test_a_request_that_fills_a_frame_is_echoed_without_what_the_client_knows() -> None:
    line = await line_of(saying("one"))
    line.limit = 8_192
    tools = [{"type": "function", "name": "f", "description": "d" * 4_000, "parameters": {}}]
    frames = await line.create(instructions="i" * 6_000, tools=tools)
    assert all(len(frame) <= 8_192 for frame in line.far.frames)
    assert (frames[0]["response"]["tools"], frames[0]["response"]["instructions"]) == ([], None)
    assert frames[-1]["type"] == "response.completed"
    assert json.dumps(frames[-1]["response"]["output"]).count("one") == 1


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("frame", range(9))
async def test_a_worker_that_dies_at_any_frame_leaves_one_end(frame: int, store: bool) -> None:
    """The last one may be out when its worker dies, or not: the connection ends then, and nothing more is sent."""
    line = await line_of(saying("one"), saying("two"))
    turn = {"type": "response.create", "model": "m", "input": "x", "store": store}

    def die(_: bytes) -> None:
        if len(line.far.frames) == frame:
            line.far.on_post = lambda _: None
            raise Killed

    line.far.on_post = die
    await line.say(turn)
    with pytest.raises(Killed):
        await line.tasks.pop()
    seen = line.far.events
    assert len(seen) == frame
    await line.replace()
    await line.quiet()
    ends = [event["type"] for event in line.far.events if event["type"] in TERMINAL]
    assert (ends, line.far.closed) == (([], True) if frame == 8 else (["error"], False))
    if not line.far.closed:
        assert (await line.create(store=store))[-1]["type"] == "response.completed"


@pytest.mark.parametrize("posted", [True, False])
async def test_who_tells_of_a_death_and_dies_leaves_one_end_or_none_and_a_closed_connection(posted: bool) -> None:
    line = await line_of([Killed()])
    await line.say({"type": "response.create", "model": "m", "input": "x", "store": False})
    with pytest.raises(Killed):
        await line.tasks.pop()

    def die(frame: bytes) -> None:
        line.far.on_post = lambda _: None
        if posted:
            line.far.frames.append(frame)
        raise Killed

    line.far.on_post = die
    await line.replace()
    with pytest.raises(Killed):
        await line.tasks.pop()
    await line.replace()
    await line.quiet()
    assert (kinds(line.far.events), line.far.closed) == (["error"] * posted, True)


async def test_a_client_that_can_not_be_reached_is_not_left_waiting() -> None:
    line = await line_of(saying("one"))

    def lose(_: bytes) -> None:
        raise ConnectionGone("The client can't be reached")

    line.far.on_post = lose
    await line.say({"type": "response.create", "model": "m", "input": "x", "store": False})
    await line.quiet()
    assert (line.far.frames, line.far.closed) == ([], True)


async def test_ten_thousand_messages_at_once_are_answered_each_once() -> None:
    line = await line_of(*[saying("x")] * 17)
    message = {"type": "response.create", "model": "m", "input": "x", "store": False}
    outcomes = await asyncio.gather(*(line.say(message) for _ in range(10_000)))
    await line.quiet()
    ends = [kind for kind in kinds(line.far.events) if kind in TERMINAL]
    assert len(ends) == 10_000
    assert ends.count("response.completed") == sum(outcome in ("held", "queued") for outcome in outcomes) <= 17
    assert line.desk.messages == {}


async def test_a_message_is_answered_with_what_its_key_may_now() -> None:
    line = await Line(
        house_of(), key=ClientKey("k1", "", "acme", models=("small/*",), mcp=("docs",), reasoning="summary")
    ).open()
    seen: list[Any] = []

    def open_to(sent: Any) -> Any:
        seen.append((sent["key_id"], sent["models"], sent.get("mcp"), sent["reasoning"]))
        return line.uses()

    line.open_to = open_to
    await line.turn({"type": "response.create", "model": "m", "input": "x", "tools": [{"type": "nonsense:tool"}]})
    assert seen == [("k1", ["small/*"], ["docs"], "summary")]


async def test_another_tenants_key_opens_nothing_on_this_connection() -> None:
    line = await line_of()
    line.key = replace(line.key, tenant="other")
    frames = await line.turn({"type": "response.create", "model": "m", "input": "x"})
    assert (code_of(frames), line.far.closed) == ("invalid_api_key", True)


async def test_frames_around_the_limit_fit_and_say_the_same() -> None:
    sizes = range(300, 9_000, 173)
    line = await line_of(*(saying("é" * (size // 2)) for size in sizes))
    line.limit = 8_192
    whole = set[bool]()
    for size in sizes:
        start = len(line.far.frames)
        frames = await line.create(store=False)
        assert all(len(frame) <= line.limit for frame in line.far.frames[start:])
        deltas = "".join(frame["delta"] for frame in frames if frame["type"].endswith(".delta"))
        assert deltas == "é" * (size // 2)
        output = frames[-1]["response"]["output"]
        whole.add(bool(output))
        assert frames[-1]["type"] == ("response.completed" if output else "response.incomplete")
        assert not output or output[0]["content"][0]["text"] == deltas
    assert whole == {True, False}
