"""The stream of events that a client reads: each frame's bytes, and when it leaves."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openresponses.api.sse import DONE, MAX_JOINED, EventStream, frame
from openresponses.core.errors import ProviderUnavailable
from openresponses.core.ports import Sink
from openresponses.schema import events as ev
from openresponses.schema.content import LogProb
from tests.unit.test_events import EVENTS

AT: dict[str, Any] = {"item_id": "msg_1", "output_index": 3, "sequence_number": 7}
RENAMED = {"response.reasoning.delta": "response.reasoning_text.delta"}
DELTAS = [event for event in EVENTS if event.type.endswith(".delta") and not isinstance(event, ev.ToolProgress)]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
HARD = 'a "quoted" \\ line\r\n\t\b\f\x00\x1f\x7f\u2028\u2029 é ä€😀 </script> &'


def slowly(event: ev.StreamEvent) -> bytes:
    return f"event: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_a_frame_has_the_bytes_that_the_model_is_dumped_to(event: Any) -> None:
    assert frame(event, "open_responses", obfuscate=False) == slowly(event)


@pytest.mark.parametrize("event", DELTAS, ids=lambda event: event.type)
@given(text=TEXTS, number=st.integers(0, 10**9), item=TEXTS)
@example(text=HARD, number=0, item=HARD)
def test_a_delta_s_frame_has_the_bytes_that_the_model_is_dumped_to(
    event: Any, text: str, number: int, item: str
) -> None:
    made = ev.like(event.model_copy(update={"item_id": item, "logprobs": []}), text)
    made.sequence_number = number
    assert frame(made, "open_responses", obfuscate=False) == slowly(made)


def test_a_delta_with_log_probabilities_or_padding_of_its_own_is_dumped_too() -> None:
    logprobs = [LogProb(token="hi", logprob=-0.5, bytes=[104, 105], top_logprobs=[])]
    for event in (
        ev.OutputTextDelta(**AT, content_index=0, delta="hi", logprobs=logprobs),
        ev.RefusalDelta(**AT, content_index=0, delta="no", obfuscation="x"),
    ):
        assert frame(event, "open_responses", obfuscate=False) == slowly(event)


@pytest.mark.parametrize("event", DELTAS, ids=lambda event: event.type)
def test_a_delta_is_padded_and_renamed_and_else_the_same(event: Any) -> None:
    event = event.model_copy(update={"obfuscation": None})
    frames = [frame(event, "openai", obfuscate=True).decode() for _ in range(600)]
    paddings = set[str]()
    for each in frames:
        name, data = each.removesuffix("\n\n").split("\n")
        fields = json.loads(data.removeprefix("data: "))
        paddings.add(fields.pop("obfuscation"))
        kind = RENAMED.get(event.type, event.type)
        assert (name, fields) == (f"event: {kind}", json.loads(event.model_dump_json()) | {"type": kind})
    assert {len(padding) for padding in paddings} == set(range(1, 17))
    assert len(paddings) > 400  # nobody foresees them


Produce = Callable[[Sink], Awaitable[object]]


async def sent(
    produce: Produce, heartbeat: float = 60.0, slow: float = 0.0, after: int | None = None
) -> list[tuple[float, bytes]]:
    """The bodies of the messages, and when each was sent. `slow`: sending one takes that long."""
    messages = list[tuple[float, bytes]]()

    async def send(message: Any) -> None:
        messages.append((time.monotonic(), message.get("body", b"")))
        if slow:
            await asyncio.sleep(slow)

    stream = EventStream(produce, names="open_responses", obfuscate=False, heartbeat=heartbeat, headers={}, after=after)
    await stream({"type": "http"}, asyncio.Event().wait, send)  # pyright: ignore[reportArgumentType]
    return messages


def delta(number: int, text: str = "word ") -> ev.OutputTextDelta:
    return ev.OutputTextDelta(sequence_number=number, item_id="msg_1", output_index=0, content_index=0, delta=text)


def frames(*numbers: int) -> list[bytes]:
    return [frame(delta(number), "open_responses", obfuscate=False) for number in numbers]


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def test_a_frame_that_comes_alone_is_sent_before_its_producer_goes_on() -> None:
    made = list[float]()

    async def paced(sink: Sink) -> None:
        for number in range(5):
            await asyncio.sleep(0.02)
            await sink(delta(number))
            made.append(time.monotonic())

    messages = [(at, body) for at, body in await sent(paced) if body.startswith(b"event")]
    assert [body for _, body in messages] == frames(*range(5))
    assert all(at <= after for (at, _), after in zip(messages, made, strict=True))


async def test_frames_that_come_thick_are_sent_together_as_the_turn_of_the_loop_ends() -> None:
    async def bursts(sink: Sink) -> None:
        for number in range(60):
            if number % 20 == 0:
                await asyncio.sleep(0.01)
            await sink(delta(number))

    bodies = [body for _, body in await sent(bursts)]
    assert b"".join(bodies) == b"".join([*frames(*range(60)), DONE])
    assert len(bodies) <= 1 + 3 * 2 + 2  # the head, two for each burst, and the end


async def test_what_waits_is_sent_without_another_frame_to_push_it() -> None:
    waited = asyncio.Event()

    async def then_silent(sink: Sink) -> None:
        await sink(delta(0))
        await sink(delta(1))
        for _ in range(3):
            await asyncio.sleep(0)
        waited.set()
        await asyncio.sleep(0.05)

    messages = await sent(then_silent)
    (first, _), (second, body) = [each for each in messages if each[1].startswith(b"event")]
    assert (body, second - first < 0.04) == (frames(1)[0], True)


async def test_what_never_lets_the_loop_turn_waits_for_no_more_than_so_many_bytes() -> None:
    async def endless(sink: Sink) -> None:
        async for number in numbers(3000):
            await sink(delta(number))

    bodies = [body for _, body in await sent(endless)]
    assert b"".join(bodies) == b"".join([*frames(*range(3000)), DONE])
    assert MAX_JOINED / 2 < max(map(len, bodies)) < MAX_JOINED + 1000


async def test_no_frame_overtakes_another_where_sending_is_slow() -> None:
    async def uneven(sink: Sink) -> None:
        for number in range(200):
            if number % 7 in (0, 3):
                await asyncio.sleep(0.0005 * (number % 3))
            await sink(delta(number))

    bodies = [body for _, body in await sent(uneven, heartbeat=0.003, slow=0.001)]
    assert b"".join(bodies).replace(b": ping\n\n", b"") == b"".join([*frames(*range(200)), DONE])


async def test_what_came_before_a_failure_is_sent_before_it() -> None:
    async def failing(sink: Sink) -> None:
        for number in range(3):
            await sink(delta(number))
        raise ProviderUnavailable("gone")

    async def crashing(sink: Sink) -> None:
        for number in range(3):
            await sink(delta(number))
        raise RuntimeError("a bug")

    body = b"".join(body for _, body in await sent(failing))
    assert body.startswith(b"".join(frames(0, 1, 2)) + b"event: error\n")
    bodies = list[bytes]()

    async def send(message: Any) -> None:
        bodies.append(message.get("body", b""))

    stream = EventStream(crashing, names="open_responses", obfuscate=False, heartbeat=60.0, headers={})
    with pytest.raises(RuntimeError):
        await stream({"type": "http"}, asyncio.Event().wait, send)  # pyright: ignore[reportArgumentType]
    assert b"".join(bodies) == b"".join(frames(0, 1, 2))


@pytest.mark.parametrize(("after", "number"), [(None, 9), (4, 8)], ids=["made here", "read from a log"])
async def test_a_client_that_resumes_after_an_error_misses_no_event(after: int | None, number: int) -> None:
    """Event 9 is in the log, or will be, if others write it. A writer's own numbers are left out by the next one."""

    async def failing(sink: Sink) -> None:
        for each in range(5, 9):
            await sink(delta(each))
        raise ProviderUnavailable("gone")

    body = b"".join(body for _, body in await sent(failing, after=after)).decode()
    error = json.loads(body.partition("event: error\ndata: ")[2].partition("\n")[0])
    assert error["sequence_number"] == number


async def test_who_has_seen_nothing_of_a_failed_response_never_does() -> None:
    """Undoing it may take longer than the opening events are held back."""
    sent = list[Any]()

    async def produce(sink: Sink) -> None:
        await sink(next(event for event in EVENTS if isinstance(event, ev.ResponseCreated)))
        assert not stream.committed()
        await asyncio.sleep(0.1)
        raise ProviderUnavailable("no")

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    stream = EventStream(produce, names="openai", obfuscate=False, heartbeat=0.01, headers={}, grace=0.01)
    with pytest.raises(ProviderUnavailable):
        await stream({"type": "http"}, receive, send)
    assert sent == []
