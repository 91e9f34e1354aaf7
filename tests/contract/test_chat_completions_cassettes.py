"""Recorded Chat Completions streams, through the real parser, the real decoder and the real engine.

A cassette is `<case>.sse`, the upstream's bytes, and `<case>.request.json`: its source, what our client asks,
what we must send upstream for it, and what must come out (or the error).
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator
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
from openresponses.providers.chat_completions import ChatCompletions, chunks_of, decode, encode
from openresponses.schema.events import Event
from openresponses.schema.items import HostedToolCall
from openresponses.schema.request import CreateResponse

from tests.immediately import immediately
from tests.unit.kit import Models

CASSETTES = Path(__file__).parent.parent / "cassettes" / "chat_completions"
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
            dialect="chat_completions",
            base_url=sidecar.get("base_url") or "http://vendor.test/v1",
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
        provider = ChatCompletions(self._cassette.settings, transport)
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


async def decoded(events: Sequence[SseEvent], cassette: Cassette) -> list[d.Delta]:
    async def replay() -> AsyncIterator[SseEvent]:
        for event in events:
            yield event

    deltas = list[d.Delta]()
    async for delta in decode(chunks_of(replay()), think_tags=cassette.settings.options.get("think_tags", False)):
        deltas.append(delta)
    return deltas


@cache
def request_validator() -> Draft202012Validator:
    """Of OpenAI's own document, whose OpenAPI 3.0 `nullable` is made JSON Schema."""
    document = json.loads((files("llm_comply") / "specs" / "openai_chat.json").read_text())

    def translated(node: Any) -> Any:
        if isinstance(node, list):
            return [translated(each) for each in node]
        if not isinstance(node, dict):
            return node
        rest = {name: translated(value) for name, value in node.items() if name != "nullable"}
        return {"anyOf": [rest, {"type": "null"}]} if node.get("nullable") is True else rest

    return Draft202012Validator(
        {**translated(document), "$ref": "#/components/schemas/CreateChatCompletionRequest"},
    )


def terminal_event(events: Sequence[SseEvent]) -> int:
    """How many events it takes until the turn is known to have ended."""
    for index, event in enumerate(events):
        if event.data == "[DONE]" or any(c["finish_reason"] for c in json.loads(event.data).get("choices", ())):
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
def test_what_is_sent_upstream_is_valid_by_openai_s_own_document(name: str) -> None:
    cassette = Cassette.load(name)
    sent = encode(turn_for(cassette.request), cassette.settings)
    assert [error.message for error in request_validator().iter_errors(sent)] == []


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_recorded_stream_makes_the_recorded_output(name: str) -> None:
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
            await decoded(whole[:count], cassette)
    for count in range(end, len(whole) + 1):
        assert isinstance((await decoded(whole[:count], cassette))[-1], d.Finish)
