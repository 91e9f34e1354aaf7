"""What a client, and the log, are told of a provider that can't be reached, or that answers as no API does."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from openresponses import telemetry
from openresponses.core.settings import Settings
from openresponses.dialects import connect
from openresponses.routing.catalog import Catalog
from openresponses.routing.router import Router, TenantModels
from openresponses.storage.memory.parameters import MemoryParameters
from tests.contract.machine import House
from tests.contract.served import sdk_of
from tests.contract.test_link import certificate, served_with
from tests.unit.test_sealing import PlainSeal

__all__ = ["certificate"]
SECRET = "sk-not-for-any-log"


def house_at(base_url: str) -> House:
    given = {"dialect": "chat_completions", "base_url": base_url, "api_key": SECRET, "retries": 0}
    parameters = {"providers/away": json.dumps(given), "models/fast": '{"targets": ["away/small"]}'}
    catalog = Catalog(MemoryParameters(parameters))
    now = asyncio.get_running_loop().time
    router = Router(catalog, connect, Settings(), now, telemetry.answered, skip=telemetry.Skips(now))
    return House(TenantModels(router, PlainSeal()))


@asynccontextmanager
async def server(reply: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answers each request with `reply`, or closes the connection before it does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply:
            await reader.read(65_536)
            writer.write(reply)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as listening:
        yield listening.sockets[0].getsockname()[1]


PAGE = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<!doctype html>"
NO_TLS = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"
REACHED = "The provider could not be reached: "


async def unknown(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@asynccontextmanager
async def address(kind: str, certificate: Path) -> AsyncGenerator[str, None]:
    match kind:
        case "name":
            loop = asyncio.get_running_loop()
            loop.getaddrinfo = unknown  # type: ignore[method-assign]  # no test asks a server for names
            yield "https://nowhere.invalid/v1"
        case "closed port":
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                yield f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        case "no TLS":
            async with server(NO_TLS) as port:
                yield f"https://127.0.0.1:{port}/v1"
        case "certificate":
            async with server(PAGE, served_with(certificate)) as port:
                yield f"https://127.0.0.1:{port}/v1"
        case "closes":
            async with server(None) as port:
                yield f"http://127.0.0.1:{port}/v1"
        case _:
            async with server(PAGE) as port:
                yield f"http://127.0.0.1:{port}/v1"


@pytest.mark.parametrize(
    ("kind", "cause", "message"),
    [
        ("name", "name", f"{REACHED}its name was not found"),
        ("closed port", "connection", f"{REACHED}the connection was refused"),
        ("no TLS", "tls", f"{REACHED}it does not speak TLS there"),
        ("certificate", "tls", f"{REACHED}its certificate is not valid: self-signed certificate"),
        ("closes", "answer", "The provider closed the connection before it answered"),
        ("web page", "answer", "The provider answered with a web page"),
    ],
)
async def test_what_failed_is_told_to_the_client_and_to_the_log(
    kind: str, cause: str, message: str, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with address(kind, certificate) as base_url:
        house = house_at(base_url)
        said = list[str]()
        for model in ("away/small", "fast"):
            with pytest.raises(openai.APIStatusError) as failed:
                await sdk_of(house).responses.create(model=model, input="hello")
            said.append(_message(failed.value))
    assert said == [f"{message} (model: away/small)", f"{message} (model: fast)"]
    logged = [vars(record) for record in caplog.records if record.msg == "provider failed"]
    assert [(line["target"], line["cause"], line["reason"]) for line in logged] == [("away/small", cause, message)] * 2
    everything = repr([said, [vars(record) for record in caplog.records]])
    assert "127.0.0.1" not in everything
    assert "nowhere.invalid" not in everything
    assert SECRET not in everything


def _message(error: openai.APIStatusError) -> str:
    """`error.message`, as the SDK shows it: `Error code: 503 - {...}`, which has the server's own message."""
    body: Any = error.body
    assert body["message"] in error.message
    return body["message"]


async def test_what_a_provider_says_of_the_request_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    body = b'{"error": {"message": "no: you said swordfish", "type": "invalid_request_error"}}'
    reply = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
    async with server(reply % (len(body), body)) as port:
        with pytest.raises(openai.BadRequestError, match="swordfish"):
            await sdk_of(house_at(f"http://127.0.0.1:{port}/v1")).responses.create(model="fast", input="swordfish")
    logged = {record.msg: vars(record) for record in caplog.records}
    assert logged["provider failed"]["reason"] is None
    assert "swordfish" not in repr(logged)


def test_a_target_that_is_passed_over_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([0.0, 1.0, 59.0, 60.0])
    skips = telemetry.Skips(lambda: next(times, 60.0))
    for _ in range(4):
        skips("gone/model", "its provider is not configured")
    skips("gone/model", "another reason")
    for n in range(3 * telemetry.Skips.MOST):
        skips(f"made-up/{n}", "its provider is not configured")
    lines = [vars(record) for record in caplog.records if record.msg == "target skipped"]
    assert [line["why"] for line in lines if line["target"] == "gone/model"] == [
        "its provider is not configured",
        "its provider is not configured",
        "another reason",
    ]
    assert len(skips._told) <= telemetry.Skips.MOST
