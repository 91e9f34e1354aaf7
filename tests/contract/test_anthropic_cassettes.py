"""Recorded streams of the Messages API, through the real parser, the real decoder and the real engine.

A cassette is `<case>.sse`, the upstream's bytes, and `<case>.request.json`: its source, what our client asks,
what we must send upstream for it, and what must come out (or the error).
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic.types import RawMessageStreamEvent
from openresponses.core import deltas as d
from openresponses.core import errors
from openresponses.core.engine import think
from openresponses.core.intake import input_items, new_response, offered_tools
from openresponses.core.journal import Journal
from openresponses.core.ports import Ports, ToolOutput
from openresponses.core.run import OfferedTool, Run
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn, turn_of
from openresponses.providers._sse import SseEvent, SseParser
from openresponses.providers.anthropic import Anthropic, decode, encode, objects_of
from openresponses.schema.events import Event
from openresponses.schema.items import HostedToolCall, Item
from openresponses.schema.request import CreateResponse
from pydantic import TypeAdapter

from tests.contract.anthropic_document import problems
from tests.immediately import immediately
from tests.openresponses_schema import check_event, check_response
from tests.unit.kit import Models

CASSETTES = Path(__file__).parent.parent / "cassettes" / "anthropic"
NAMES = sorted(path.stem for path in CASSETTES.glob("*.sse"))


@dataclass(frozen=True)
class Cassette:
    name: str
    sse: bytes
    settings: ProviderSettings
    request: CreateResponse
    expected: dict[str, Any]

    @classmethod
    def load(cls, name: str) -> "Cassette":
        sidecar = json.loads((CASSETTES / f"{name}.request.json").read_text())
        settings = ProviderSettings(
            name="vendor",
            dialect="anthropic",
            base_url="https://api.anthropic.com/v1",
            options=sidecar.get("options", {}),
        )
        request = CreateResponse.model_validate(sidecar["request"])
        return cls(name, (CASSETTES / f"{name}.sse").read_bytes(), settings, request, sidecar)


class NoTools:
    async def offer(self, item_type: str) -> OfferedTool | None:
        return None

    async def call(self, call: HostedToolCall) -> ToolOutput:
        raise NotImplementedError


class Replay:
    """A provider that speaks a cassette through the real HTTP layer."""

    def __init__(self, cassette: Cassette, pieces: Sequence[bytes]) -> None:
        self._cassette, self._pieces = cassette, pieces

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        pieces = self._pieces

        class Body(httpx2.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                for piece in pieces:
                    yield piece

        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=Body()))
        provider = Anthropic(self._cassette.settings, transport)
        async with aclosing(provider.stream(turn)) as deltas:
            async for delta in deltas:
                yield delta
        await provider.aclose()

    async def aclose(self) -> None: ...


def run_for(request: CreateResponse, *more: Item) -> Run:
    return Run(
        response=new_response(request, "resp_0", 0),
        request=request,
        context=[*input_items(request, "resp_0", {}), *more],
        tools=immediately(offered_tools(request, NoTools())),
        max_turns=8,
    )


def turn_for(request: CreateResponse, *more: Item) -> Turn:
    return turn_of(run_for(request, *more), request.model)


async def replayed(cassette: Cassette, pieces: Sequence[bytes] = ()) -> tuple[Run, list[Event]]:
    run, events = run_for(cassette.request), list[Event]()

    async def sink(event: Event) -> None:
        events.append(event)

    replay = Models(Replay(cassette, pieces or [cassette.sse]))
    await think(run, Ports(replay, NoTools(), lambda: 0.0, lambda: "0"), Journal(run, sink))
    return run, events


def dump(result: tuple[Run, list[Event]]) -> tuple[list[Any], Any, str | None]:
    run, _ = result
    response = run.response.model_dump(mode="json")
    return response["output"], run.usage.model_dump(mode="json"), run.finish


def events_of(data: bytes) -> list[SseEvent]:
    return SseParser().feed(data)


async def decoded(events: Sequence[SseEvent]) -> list[d.Delta]:
    async def replay() -> AsyncIterator[SseEvent]:
        for event in events:
            yield event

    return [delta async for delta in decode(objects_of(replay()))]


def terminal_event(events: Sequence[SseEvent]) -> int:
    """How many events it takes until the turn is known to have ended."""
    return next(i for i, each in enumerate(events, 1) if json.loads(each.data).get("delta", {}).get("stop_reason"))


def outputs(name: str) -> bool:
    return "error" not in Cassette.load(name).expected


ANSWERS = [name for name in NAMES if outputs(name)]
ERRORS = [name for name in NAMES if not outputs(name)]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_upstream_is_as_recorded(name: str) -> None:
    cassette = Cassette.load(name)
    assert encode(turn_for(cassette.request), cassette.settings) == cassette.expected["sent"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_upstream_is_valid_by_anthropic_s_own_documents(name: str) -> None:
    cassette = Cassette.load(name)
    assert problems(encode(turn_for(cassette.request), cassette.settings)) == []


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_recorded_stream_makes_the_recorded_output(name: str) -> None:
    cassette = Cassette.load(name)
    run, events = await replayed(cassette)
    expected = cassette.expected
    assert dump((run, events)) == (expected["output"], expected["usage"], expected["finish"])
    check_response(run.response.model_dump(mode="json"))
    for event in events:
        check_event(event.model_dump(mode="json"))


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_stream_that_comes_byte_by_byte_makes_the_same_output(name: str) -> None:
    cassette = Cassette.load(name)
    result = await replayed(cassette, [bytes([byte]) for byte in cassette.sse])
    assert dump(result) == dump(await replayed(cassette))


@pytest.mark.parametrize("name", ANSWERS)
async def test_every_item_that_a_stream_adds_is_done_once(name: str) -> None:
    run, events = await replayed(Cassette.load(name))
    added = [event.output_index for event in events if event.type == "response.output_item.added"]
    done = [event.output_index for event in events if event.type == "response.output_item.done"]
    assert added == sorted(done) == list(range(len(run.response.output)))
    assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_in_the_stream_is_the_turn_s_error(name: str) -> None:
    cassette = Cassette.load(name)
    with pytest.raises(errors.ProviderError) as raised:
        await replayed(cassette)
    error = raised.value
    assert (type(error).__name__, error.message) == (cassette.expected["error"], cassette.expected["message"])


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_stream_that_is_cut_anywhere_before_its_end_is_a_dead_turn(name: str) -> None:
    """What is decoded depends on the cut only through the events that are complete before it."""
    cassette = Cassette.load(name)
    whole = events_of(cassette.sse)
    end = terminal_event(whole)
    for cut in range(len(cassette.sse)):
        events = events_of(cassette.sse[:cut])
        assert events == whole[: len(events)]
    for count in range(end):
        with pytest.raises(errors.ProviderUnavailable):
            await decoded(whole[:count])
    for count in range(end, len(whole) + 1):
        assert isinstance((await decoded(whole[:count]))[-1], d.Finish)


def content_of(sse: bytes) -> list[dict[str, Any]]:
    """The message's content as the vendor's own clients put it together, but one text where it is cited in pieces."""
    blocks: list[dict[str, Any]] = []
    pieces: list[str] = []
    for event in (json.loads(each.data) for each in events_of(sse)):
        match event:
            case {"type": "content_block_start", "content_block": {"type": "text"}} if is_text(blocks):
                pass
            case {"type": "content_block_start", "content_block": block}:
                blocks.append(block)
                pieces.clear()
            case {"type": "content_block_delta", "delta": {"type": "text_delta" | "thinking_delta" as kind, **more}}:
                name = kind.partition("_")[0]
                blocks[-1][name] += more[name]
            case {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": signature}}:
                blocks[-1]["signature"] += signature
            case {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": piece}}:
                pieces.append(piece)
            case {"type": "content_block_stop"} if blocks[-1]["type"].endswith("tool_use"):
                blocks[-1]["input"] = json.loads("".join(pieces) or "{}")
            case _:
                pass
    return blocks


@pytest.mark.parametrize("name", NAMES)
def test_a_cassette_is_a_stream_by_the_vendor_s_own_types(name: str) -> None:
    stream: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for event in events_of(Cassette.load(name).sse):
        assert event.event == json.loads(event.data)["type"]
        if event.event not in ("ping", "error"):
            stream.validate_json(event.data)


def is_text(blocks: list[dict[str, Any]]) -> bool:
    return bool(blocks) and blocks[-1]["type"] == "text"


PARTLY = ("length_in_a_call", "fine_grained_tool")
"""What isn't JSON can't go back as it came."""


@pytest.mark.parametrize("name", [name for name in ANSWERS if name not in PARTLY])
async def test_a_message_goes_back_as_it_came(name: str) -> None:
    """Thinking is valid in its own message only, which must be the same to the letter."""
    cassette = Cassette.load(name)
    run, _ = await replayed(cassette)
    request = cassette.request.model_copy(update={"tool_choice": "auto", "provider": None})
    sent = encode(turn_for(request, *run.response.output), cassette.settings)
    before: Any = cassette.expected["sent"]["messages"]
    messages: Any = sent["messages"]
    said = content_of(cassette.sse) or [{"type": "text", "text": text} for text in refused(run)]
    assert messages[len([each for each in before if each["role"] != "system"])] == {
        "role": "assistant",
        "content": said,
    }


def refused(run: Run) -> list[str]:
    """Of a message that is only a refusal, our client was shown the vendor's reason."""
    return [part["refusal"] for item in run.response.model_dump()["output"] for part in item["content"]]
