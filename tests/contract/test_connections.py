"""The management API's client: a frame is sent once, and again only where none was taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from openresponses.aws.connections import Connections
from openresponses.core.errors import ConnectionGone

ID, FRAME = "L0SM9cOFvHcCIhw=", b'{"type":"x"}'


class Gateway:
    """Answers each request with the next status, or hangs up where there is none."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.requests, self.connections = [*statuses], list[tuple[str, bytes]](), 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
                self.requests.append((head, await reader.readexactly(length)))
                if not self.statuses:
                    return
                status = self.statuses.pop(0)
                body = "" if status == 204 else "content-length: 2\r\n\r\n{}"
                writer.write(f"HTTP/1.1 {status} X\r\n{body or chr(13) + chr(10)}".encode())
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def listening(self, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Connections, None]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            connections = Connections("eu-west-1", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/responses")
            yield connections
            connections.hang_up()


async def test_frames_go_out_signed_over_one_connection_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(200, 429, 503, 200, 204)
    async with gateway.listening(monkeypatch) as connections:
        client = connections.of(ID)
        await client.post(FRAME)
        await client.post(FRAME)
        await client.close()
    lines = [head.partition("\r\n")[0] for head, _ in gateway.requests]
    path = "/responses/@connections/L0SM9cOFvHcCIhw%3D HTTP/1.1"
    assert lines == [f"POST {path}"] * 4 + [f"DELETE {path}"]
    assert [body for _, body in gateway.requests] == [FRAME] * 4 + [b""]
    assert all("/eu-west-1/execute-api/aws4_request" in head for head, _ in gateway.requests)
    assert gateway.connections == 1


@pytest.mark.parametrize("statuses", [[200], [200, 410], [200, 403]])
async def test_a_frame_that_may_have_been_taken_is_not_sent_again(
    statuses: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(*statuses)
    async with gateway.listening(monkeypatch) as connections:
        await connections.post(ID, FRAME)
        with pytest.raises(ConnectionGone):
            await connections.post(ID, FRAME)
    assert len(gateway.requests) == 2
