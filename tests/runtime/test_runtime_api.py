"""The local Runtime API refuses what the real one refuses."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator

import pytest

from openresponses.runtime.connection import Connection, Reply
from openresponses_dev.local.sandbox.runtime_api import Invocation, RuntimeApi
from tests.runtime.runtime_driver import ARN, ended

PREFIX = "/2018-06-01/runtime"


@pytest.fixture
async def api() -> AsyncGenerator[RuntimeApi, None]:
    api = RuntimeApi()
    await api.start()
    yield api
    await api.close()


@pytest.fixture
async def connection(api: RuntimeApi) -> AsyncGenerator[Connection, None]:
    connection = Connection(api.address)
    yield connection
    connection.close()


async def delivered(api: RuntimeApi, connection: Connection) -> Invocation:
    deadline = int(time.time() * 1000) + 60_000
    invocation = await api.invoke(b'{"a":1}', deadline_ms=deadline, arn=ARN)
    reply = await connection.request("GET", f"{PREFIX}/invocation/next", {})
    assert (reply.status, reply.body) == (200, b'{"a":1}')
    assert {k: v for k, v in reply.headers.items() if k.startswith("lambda-runtime")} == {
        "lambda-runtime-aws-request-id": invocation.id,
        "lambda-runtime-deadline-ms": str(deadline),
        "lambda-runtime-invoked-function-arn": ARN,
        "lambda-runtime-trace-id": invocation.trace_id,
        "lambda-runtime-invocation-id": invocation.echo,
    }
    return invocation


async def respond(connection: Connection, id_: str, what: str = "response", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await connection.request("POST", f"{PREFIX}/invocation/{id_}/{what}", named, b"{}")


def refused(reply: Reply) -> tuple[int, str]:
    return reply.status, json.loads(reply.body)["errorType"]


@pytest.mark.parametrize("what", ["response", "error"])
async def test_an_unknown_request_id_is_refused(connection: Connection, what: str) -> None:
    assert refused(await respond(connection, "no-such-id", what)) == (400, "InvalidRequestID")


@pytest.mark.parametrize("what", ["response", "error"])
async def test_a_second_answer_is_refused(api: RuntimeApi, connection: Connection, what: str) -> None:
    invocation = await delivered(api, connection)
    first = await respond(connection, invocation.id, Lambda_Runtime_Invocation_Id=invocation.echo)
    second = await respond(connection, invocation.id, what, Lambda_Runtime_Invocation_Id=invocation.echo)

    assert first.status == 202
    assert refused(second) == (400, "InvalidRequestID")
    assert (await ended(invocation)).chunks == [b"{}"]


@pytest.mark.parametrize("echo", [{}, {"Lambda_Runtime_Invocation_Id": "another"}])
async def test_an_answer_must_echo_the_invocation_id(api: RuntimeApi, connection: Connection, echo: dict) -> None:
    invocation = await delivered(api, connection)

    assert refused(await respond(connection, invocation.id, **echo)) == (400, "InvalidInvocationID")
    assert invocation.ended is None


async def test_an_unknown_response_mode_is_refused(api: RuntimeApi, connection: Connection) -> None:
    invocation = await delivered(api, connection)
    reply = await respond(
        connection,
        invocation.id,
        Lambda_Runtime_Invocation_Id=invocation.echo,
        Lambda_Runtime_Function_Response_Mode="buffered",
    )

    assert refused(reply) == (400, "InvalidFunctionResponseMode")


async def test_a_buffered_response_has_a_limit(api: RuntimeApi, connection: Connection) -> None:
    invocation = await delivered(api, connection)
    echo = {"Lambda-Runtime-Invocation-Id": invocation.echo}
    body = bytes(6 * 1024 * 1024 + 101)
    reply = await connection.request("POST", f"{PREFIX}/invocation/{invocation.id}/response", echo, body)

    assert refused(reply) == (413, "RequestEntityTooLarge")
    assert (await ended(invocation)).error_type == "Function.ResponseSizeTooLarge"


async def test_the_next_event_is_refused_while_one_is_unanswered(api: RuntimeApi, connection: Connection) -> None:
    await delivered(api, connection)

    assert refused(await connection.request("GET", f"{PREFIX}/invocation/next", {})) == (403, "InvalidStateTransition")


async def test_an_init_error_after_init_is_refused(api: RuntimeApi, connection: Connection) -> None:
    await delivered(api, connection)

    assert refused(await connection.request("POST", f"{PREFIX}/init/error", {}, b"{}")) == (
        403,
        "InvalidStateTransition",
    )


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/invocation/next"), ("GET", "/init/error")])
async def test_an_unknown_path_is_refused(connection: Connection, method: str, path: str) -> None:
    assert (await connection.request(method, PREFIX + path, {})).status == 404


async def test_a_trailer_that_was_not_announced_is_not_heard(api: RuntimeApi, connection: Connection) -> None:
    invocation = await delivered(api, connection)
    headers = {
        "Lambda-Runtime-Invocation-Id": invocation.echo,
        "Lambda-Runtime-Function-Response-Mode": "streaming",
    }
    await connection.post_stream(f"{PREFIX}/invocation/{invocation.id}/response", headers, b"one")
    await connection.chunk(b"two")
    await connection.end({"Lambda-Runtime-Function-Error-Type": "Function.Unannounced"})

    assert (await connection.reply()).status == 202
    answer = await ended(invocation)
    assert (answer.chunks, answer.error) == ([b"one", b"two"], None)


async def test_a_runtime_that_hangs_up_is_no_longer_polling(api: RuntimeApi) -> None:
    reader, writer = await asyncio.open_connection(*api.address.split(":"))
    writer.write(f"GET {PREFIX}/invocation/next HTTP/1.1\r\nHost: {api.address}\r\n\r\n".encode())
    await api.ready.wait()
    polling = api.polling
    writer.close()
    while api.polling:
        await asyncio.sleep(0.005)

    assert (polling, api.polling) == (1, 0)
    assert await reader.read() == b""


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.0\r\n\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nbad\r\n\r\n"])
async def test_what_is_not_http_is_refused(api: RuntimeApi, request_: bytes) -> None:
    reader, writer = await asyncio.open_connection(*api.address.split(":"))
    writer.write(request_)
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")
