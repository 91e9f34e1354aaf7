"""Recorded streams of every dialect, through the real parser, the real decoder and the real engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core import errors
from openresponses.core.run import Run
from openresponses.schema.events import Event, ToolProgress
from tests.contract.cassettes import ENDS, Cassette, Replay, load, names, replayed
from tests.contract.turns import turn_for
from tests.openresponses_schema import check_event
from tests.stream_checker import check_stream

ALL = [(dialect, name) for dialect in ENDS for name in names(dialect)]
ERRORS = [(dialect, name) for dialect, name in ALL if load(dialect, name).fails]
ANSWERS = [each for each in ALL if each not in ERRORS]


def dump(result: tuple[Run, list[Event]]) -> dict[str, Any]:
    run, events = result
    progress = [event.model_dump(mode="json") for event in events if isinstance(event, ToolProgress)]
    return {
        "output": run.response.model_dump(mode="json")["output"],
        "usage": run.usage.model_dump(mode="json"),
        "finish": run.finish,
    } | ({"progress": progress} if progress else {})


async def ends(cassette: Cassette, pieces: Sequence[bytes]) -> bool:
    deltas = list[d.Delta]()
    try:
        async for delta in Replay(cassette, pieces).stream(turn_for(cassette.request)):
            deltas.append(delta)
    except errors.ProviderUnavailable:
        return False
    return bool(deltas) and isinstance(deltas[-1], d.Finish)


@pytest.mark.parametrize(("dialect", "name"), ALL)
def test_what_is_sent_upstream_is_as_recorded(dialect: str, name: str) -> None:
    cassette = load(dialect, name)
    assert cassette.sent() == cassette.expected["sent"]


@pytest.mark.parametrize(("dialect", "name"), ANSWERS)
async def test_a_recorded_stream_makes_the_recorded_output(dialect: str, name: str) -> None:
    cassette = load(dialect, name)
    made = dump(await replayed(cassette))
    assert made == {part: cassette.expected.get(part) for part in made}


@pytest.mark.parametrize(("dialect", "name"), ANSWERS)
async def test_a_stream_that_comes_byte_by_byte_makes_the_same_output(dialect: str, name: str) -> None:
    cassette = load(dialect, name)
    result = await replayed(cassette, [bytes([byte]) for byte in b"".join(cassette.wire)])
    assert dump(result) == dump(await replayed(cassette))


@pytest.mark.parametrize(("dialect", "name"), ANSWERS)
async def test_what_a_recorded_stream_makes_is_a_stream_by_the_standard(dialect: str, name: str) -> None:
    _, events = await replayed(load(dialect, name))
    said = [event.model_dump(mode="json") for event in events]
    for event in said:
        check_event(event)
    check_stream(said)


@pytest.mark.parametrize(("dialect", "name"), ERRORS)
async def test_an_error_in_the_stream_is_the_turn_s_error(dialect: str, name: str) -> None:
    cassette = load(dialect, name)
    with pytest.raises(errors.ProviderError) as raised:
        await replayed(cassette)
    error = raised.value
    assert (type(error).__name__, error.message) == (cassette.expected["error"], cassette.expected["message"])


@pytest.mark.parametrize(("dialect", "name"), ANSWERS)
async def test_a_stream_that_is_cut_anywhere_before_its_end_is_a_dead_turn(dialect: str, name: str) -> None:
    cassette = load(dialect, name)
    wire, end = cassette.wire, cassette.end
    for count in range(end):
        for cut in (0, 5, len(wire[count]) - 1):
            assert not await ends(cassette, [*wire[:count], wire[count][:cut]])
    for count in range(end, len(wire) + 1):
        assert await ends(cassette, wire[:count])
