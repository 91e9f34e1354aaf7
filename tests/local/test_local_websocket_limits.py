"""Sizes and times of the local WebSocket API, as AWS lists them, and sizes alone lifted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import pytest_asyncio
from botocore.exceptions import ClientError
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.template.intrinsics import REGION
from tests.local.local_project import until
from tests.local.sockets import alone, connection_id, opened, socket_project
from tests.sweeps import Sweep

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("local websocket limits")]
FRAME, MESSAGE = 32 * 1024, 128 * 1024
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[LocalCloud, None]:
    folder = tmp_path_factory.mktemp("limits")
    async with LocalCloud(socket_project(folder), env={"KEEP": str(folder)}) as cloud:
        yield cloud


def management(cloud: LocalCloud) -> Any:
    url = f"{cloud.socket_origin}/responses"
    return boto3.client(
        "apigatewaymanagementapi", endpoint_url=url, region_name=REGION, **cloud.aws.credentials.for_boto3()
    )


def pieces(total: int, size: int) -> list[int]:
    return [size] * (total // size) + ([total % size] if total % size else [])


SHAPES = [[n] for n in (1, FRAME - 1, FRAME, FRAME + 1, MESSAGE, 2 * MESSAGE)]
SHAPES += [pieces(n, FRAME) for n in (MESSAGE - 1, MESSAGE, MESSAGE + 1, 2 * MESSAGE)]
SHAPES += [pieces(n, 1000) for n in (FRAME, MESSAGE, MESSAGE + 1)]
SHAPES += [[FRAME, FRAME + 1], [1, FRAME + 1], [0] * 5 + [FRAME], [FRAME, 0, 1]]
SHAPES += [[n] for n in range(FRAME - 8, FRAME + 9)] + [pieces(n, FRAME - 1) for n in range(MESSAGE - 8, MESSAGE + 9)]
"""The sizes of the frames of a message."""


def fits(shape: list[int]) -> bool:
    return max(shape) <= FRAME and sum(shape) <= MESSAGE


def texts(shape: list[int]) -> Iterator[str]:
    """The message as frames: JSON padded with spaces, so that it is whole at its end."""
    told = json.dumps({"answer": {"statusCode": 200}, "count": 1})
    text = told + " " * (sum(shape) - len(told)) if sum(shape) >= len(told) else "{}"[: sum(shape)]
    for size in shape:
        yield text[:size]
        text = text[size:]


async def frames(socket: ClientConnection, shape: list[int]) -> None:
    """Send exactly these: the client's own way joins none, and lets an empty one out."""
    for number, text in enumerate(texts(shape)):
        opcode = Opcode.CONT if number else Opcode.TEXT
        frame = Frame(opcode, text.encode(), fin=number == len(shape) - 1)
        socket.transport.write(frame.serialize(mask=True, extensions=socket.protocol.extensions))


async def sent(cloud: LocalCloud, shape: list[int], **options: Any) -> int | str:
    """The first message that comes back, or the code that the connection is closed with: 0 if it says none."""
    async with opened(cloud, **options) as socket:
        await frames(socket, shape)
        await socket.send(json.dumps({"count": 1}))
        try:
            return str(await socket.recv())
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 0


async def test_messages_of_every_size_around_the_limits(cloud: LocalCloud, sweep: Sweep) -> None:
    """Also with compression: what counts is what was said."""
    for shape in sweep.sample(SHAPES, 8):
        for compression in (None, "deflate"):
            found = await sent(cloud, shape, compression=compression)
            assert isinstance(found, str) if fits(shape) else found == 1009, (shape[:3], sum(shape), compression)


async def test_a_client_that_says_too_much_learns_why_and_the_function_the_code(cloud: LocalCloud) -> None:
    """While it is still sending: a connection that is reset at once would tell it nothing."""
    async with opened(cloud, compression=None, write_limit=2**26) as socket:
        connection = await connection_id(socket)
        await frames(socket, [8 * 1024 * 1024])
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    folder = cloud.template.path.parent
    kept = folder / f"{connection}.json"
    await until(kept.exists)
    assert json.loads(kept.read_text())["requestContext"]["disconnectStatusCode"] == 1009


async def test_posts_of_every_size_around_the_limits(cloud: LocalCloud, sweep: Sweep) -> None:
    api = management(cloud)
    sizes = [0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, MESSAGE - 1, MESSAGE]
    sizes += [*range(FRAME - 5, FRAME + 6), *range(3 * FRAME - 2, 3 * FRAME + 3)]
    async with opened(cloud, compression=None) as socket:
        connection = await connection_id(socket)
        for size in sweep.sample(sizes, 8):
            # Two bytes a character: a frame may end within one.
            text = ("x" if size % 2 else "") + "ä" * (size // 2)
            await asyncio.to_thread(api.post_to_connection, ConnectionId=connection, Data=text.encode())
            received = [frame async for frame in socket.recv_streaming()]
            assert "".join(map(str, received)) == text
            assert len(received) == max(1, -(-size // FRAME)), "frames of 32 KB at most"
        for size in (MESSAGE + 1, 2 * MESSAGE, 11 * 1024 * 1024):
            with pytest.raises(ClientError) as refused:
                await asyncio.to_thread(api.post_to_connection, ConnectionId=connection, Data=b"x" * size)
            assert refused.value.response["Error"]["Code"] == "PayloadTooLargeException"
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
        assert (await connection_id(socket)) == connection


async def test_a_connection_ends_when_it_is_idle_and_when_it_is_old(tmp_path: Path) -> None:
    """A ping is a sign of life. In a process of its own: one local cloud at a time."""
    code = """
import asyncio, sys, time
from pathlib import Path
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.socket_line import Limits
from tests.local.sockets import alone, connection_id, opened, socket_project

async def main():
    limits = Limits(idle_s=1.0, lifetime_s=4.0)
    async with LocalCloud(socket_project(Path(sys.argv[1])), socket_limits=limits) as cloud:
        for interval in (None, 0.2):
            async with opened(cloud, ping_interval=interval) as socket:
                begun = time.monotonic()
                await socket.wait_closed()
                print(socket.close_code, socket.close_reason, time.monotonic() - begun > 3)

asyncio.run(main())
"""
    assert await alone(code, tmp_path) == ["1001 Going away False", "1001 Going away True"]


async def test_sizes_are_lifted_by_an_option(tmp_path: Path, sweep: Sweep) -> None:
    """The first frame of Codex has 38 KB. What Lambda itself doesn't take is told of."""
    if not sweep.full:
        pytest.skip("in a plain run, test_local_websocket_dev.py tries it")
    code = """
import asyncio, json, sys
from pathlib import Path
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.socket_line import NO_SIZES
from tests.local.sockets import ask, opened, socket_project

async def main():
    async with LocalCloud(socket_project(Path(sys.argv[1])), socket_limits=NO_SIZES) as cloud:
        async with opened(cloud, compression=None, max_size=None) as socket:
            for size in (40_000, 1_000_000):
                await socket.send(json.dumps({"count": 1, "size": size, "pad": "x" * size}))
                print(len(await socket.recv()))
            print((await ask(socket, pad="x" * 7_000_000))["message"])

asyncio.run(main())
"""
    assert await alone(code, tmp_path) == ["40000", "1000000", "Internal server error"]
