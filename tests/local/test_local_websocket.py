"""The local WebSocket API invokes functions as API Gateway does, with its events."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed, InvalidStatus

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from tests.local.local_project import PATIENCE, until, wire
from tests.local.sockets import KEY, alone, ask, connection_id, opened, socket_project
from tests.sweeps import Sweep

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("local websocket")]
ID = re.compile("[A-Za-z0-9_-]{15}=")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("websocket")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(folder: Path) -> AsyncGenerator[LocalCloud, None]:
    log = Log(None, file=folder / "log")
    async with LocalCloud(socket_project(folder), env={"KEEP": str(folder)}, log=log) as cloud:
        yield cloud
    log.close()


def checked(event: dict[str, Any], cloud: LocalCloud) -> dict[str, Any]:
    """The event without what differs from one to the next, which is looked at here."""
    context = event["requestContext"]
    ids = [context.pop(name) for name in ("requestId", "extendedRequestId", "connectionId")]
    ids += [context.pop("messageId")] if "messageId" in context else []
    assert all(ID.fullmatch(each) for each in ids), ids
    now, times = time.time() * 1000, [context.pop("connectedAt"), context.pop("requestTimeEpoch")]
    assert now - PATIENCE * 1000 < times[0] <= times[1] <= now
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context.pop("requestTime"))
    port = cloud.origin.rpartition(":")[2]
    return json.loads(json.dumps(event).replace(f":{port}", ":PORT"))


STAGE = {"stage": "responses", "domainName": "127.0.0.1", "apiId": "WebSocketApi", "messageDirection": "IN"}
IDENTITY = {"sourceIp": "127.0.0.1", "userAgent": "test"}


def authorized(event: dict[str, Any]) -> dict[str, Any]:
    """Takes what the authorizer said out of the event, and returns the event that it was given."""
    said = event["requestContext"].pop("authorizer")
    assert said.pop("integrationLatency") > 0
    given = said.pop("event")
    assert said == {"principalId": "who", "tenant": "acme", "n": "1", "yes": "true"}, "strings, whatever they were"
    return json.loads(given)


async def test_its_events_are_those_of_api_gateway(cloud: LocalCloud, folder: Path) -> None:
    async with opened(cloud, {"keep": True}, user_agent_header="test", compression=None) as socket:
        told = (await ask(socket, tell=True))["event"]
        connection = told["requestContext"]["connectionId"]
        kept = folder / f"{connection}.json"
        connected = json.loads(kept.read_text())
        kept.unlink()
        await socket.close(4001, "enough")
    await until(kept.exists)
    left = json.loads(kept.read_text())

    asked = authorized(connected)
    headers = connected["headers"]
    assert connected["multiValueHeaders"] == {name: [value] for name, value in headers.items()}
    assert re.fullmatch("Root=1-[0-9a-f]{8}-[0-9a-f]{24}", headers.pop("X-Amzn-Trace-Id"))
    assert len(headers.pop("Sec-WebSocket-Key")) == 24
    del connected["multiValueHeaders"]
    query = {"do": '{"keep": true}'}
    expected = {
        "headers": {
            "Host": "127.0.0.1:PORT",
            "Authorization": "Bearer key",
            "Sec-WebSocket-Version": "13",
            "User-Agent": "test",
            "X-Forwarded-For": "127.0.0.1",
            "X-Forwarded-Proto": "http",
        },
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {"do": [query["do"]]},
        "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "identity": IDENTITY, **STAGE},
        "isBase64Encoded": False,
    }
    assert checked(connected, cloud) == expected
    assert asked.pop("type") == "REQUEST"
    assert asked.pop("methodArn") == "arn:aws:execute-api:us-east-1:123456789012:WebSocketApi/responses/$connect"
    assert asked.pop("stageVariables") == {}
    for name in ("X-Amzn-Trace-Id", "Sec-WebSocket-Key"):
        assert asked["headers"].pop(name)
    del asked["multiValueHeaders"]
    assert checked(asked, cloud) == {name: value for name, value in expected.items() if name != "isBase64Encoded"}

    authorized(told)
    context = {"identity": IDENTITY, **STAGE}
    assert checked(told, cloud) == {
        "requestContext": {"routeKey": "$default", "eventType": "MESSAGE", **context},
        "body": '{"tell": true}',
        "isBase64Encoded": False,
    }
    authorized(left)
    empty = {"Host": "127.0.0.1:PORT", "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
    closed = {"disconnectStatusCode": 4001, "disconnectReason": "enough"}
    assert checked(left, cloud) == {
        "headers": empty,
        "multiValueHeaders": {name: [value] for name, value in empty.items()},
        "requestContext": {"routeKey": "$disconnect", "eventType": "DISCONNECT", **closed, **context},
        "isBase64Encoded": False,
    }


async def refused(cloud: LocalCloud, do: dict[str, Any] | None = None, **headers: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        async with opened(cloud, do, additional_headers={**KEY, **headers}):
            pass
    told = json.loads(caught.value.response.body)
    assert {name for name in told if ID.fullmatch(told[name])} == {"connectionId", "requestId"}
    return caught.value.response.status_code, told["message"]


async def test_a_handshake_is_refused_by_the_authorizer_and_by_the_function(cloud: LocalCloud) -> None:
    denied, failed = "User is not authorized to access this resource", "Internal server error"
    invoked = cloud.functions["GateFunction"].sandboxes
    for sandbox in invoked:
        await sandbox.stop()
    assert await refused(cloud, Authorization="") == (401, "Unauthorized")
    assert cloud.functions["GateFunction"].sandboxes == [], "nobody was asked"
    assert await refused(cloud, Authorization="unauthorized") == (401, "Unauthorized")
    assert await refused(cloud, Authorization="deny") == (403, denied)
    assert await refused(cloud, Authorization="crash") == (500, failed)
    assert await refused(cloud, Authorization="odd") == (500, failed)
    assert await refused(cloud, {"answer": {"statusCode": 403}}) == (403, "Forbidden")
    assert await refused(cloud, {"answer": {"statusCode": 503}}) == (503, failed)
    assert await refused(cloud, {"answer": {"hello": "world"}}) == (502, failed)
    assert await refused(cloud, {"raise": "planted"}) == (502, failed)
    assert await refused(cloud, {"die": True}) == (502, failed)


async def test_the_function_chooses_the_subprotocol(cloud: LocalCloud) -> None:
    chosen = {"answer": {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "b"}}}
    async with opened(cloud, chosen, subprotocols=["a", "b"]) as socket:
        assert socket.subprotocol == "b"


async def test_a_message_goes_to_the_route_that_it_selects(cloud: LocalCloud) -> None:
    async with opened(cloud) as socket:
        for text, route in [
            ("not JSON", "$default"),
            ("[1]", "$default"),
            ('{"to": "named", "tell": 1}', "$default"),
            ('{"to": {"whom": "$connect"}, "tell": 1}', "$default"),
            ('{"to": {"whom": ["named"]}, "tell": 1}', "$default"),
            ('{"to": {"whom": "named"}, "tell": 1}', "named"),
            ("[" * 3000, "$default"),
        ]:
            await socket.send(text)
            event = json.loads(await socket.recv())["event"]
            assert (event["requestContext"]["routeKey"], event["body"]) == (route, text)


async def test_a_function_that_fails_is_told_of_and_the_socket_stays(cloud: LocalCloud) -> None:
    async with opened(cloud) as socket:
        connection = await connection_id(socket)
        answers: list[dict[str, Any]] = [
            {"raise": "planted"},
            {"die": True},
            {"answer": None},
            {"answer": {"hello": "world"}},
            {"to": {"whom": "hasty"}, "sleep": 1.5},
        ]
        told = [await ask(socket, **asked) for asked in answers]
        assert [each.pop("connectionId") for each in told] == [connection] * len(answers)
        assert len({each.pop("requestId") for each in told}) == len(answers)
        assert [each["message"] for each in told] == ["Internal server error"] * 4 + ["Endpoint request timed out"]
        assert (await ask(socket, answer={"statusCode": 500}, tell=True))["event"]["body"], "a status is no failure"


async def test_a_binary_message_closes_with_1003(cloud: LocalCloud, folder: Path) -> None:
    async with opened(cloud) as socket:
        connection = await connection_id(socket)
        await socket.send(b"binary")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1003
    kept = folder / f"{connection}.json"
    await until(kept.exists)
    assert json.loads(kept.read_text())["requestContext"]["disconnectStatusCode"] == 1003


async def test_a_client_that_says_no_code_or_nothing_at_all_is_told_of(cloud: LocalCloud, folder: Path) -> None:
    codes: list[int] = []
    for silent in (False, True):
        async with opened(cloud) as socket:
            kept = folder / f"{await connection_id(socket)}.json"
            if silent:
                socket.transport.abort()
            else:
                socket.protocol.send_close()
                socket.transport.write(b"".join(socket.protocol.data_to_send()))
            await until(kept.exists)
            codes.append(json.loads(kept.read_text())["requestContext"]["disconnectStatusCode"])
    assert codes == [1005, 1006]


async def test_other_paths_and_plain_requests_find_nothing(cloud: LocalCloud) -> None:
    for origin, status in ((cloud.socket_origin, 403), (cloud.origin, 426)):
        with pytest.raises(InvalidStatus) as caught:
            async with opened(cloud, base=f"{origin.replace('http', 'ws')}/other"):
                pass
        assert caught.value.response.status_code == status
    async with httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{cloud.socket_origin}/responses")).status_code == 403
        assert (await client.get(f"{cloud.origin}/v1/responses")).json() == {"key": False, "path": "/v1/responses"}


async def test_compression_is_spoken_with_those_who_offer_it(cloud: LocalCloud) -> None:
    async with opened(cloud, compression="deflate") as socket:
        assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]
        assert len((await ask(socket, tell=True, text="x" * 20_000))["event"]["body"]) > 20_000
    async with opened(cloud, compression=None) as socket:
        assert socket.protocol.extensions == []


async def test_messages_of_a_connection_do_not_wait_for_each_other(cloud: LocalCloud) -> None:
    async with opened(cloud) as socket:
        await socket.send(json.dumps({"sleep": 3, "count": 1, "size": 2}))
        await socket.send(json.dumps({"count": 1}))
        assert [await socket.recv(), await socket.recv()] == ["0", "00"]


async def test_the_rest_address_and_its_own_lead_to_the_same_api(cloud: LocalCloud) -> None:
    own = cloud.socket_origin.replace("http", "ws")
    assert cloud.websocket_base_url == f"{cloud.origin.replace('http', 'ws')}/v1"
    for base in (cloud.websocket_base_url, own):
        async with opened(cloud, base=base) as socket:
            where = (await ask(socket, tell=True))["where"]
            assert where["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"] == f"{cloud.socket_origin}/responses"
            assert where["OPENRESPONSES_WEBSOCKET_URL"] == cloud.websocket_url
    async with httpx2.AsyncClient(trust_env=False) as client:
        told = (await client.get(f"{cloud.origin}/_local.json")).json()
    assert told["websocket_base_url"] == cloud.websocket_base_url


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"},
        {"Host": "127.0.0.1"},
    ],
)
async def test_a_page_opens_no_socket(cloud: LocalCloud, headers: dict[str, str]) -> None:
    for origin in (cloud.origin, cloud.socket_origin):
        path = "/v1/responses" if origin == cloud.origin else "/responses"
        port = origin.rpartition(":")[2]
        lines = {"Host": f"127.0.0.1:{port}", "Authorization": "Bearer key", **headers}
        head = "".join(f"{name}: {value.format(port=port)}\r\n" for name, value in lines.items())
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        async with wire(origin) as client:
            key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            await client.send(f"GET {path} HTTP/1.1\r\n{head}{upgrade}{key}\r\n".encode())
            status, body = await client.whole()
        assert (status, json.loads(body)["error"]["code"]) == (403, "request_refused")


async def test_an_own_page_opens_one(cloud: LocalCloud) -> None:
    async with opened(cloud, origin=cloud.origin) as socket:
        assert (await ask(socket, tell=True))["event"]["requestContext"]["eventType"] == "MESSAGE"


async def test_at_an_origin_of_its_own_the_rest_address_knows_no_upgrade(tmp_path: Path, sweep: Sweep) -> None:
    """As on AWS, where the function of the REST API says so."""
    if not sweep.full:
        pytest.skip("in a plain run, test_local_websocket_dev.py tries it")
    code = """
import asyncio, sys
from contextlib import AsyncExitStack
from pathlib import Path
from openresponses_dev.local.cloud import LocalCloud
from tests.local.sockets import ask, opened, socket_project
from websockets.exceptions import InvalidStatus

async def main():
    async with AsyncExitStack() as stack:
        held = await run(stack)
        for socket in held:
            await socket.wait_closed()
            print(socket.close_code, socket.close_reason)

async def run(stack):
    async with LocalCloud(socket_project(Path(sys.argv[1])), separate_origin=True) as cloud:
        assert cloud.websocket_base_url == cloud.socket_origin.replace("http", "ws")
        async with opened(cloud) as socket:
            where = (await ask(socket, tell=True))["where"]
        try:
            async with opened(cloud, base=cloud.base_url.replace("http", "ws")):
                pass
        except InvalidStatus as refused:
            print(where["OPENRESPONSES_WEBSOCKET_URL"] == cloud.websocket_url, refused.response.status_code,
                  refused.response.body.decode())
        return [await stack.enter_async_context(opened(cloud)) for _ in range(3)]

asyncio.run(main())
"""
    told = 'True 426 {"key": true, "path": "/v1/responses"}'
    assert await alone(code, tmp_path) == [told, *["1001 Going away"] * 3]
