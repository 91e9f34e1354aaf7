"""No body costs more than it should: bombs at every place of a request, through the whole intake, up to the wire.

Memory is the most that tracemalloc saw, CPU is the process's own time. A body of less than 1 MB counts as one.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import pytest

from openresponses.core.errors import BodyTooLarge
from openresponses.parsing.budget import refuse_costly
from tests.contract.bombs import BOMBS, Place, Places, bomb, names
from tests.contract.encoding import Encoding
from tests.sweeps import Sweep

SIZE = 1_000_000
MEMORY, CPU = 25.0, 1.0
"""Bytes for each byte of a body, and seconds for each million of them. The most memory is that of thousands of small
items which a model is shown as others: calls of an MCP server, or of a client's tool."""
QUICK = 0.005
"""Seconds. Who takes less has filled no memory worth tracing, which takes long itself."""
BOMBS_OF_PLACE = 2
SAMPLE = 6
SHARES = 8
JSON = {"content-type": "application/json"}
PLACES = Places()
ALL = list(PLACES.all())
OTHERS = list(PLACES.others())


@dataclass(frozen=True, order=True)
class Cost:
    """For each byte, and for each million of them."""

    memory: float
    cpu: float
    of: str


def fitting(place: Place, name: str) -> bytes:
    """The largest bomb that has no more values than its size allows: a larger one is refused before it is parsed."""
    size = _fitting_size(name) if name in BOMBS else SIZE
    while True:
        body = bomb(PLACES, place, name, size)
        if not _is_costly(body):
            return body
        size = size * 9 // 10


@cache
def _fitting_size(name: str) -> int:
    size = SIZE
    while _is_costly(bomb(PLACES, ALL[0], name, size)):
        size = size * 9 // 10
    return size


def _is_costly(body: bytes) -> bool:
    try:
        refuse_costly(body)
    except BodyTooLarge:
        return True
    return False


async def cost(encoding: Encoding, body: bytes, of: str, url: str = "/v1/responses") -> tuple[int, Cost]:
    async def asked() -> int:
        encoding.forget()
        return (await encoding.client("default").post(url, content=body, headers=JSON)).status_code

    began, size = time.process_time(), max(len(body), SIZE)
    status = await asked()
    seconds, most = time.process_time() - began, 0
    if seconds > QUICK:
        tracemalloc.start()
        try:
            await asked()
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    return status, Cost(most / size, seconds / size * 1_000_000, f"{of}: {len(body)} bytes, {status}")


async def defused(points: Sequence[tuple[Place, str]], capsys: pytest.CaptureFixture[str]) -> None:
    encoding, costs, statuses = Encoding(), list[Cost](), Counter[int]()
    for number, (place, name) in enumerate(points):
        model = encoding.models[number % len(encoding.models)]
        body = fitting(place, name).replace(b"offline/demo", model.encode(), 1)
        of = f"{name} at {place.path or 'the whole'} of {place.url} for {model}"
        status, found = await cost(encoding, body, of, place.url)
        costs.append(found)
        statuses[status] += 1
        capsys.readouterr()
    memory, cpu = max(costs), max(costs, key=lambda each: each.cpu)
    with capsys.disabled():
        print(
            f"\n{len(costs)} bodies {dict(sorted(statuses.items()))}: at most {memory.memory:.1f} bytes of memory for "
            f"each byte ({memory.of}), {cpu.cpu:.2f} s of CPU for each MB ({cpu.of})"
        )
    assert memory.memory < MEMORY, memory
    assert cpu.cpu < CPU, cpu


@pytest.mark.parametrize("share", range(SHARES))
async def test_no_body_takes_more_memory_or_time_than_its_size_allows(
    share: int, sweep: Sweep, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two kinds of bombs at each place, drawn by the seed, each as large as it may be to be parsed at all."""
    dice = random.Random(f"{request.config.option.sweep_seed} {share}")
    points = [
        (place, name) for place in ALL[share::SHARES] for name in dice.sample(names(PLACES, place), BOMBS_OF_PLACE)
    ]
    await defused(sweep.sample(points, SAMPLE), capsys)


async def test_no_body_of_another_route_does_either(
    sweep: Sweep, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(request.config.option.sweep_seed)
    points = [(place, name) for place in OTHERS for name in dice.sample(names(PLACES, place), BOMBS_OF_PLACE)]
    await defused(sweep.sample(points, SAMPLE), capsys)


async def test_the_largest_bombs_take_no_more(sweep: Sweep) -> None:
    for name in sweep.sample([*BOMBS], 4):
        status, found = await cost(Encoding(), bomb(PLACES, ALL[0], name, 6 * SIZE), name)
        assert status in (400, 413)
        assert found.memory < MEMORY, found
        assert found.cpu < CPU, found


async def test_a_wrong_list_is_read_up_to_its_first_fault() -> None:
    """It took 1,087 MB and 10 s, since every wrong element became an error."""
    body = b'{"model":"m","input":[' + b",".join([b"1"] * 30_000) + b"]}"
    status, found = await cost(Encoding(), body, "ones")
    assert status == 400
    assert found.memory * SIZE < 12 * len(body) + 200_000


def test_what_stands_in_a_string_counts_as_nothing() -> None:
    assert not _is_costly(b'{"a":"' + b'[{,\\"' * 500_000 + b'"}')
