"""Streams of Bedrock, through real frames, the real HTTP layer, the real decoder and the real engine.

A cassette is `<case>.events.jsonl`, an event or exception by its name in each line, since the wire is binary; and
`<case>.request.json`: its source, what our client asks, what we must send for it, and what must come out (or the
error).
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from openresponses.core import deltas as d
from openresponses.core import errors
from openresponses.core.engine import think
from openresponses.core.intake import input_items, new_response, offered_tools
from openresponses.core.journal import Journal
from openresponses.core.ports import Ports, ToolOutput
from openresponses.core.run import OfferedTool, Run
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn, turn_of
from openresponses.providers._bedrock_frames import events_of
from openresponses.providers._bedrock_stream import decode
from openresponses.providers.bedrock import Bedrock, encode
from openresponses.schema.events import Event
from openresponses.schema.items import HostedToolCall
from openresponses.schema.request import CreateResponse

from tests.fakes.bedrock_frames import of_line
from tests.fakes.bedrock_shapes import problems
from tests.immediately import immediately
from tests.openresponses_schema import check_event, check_item
from tests.unit.kit import Models

CASSETTES = Path(__file__).parent.parent / "cassettes" / "bedrock"
NAMES = sorted(path.name.removesuffix(".events.jsonl") for path in CASSETTES.glob("*.events.jsonl"))


@dataclass(frozen=True)
class Cassette:
    name: str
    lines: list[str]
    settings: ProviderSettings
    request: CreateResponse
    expected: dict[str, Any]

    @classmethod
    def load(cls, name: str) -> "Cassette":
        sidecar = json.loads((CASSETTES / f"{name}.request.json").read_text())
        settings = ProviderSettings(
            name="vendor",
            dialect="bedrock",
            base_url="http://vendor.test",
            api_key="bedrock-api-key-test",
            options=sidecar.get("options", {}),
        )
        request = CreateResponse.model_validate(sidecar["request"])
        lines = (CASSETTES / f"{name}.events.jsonl").read_text().splitlines()
        return cls(name, lines, settings, request, sidecar)

    @property
    def frames(self) -> list[bytes]:
        return [of_line(line) for line in self.lines]


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

        def answer(request: httpx2.Request) -> httpx2.Response:
            path = request.url.raw_path.decode()
            assert unquote(path) == f"/model/{turn.model}/converse-stream"
            assert request.headers["authorization"] == "Bearer bedrock-api-key-test"
            return httpx2.Response(200, stream=Body())

        provider = Bedrock(self._cassette.settings, httpx2.MockTransport(answer))
        async with aclosing(provider.stream(turn)) as deltas:
            async for delta in deltas:
                yield delta
        await provider.aclose()

    async def aclose(self) -> None: ...


def run_for(request: CreateResponse) -> Run:
    return Run(
        response=new_response(request, "resp_0", 0),
        request=request,
        context=input_items(request, "resp_0", {}),
        tools=immediately(offered_tools(request, NoTools())),
        max_turns=8,
    )


def turn_for(request: CreateResponse) -> Turn:
    return turn_of(run_for(request), request.model)


async def replayed(cassette: Cassette, pieces: Sequence[bytes] = ()) -> tuple[Run, list[Event]]:
    run, events = run_for(cassette.request), list[Event]()

    async def sink(event: Event) -> None:
        events.append(event)

    replay = Models(Replay(cassette, pieces or cassette.frames))
    await think(run, Ports(replay, NoTools(), lambda: 0.0, lambda: "0"), Journal(run, sink))
    return run, events


def dump(result: tuple[Run, list[Event]]) -> tuple[list[Any], Any, str | None]:
    run, _ = result
    response = run.response.model_dump(mode="json")
    return response["output"], run.usage.model_dump(mode="json"), run.finish


async def decoded(frames: Sequence[bytes]) -> list[d.Delta]:
    async def chunks() -> AsyncIterator[bytes]:
        for frame in frames:
            yield frame

    return [delta async for delta in decode(events_of(chunks()))]


def outputs(name: str) -> bool:
    return "error" not in Cassette.load(name).expected


ANSWERS = [name for name in NAMES if outputs(name)]
ERRORS = [name for name in NAMES if not outputs(name)]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_is_as_recorded_and_valid_by_the_service_s_own_model(name: str) -> None:
    cassette = Cassette.load(name)
    sent = encode(turn_for(cassette.request), cassette.settings)
    assert sent == cassette.expected["sent"]
    assert problems(sent, cassette.request.model) == []


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_recorded_stream_makes_the_recorded_output(name: str) -> None:
    cassette = Cassette.load(name)
    output, usage, finish = dump(await replayed(cassette))
    expected = cassette.expected
    assert (output, usage, finish) == (expected["output"], expected["usage"], expected["finish"])


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_stream_that_comes_byte_by_byte_makes_the_same_output(name: str) -> None:
    cassette = Cassette.load(name)
    result = await replayed(cassette, [bytes([byte]) for byte in b"".join(cassette.frames)])
    assert dump(result) == dump(await replayed(cassette))


@pytest.mark.parametrize("name", ANSWERS)
async def test_every_item_that_a_stream_adds_is_done_once_and_as_the_specification_has_it(name: str) -> None:
    run, events = await replayed(Cassette.load(name))
    added = [event.output_index for event in events if event.type == "response.output_item.added"]
    done = [event.output_index for event in events if event.type == "response.output_item.done"]
    assert added == sorted(done) == list(range(len(run.response.output)))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    for event in events:
        check_event(event.model_dump(mode="json"))
    for item in run.response.output:
        check_item(item.model_dump(mode="json"))


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_in_the_stream_is_the_turn_s_error(name: str) -> None:
    cassette = Cassette.load(name)
    with pytest.raises(errors.ProviderError) as raised:
        await replayed(cassette)
    error = raised.value
    assert (type(error).__name__, error.message) == (cassette.expected["error"], cassette.expected["message"])


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_stream_that_is_cut_anywhere_before_its_end_is_a_dead_turn(name: str) -> None:
    cassette = Cassette.load(name)
    frames = cassette.frames
    end = next(i for i, line in enumerate(cassette.lines) if "messageStop" in line)
    for count in range(end + 1):
        for cut in (0, 5, len(frames[count]) - 1):
            with pytest.raises(errors.ProviderUnavailable):
                await decoded([*frames[:count], frames[count][:cut]])
    for count in range(end + 1, len(frames) + 1):
        assert isinstance((await decoded(frames[:count]))[-1], d.Finish)
