"""Recorded Responses streams, through the real parser, the real decoder and the real engine.

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
from openresponses.core import deltas as d
from openresponses.core import errors
from openresponses.core.engine import begin, finish, think
from openresponses.core.intake import input_items, new_response, offered_tools
from openresponses.core.journal import Journal
from openresponses.core.ports import Ports, ToolOutput
from openresponses.core.run import OfferedTool, Run
from openresponses.core.settings import ProviderSettings
from openresponses.core.steps import Stop, next_step
from openresponses.core.turn import Turn, turn_of
from openresponses.providers._responses_stream import decode, objects_of
from openresponses.providers._sse import SseEvent, SseParser
from openresponses.providers.openai_responses import OpenAIResponses, encode
from openresponses.schema.events import Event, UpstreamProgress
from openresponses.schema.items import HostedToolCall
from openresponses.schema.request import CreateResponse

from tests import openai_types
from tests.immediately import immediately
from tests.openresponses_schema import check_event, check_request
from tests.stream_checker import check_stream
from tests.unit.kit import Models

CASSETTES = Path(__file__).parent.parent / "cassettes" / "openai_responses"
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
            dialect="openai_responses",
            base_url=sidecar["base_url"],
            options=sidecar.get("options", {}),
        )
        request = CreateResponse.model_validate(sidecar["request"])
        return cls(name, (CASSETTES / f"{name}.sse").read_bytes(), settings, request, sidecar)

    @property
    def beyond_the_standard(self) -> bool:
        """OpenAI has more than the standard, whose document allows no content of reasoning in a request."""
        openai = self.settings.base_url == "https://api.openai.com/v1"
        return openai or self.settings.options.get("echo_reasoning") == "content"


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
        provider = OpenAIResponses(self._cassette.settings, transport)
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


def sent_for(cassette: Cassette) -> dict[str, Any]:
    return encode(turn_of(run_for(cassette.request), cassette.request.model), cassette.settings)


async def replayed(cassette: Cassette, pieces: Sequence[bytes] = ()) -> tuple[Run, list[Event]]:
    """The run after its one turn, and the events of the whole response."""
    run, events = run_for(cassette.request), list[Event]()

    async def sink(event: Event) -> None:
        events.append(event.model_copy())

    replay, emit = Models(Replay(cassette, pieces or [cassette.sse])), Journal(run, sink)
    await begin(run, emit)
    await think(run, Ports(replay, NoTools(), lambda: 0.0, lambda: "0"), emit)
    stop = next_step(run)
    await finish(run, stop if isinstance(stop, Stop) else Stop("completed"), emit, lambda: 0.0)
    return run, events


def dump(result: tuple[Run, list[Event]]) -> dict[str, Any]:
    run, events = result
    progress = [event.model_dump(mode="json") for event in events if isinstance(event, UpstreamProgress)]
    return {
        "output": run.response.model_dump(mode="json")["output"],
        "usage": run.usage.model_dump(mode="json"),
        "finish": run.finish,
    } | ({"progress": progress} if progress else {})


def events_of(data: bytes) -> list[SseEvent]:
    return SseParser().feed(data)


async def decoded(events: Sequence[SseEvent]) -> list[d.Delta]:
    async def replay() -> AsyncIterator[SseEvent]:
        for event in events:
            yield event

    return [delta async for delta in decode(objects_of(replay()))]


ANSWERS = [name for name in NAMES if "error" not in Cassette.load(name).expected]
ERRORS = [name for name in NAMES if name not in ANSWERS]
STANDARD = [name for name in NAMES if not Cassette.load(name).beyond_the_standard]
NUMBERED = [name for name in NAMES if not name.startswith("only_") and name != "error_nested"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_upstream_is_as_recorded(name: str) -> None:
    cassette = Cassette.load(name)
    assert sent_for(cassette) == cassette.expected["sent"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_upstream_fits_the_sdk_s_types(name: str) -> None:
    sent = sent_for(Cassette.load(name))
    sent.pop("frequency_penalty", None)  # the standard has it, OpenAI has not
    openai_types.check_request(sent)


@pytest.mark.parametrize("name", STANDARD)
def test_what_is_sent_to_other_servers_is_valid_by_the_standard_s_own_document(name: str) -> None:
    check_request(sent_for(Cassette.load(name)))


@pytest.mark.parametrize("name", NUMBERED)
def test_a_recorded_stream_is_one_by_the_sdk_s_types(name: str) -> None:
    for event in events_of(Cassette.load(name).sse):
        if event.data != "[DONE]" and not event.event.startswith("response.reasoning."):
            openai_types.check_event(event.data)


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_recorded_stream_makes_the_recorded_output(name: str) -> None:
    cassette = Cassette.load(name)
    made = dump(await replayed(cassette))
    assert made == {part: cassette.expected.get(part) for part in made}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_stream_that_comes_byte_by_byte_makes_the_same_output(name: str) -> None:
    cassette = Cassette.load(name)
    result = await replayed(cassette, [bytes([byte]) for byte in cassette.sse])
    assert dump(result) == dump(await replayed(cassette))


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_a_recorded_stream_makes_is_a_stream_by_the_standard(name: str) -> None:
    _, events = await replayed(Cassette.load(name))
    said = [event.model_dump(mode="json") for event in events]
    for event in said:
        check_event(event)
    check_stream(said)


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
    whole = events_of(Cassette.load(name).sse)
    ends = [event.event in ("response.completed", "response.incomplete") for event in whole]
    end = ends.index(True) + 1
    for count in range(len(whole) + 1):
        deltas = await decoded(whole[:count])
        assert any(isinstance(delta, d.Finish) for delta in deltas) is (count >= end)
