"""The WebSocket mode in the local cloud: many connections, workers that die, frames as large as they may be."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import AsyncGenerator

import httpx2
import psutil
import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed

from openresponses.socket.frames import JOINED_SECONDS
from openresponses_dev.local.cloud import LocalCloud
from tests.e2e.sockets import PATIENCE, Json, create, ends, kill, local_cloud, opened, rest, silence, turn
from tests.stream_checker import check_stream
from tests.sweeps import Sweep

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("sockets"), pytest.mark.timeout(900)]
LIMIT = 128 * 1024
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[LocalCloud, None]:
    async with local_cloud(tmp_path_factory.mktemp("sockets")) as cloud:
        async with opened(cloud) as socket:
            assert (await turn(socket, create("Warm up.")))[-1]["type"] == "response.completed"
        yield cloud


def memory_mb(pids: list[int]) -> float:
    return sum(psutil.Process(pid).memory_info().rss for pid in pids) / 2**20


def share(values: list[float], of: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * of))]


async def test_many_connections_with_turns_that_go_on(cloud: LocalCloud, sweep: Sweep) -> None:
    connections, turns = (40, 5) if sweep.full else (3, 2)
    assert await talks(cloud, connections, turns) == connections * turns


@pytest.mark.bench
async def test_two_hundred_connections_with_turns_that_go_on(cloud: LocalCloud) -> None:
    assert await talks(cloud, 200, 5) == 1000


async def talks(cloud: LocalCloud, connections: int, turns: int) -> int:
    """Each remembers what was said on it alone, and every turn ends once, and right. Returns how many turns did."""
    begun, before, most = time.monotonic(), memory_mb([psutil.Process().pid]), 0.0
    seconds: list[float] = []

    async def talk(who: int) -> None:
        nonlocal most
        previous: Json = {}
        async with opened(cloud) as socket:
            for number in range(turns):
                asked = time.monotonic()
                frames = await turn(socket, create(f"I am {who}, turn {number}.", **previous))
                seconds.append(time.monotonic() - asked)
                # Deltas that were joined leave a gap each in the numbers.
                final = check_stream(frames, deaths=len(frames))
                assert f"I am {who}, turn {number}." in final["output"][-1]["content"][0]["text"]
                # What is remembered is shown to the model, which counts its words: 5 of the user, and its answer.
                assert final["usage"]["input_tokens"] == 5 + number * (5 + final["usage"]["output_tokens"])
                previous = {"previous_response_id": final["id"]}
            most = max(most, memory_mb([sandbox.pid for sandbox in cloud.sandboxes]))
            assert await silence(socket, 0.2) == []

    await asyncio.gather(*map(talk, range(connections)))
    took, after = time.monotonic() - begun, memory_mb([psutil.Process().pid])
    sandboxes = {name: len(function.sandboxes) for name, function in cloud.functions.items() if function.sandboxes}
    print(f"\n{connections} connections of {turns} turns: {took:.1f} s")
    print(f"a turn: median {share(seconds, 0.5):.2f} s, p99 {share(seconds, 0.99):.2f} s")
    print(f"the gateway has {before:.0f} MB before, {after:.0f} after; {most:.0f} MB in {sandboxes}")
    return len(seconds)


async def test_a_worker_that_dies_leaves_one_last_frame(cloud: LocalCloud, sweep: Sweep) -> None:
    """It is killed when its client has seen so many frames of a turn. The socket and its next turn are well."""
    points = sweep.sample([*range(20)], 1)
    lost: list[str] = []
    for point in points:
        async with opened(cloud) as socket:
            await socket.send(create("[[slow 60ms]] [[words 24]] Go."))
            frames = [json.loads(await asyncio.wait_for(socket.recv(), 60)) for _ in range(point)]
            assert ends(frames) == [], "nobody was killed in time"
            while not kill(cloud, "SocketWorkerFunction"):
                await asyncio.sleep(0.01)
            frames = await rest(socket, frames)
            told = frames[-1].get("error", {}).get("code")
            found = ends([*frames, *await silence(socket, 0.3)])
            again = await turn(socket, create("Still there?"))
            print(f"killed after {point} frames: {len(frames)} frames, the last {found} {told}")
            if len(found) != 1 or ends(again) != ["response.completed"]:
                lost.append(f"{point}: {found}, then {ends(again)}")
    assert lost == [], f"of {len(points)}"


async def test_workers_are_killed_amid_many_turns(cloud: LocalCloud, sweep: Sweep) -> None:
    """All at once, at random: every message has exactly one last frame all the same, or the connection is closed, where
    nobody can know whether that frame is out, or one worker after the other dies."""
    if not sweep.full:
        pytest.skip("in a plain run, the test before kills one")
    connections, turns, kills, killed = 40, 5, 15, 0
    found: list[str] = []
    heard: list[list[Json]] = []

    async def talk() -> None:
        left = turns
        while left:
            frames: list[Json] = []
            heard.append(frames)
            asked, closed = 0, False
            async with opened(cloud) as socket:
                try:
                    while asked < left:
                        asked += 1
                        await socket.send(create("[[slow 50ms]] [[words 20]] Go."))
                        await rest(socket, frames, after=len(frames))
                    frames += await silence(socket, 0.5)
                except ConnectionClosed:
                    closed = True
            kinds = ends(frames) + ["closed"] * closed
            assert len(kinds) == asked
            found.extend(kinds)
            left -= asked

    async def murder() -> None:
        """Amid turns, not amid the starts of those who replace the dead."""
        nonlocal killed
        for _ in range(kills):
            enough = sum(map(len, heard)) + random.randrange(1, 4) * connections
            while sum(map(len, heard)) < enough:
                await asyncio.sleep(0.02)
            kill(cloud, "SocketWorkerFunction")
            killed += 1

    killer = asyncio.create_task(murder())
    try:
        await asyncio.wait_for(asyncio.gather(*(talk() for _ in range(connections))), PATIENCE)
    finally:
        killer.cancel()  # if all was said before
    closed, failed = found.count("closed"), found.count("error")
    print(f"\n{connections * turns} messages, {killed} workers killed: {failed} ended with an error, {closed} closed")
    assert killed
    assert len(found) == connections * turns
    assert set(found) <= {"response.completed", "error", "closed"}


async def padded(cloud: LocalCloud, size: int) -> str | int:
    """How a turn ends whose message has so many bytes, in frames of 32 KB; or the code that the socket closes with."""
    text = create("x" * (size - len(create(""))))
    assert len(text) == size
    async with opened(cloud, compression=None) as socket:
        await socket.send(text[at : at + 32 * 1024] for at in range(0, size, 32 * 1024))
        try:
            return str((await rest(socket, []))[-1]["type"])
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else "closed without a word"


async def test_messages_of_every_size_around_the_limit(cloud: LocalCloud, sweep: Sweep) -> None:
    sizes = [LIMIT - 1, LIMIT, LIMIT + 1, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, *range(LIMIT - 9, LIMIT + 9, 3)]
    for size in sweep.sample(sizes, 3):
        assert await padded(cloud, size) == (1009 if size > LIMIT else "response.completed"), size


async def test_answers_of_every_size_around_the_limit(cloud: LocalCloud, sweep: Sweep) -> None:
    """The deltas say all of it. The events that have it whole are left out, or less, where it does not fit."""
    sizes = [32_000, LIMIT - 2000, LIMIT - 1000, LIMIT - 500, LIMIT, LIMIT + 1, 300_000, 1_000_000]
    for size in sweep.sample(sizes, 3):
        async with opened(cloud, compression=None) as socket:
            await socket.send(create("Go.", model=f"clock/bytes-{size}"))
            said, largest, kind = 0, 0, ""
            while kind not in ("response.completed", "response.incomplete", "response.failed", "error"):
                text = await asyncio.wait_for(socket.recv(), 60)
                frame, largest = json.loads(text), max(largest, len(text))
                kind = frame["type"]
                said += len(frame["delta"]) if kind == "response.output_text.delta" else 0
            assert (said, kind) == (size, "response.completed" if size < LIMIT - 1500 else kind)
            assert largest <= LIMIT
            print(f"{size} bytes: {kind}, the largest frame has {largest}")


@pytest.mark.parametrize(("words", "pause_ms"), [(25, 80), (100, 10)], ids=["deltas_that_go_at_once", "joined_deltas"])
async def test_the_time_from_a_delta_to_the_clients_frame(
    cloud: LocalCloud, sweep: Sweep, words: int, pause_ms: int
) -> None:
    """Beside that of the same deltas over HTTP, in turns, in the same run: a ratio, since the machine may be busy."""
    rounds, model = (10 if sweep.full else 1), f"clock/words-{words}-{pause_ms}"
    times: dict[str, list[float]] = {"socket": [], "http": []}
    frames = 0

    def note(kind: str, delta: str) -> None:
        now = time.monotonic_ns()
        times[kind] += [(now - int(word)) / 1e6 for word in delta.split()]

    async with opened(cloud) as socket, httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        for _ in range(rounds):
            said = await turn(socket, create("Go.", model=model), hear=lambda frame: note("socket", delta_of(frame)))
            frames += sum(1 for frame in said if delta_of(frame))
            body = {"model": model, "input": "Go.", "store": False, "stream": True}
            headers = {"Authorization": f"Bearer {cloud.api_key}"}
            url = f"{cloud.base_url}/responses"
            async with client.stream("POST", url, json=body, headers=headers) as answer:
                async for line in answer.aiter_lines():
                    event: Json = json.loads(line.removeprefix("data: ")) if line.startswith("data: {") else {}
                    note("http", delta_of(event))
    assert len(times["socket"]) == len(times["http"]) == words * rounds
    print(f"\na word every {pause_ms} ms: {words * rounds} deltas in {frames} frames")
    for kind, values in times.items():
        print(f"{kind}: median {share(values, 0.5):.1f} ms, p99 {share(values, 0.99):.1f} ms")
    print(f"the socket's median is {statistics.median(times['socket']) / statistics.median(times['http']):.1f} times")
    assert share(times["socket"], 0.5) < 1000, "deltas are not held back"
    assert frames < words * rounds / 2 or pause_ms > 1000 * JOINED_SECONDS


def delta_of(event: Json) -> str:
    return event["delta"] if event.get("type") == "response.output_text.delta" else ""
