"""Streams of Gemini as Google documents them, through the real parser, the real decoder and the real engine.

A cassette is `<case>.sse`, the upstream's bytes, and `<case>.request.json`: its source, what our client asks,
what we must send upstream for it, and what must come out (or the error).
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openresponses.core import deltas as d
from openresponses.core import errors
from openresponses.core.engine import think
from openresponses.core.intake import input_items, new_response, offered_tools
from openresponses.core.journal import Journal
from openresponses.core.ports import Ports, ToolOutput
from openresponses.core.run import OfferedTool, Run
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn, turn_of
from openresponses.providers._sse import SseEvent, SseParser, objects_of
from openresponses.providers.gemini import Gemini, decode, encode
from openresponses.schema.events import Event
from openresponses.schema.items import HostedToolCall
from openresponses.schema.request import CreateResponse

from tests.gemini_types import check_chunk, check_request
from tests.immediately import immediately
from tests.openresponses_schema import check_event, check_response
from tests.unit.kit import Models

CASSETTES = Path(__file__).parent.parent / "cassettes" / "gemini"
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
        settings = ProviderSettings(name="vendor", dialect="gemini", base_url="http://vendor.test/v1beta")
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
        provider = Gemini(self._cassette.settings, transport)
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
    for index, event in enumerate(events):
        chunk = json.loads(event.data)
        if "promptFeedback" in chunk or any("finishReason" in each for each in chunk.get("candidates", ())):
            return index + 1
    raise AssertionError("the cassette has no end")


def outputs(name: str) -> bool:
    return "error" not in Cassette.load(name).expected


ANSWERS = [name for name in NAMES if outputs(name)]
ERRORS = [name for name in NAMES if not outputs(name)]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_upstream_is_as_recorded(name: str) -> None:
    cassette = Cassette.load(name)
    assert encode(turn_for(cassette.request), cassette.settings) == cassette.expected["sent"]


@pytest.mark.parametrize("name", NAMES)
def test_what_goes_over_the_wire_is_valid_by_the_types_of_google_s_own_sdk(name: str) -> None:
    cassette = Cassette.load(name)
    check_request(cassette.expected["sent"])
    for event in events_of(cassette.sse):
        chunk = json.loads(event.data)
        if "error" not in chunk:
            check_chunk(chunk)


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_stream_makes_the_recorded_output(name: str) -> None:
    cassette = Cassette.load(name)
    output, usage, finish = dump(await replayed(cassette))
    expected = cassette.expected
    assert (output, usage, finish) == (expected["output"], expected["usage"], expected["finish"])


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


@pytest.mark.parametrize("name", ANSWERS)
async def test_every_event_and_the_response_are_valid_by_the_open_responses_schema(name: str) -> None:
    run, events = await replayed(Cassette.load(name))
    for event in events:
        check_event(event.model_dump(mode="json"))
    check_response(run.response.model_dump(mode="json"))


async def returned(cassette: Cassette) -> list[Any]:
    """The parts of the model's last content, in the request after this one."""
    run, _ = await replayed(cassette)
    said = [*cassette.request.input] if isinstance(cassette.request.input, list) else []
    items = [*(item.model_dump(mode="json") for item in said), *run.response.model_dump(mode="json")["output"]]
    calls = [item["call_id"] for item in run.response.model_dump()["output"] if item["type"] == "function_call"]
    answers = [{"type": "function_call_output", "call_id": call_id, "output": "ok"} for call_id in calls]
    question = [] if said else [{"role": "user", "content": cassette.request.input}]
    more = {"role": "user", "content": "And now?"}
    again = {**cassette.expected["request"], "input": [*question, *items, *answers, *([] if calls else [more])]}
    sent = encode(turn_for(CreateResponse.model_validate(again)), cassette.settings)
    check_request(sent)
    models = [content for content in contents_of(sent) if content["role"] == "model"]
    return models[-1]["parts"] if models else []


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_came_goes_back_as_it_came(name: str) -> None:
    """All parts but thoughts, which are summaries: the texts joined, and every signature on its own part."""
    cassette = Cassette.load(name)
    assert flat(await returned(cassette)) == flat(parts_of(cassette))


signed = st.sampled_from(["", "c2lnbmVk", "YWdhaW4="]).map(lambda s: {"thoughtSignature": s} if s else {})
text = st.sampled_from(["", "a", "é"]).map(lambda words: {"text": words})
kinds = st.one_of(
    text,
    text.map(lambda part: {**part, "thought": True}),
    st.just({"functionCall": {"name": "f", "args": {}}}),
    st.just({"executableCode": {"language": "PYTHON", "code": "1"}}),
)
chunks = st.lists(st.lists(st.builds(lambda a, b: {**a, **b}, kinds, signed), max_size=3), max_size=4)


@given(chunks)
async def test_whatever_comes_goes_back_as_it_came(each: list[list[Any]]) -> None:
    request = {"model": "gemini-2.5-flash", "input": "Hi", "tools": [{"type": "function", "name": "f"}]}
    candidates = [{"content": {"parts": parts}} for parts in each] + [{"finishReason": "STOP"}]
    events = [f"data: {json.dumps({'candidates': [candidate]})}\n\n" for candidate in candidates]
    cassette = replace(
        Cassette.load("text"),
        sse="".join(events).encode(),
        request=CreateResponse.model_validate(request),
        expected={"request": request},
    )
    assert flat(await returned(cassette)) == flat(parts_of(cassette))


def contents_of(sent: Any) -> list[Any]:
    return sent["contents"]


def parts_of(cassette: Cassette) -> list[dict[str, Any]]:
    candidates = [each for event in events_of(cassette.sse) for each in json.loads(event.data).get("candidates", ())]
    parts = [part for each in candidates for part in each.get("content", {}).get("parts", ())]
    if not parts and (message := next((each.get("finishMessage") for each in candidates), None)):
        return [{"text": message}]
    blocked = [json.loads(event.data).get("promptFeedback") for event in events_of(cassette.sse)]
    return parts or [{"text": f"The prompt was blocked: {each['blockReason']}"} for each in blocked if each]


def flat(parts: list[dict[str, Any]]) -> list[Any]:
    """Without what may differ: where unsigned text is cut, unsigned thoughts, and ids that were made for calls."""
    made: list[Any] = []
    for part in parts:
        if part.get("thought") and "thoughtSignature" not in part:
            continue
        if part.keys() == {"text"}:
            if made and isinstance(made[-1], str):
                made[-1] += part["text"]
            elif part["text"]:
                made.append(part["text"])
        else:
            call = part.get("functionCall")
            made.append({**part, "functionCall": {**call, "id": None}} if call else part)
    return made


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
