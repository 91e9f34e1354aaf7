"""The local management API of WebSocket connections, and the functions that are invoked asynchronously for them."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx2
import psutil
import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import ClientError
from websockets.exceptions import ConnectionClosed

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.socket_event import new_id
from openresponses_dev.local.logs import Log
from openresponses_dev.local.services.credentials import Credentials
from openresponses_dev.local.template.intrinsics import REGION
from tests.local.local_project import until
from tests.local.sockets import alone, ask, connection_id, opened, socket_project
from tests.sweeps import Sweep

ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("local connections")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("connections")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(folder: Path) -> AsyncGenerator[LocalCloud, None]:
    log = Log(None, file=folder / "log")
    async with LocalCloud(socket_project(folder), env={"KEEP": str(folder)}, log=log) as cloud:
        yield cloud
    log.close()


def management(cloud: LocalCloud, credentials: Credentials | None = None, path: str = "responses") -> Any:
    given = (credentials or cloud.aws.credentials).for_boto3()
    config = Config(max_pool_connections=50, retries={"max_attempts": 0})
    url = f"{cloud.socket_origin}/{path}"
    return boto3.client("apigatewaymanagementapi", endpoint_url=url, region_name=REGION, config=config, **given)


async def refused(call: Any, *args: Any, **given: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(call, *args, **given)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


async def test_a_connection_is_posted_to_described_and_closed(cloud: LocalCloud, folder: Path) -> None:
    api = management(cloud)
    async with opened(cloud, user_agent_header="test") as socket:
        connection = await connection_id(socket)
        await asyncio.to_thread(api.post_to_connection, ConnectionId=connection, Data="ä, 日本".encode())
        assert await socket.recv() == "ä, 日本"
        await asyncio.to_thread(api.post_to_connection, ConnectionId=connection, Data=b"a\xff\xfeb")
        assert await socket.recv() == "a\ufffd\ufffdb"
        found = await asyncio.to_thread(api.get_connection, ConnectionId=connection)
        assert found["Identity"] == {"SourceIp": "127.0.0.1", "UserAgent": "test"}
        now = datetime.now(UTC)
        assert found["ConnectedAt"] <= found["LastActiveAt"] <= now
        assert (now - found["ConnectedAt"]).total_seconds() < 60
        await asyncio.to_thread(api.delete_connection, ConnectionId=connection)
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (1000, "Connection Closed Normally")
    kept = folder / f"{connection}.json"
    await until(kept.exists)
    gone = (410, "GoneException")
    assert await refused(api.post_to_connection, ConnectionId=connection, Data=b"x") == gone
    assert await refused(api.get_connection, ConnectionId=connection) == gone
    assert await refused(api.delete_connection, ConnectionId=connection) == gone
    assert await refused(api.post_to_connection, ConnectionId=new_id(), Data=b"x") == gone


async def test_nobody_else_reaches_a_connection(cloud: LocalCloud) -> None:
    other = Credentials.new()
    half = Credentials(cloud.aws.credentials.access_key_id, other.secret_access_key)
    async with opened(cloud) as socket:
        connection = await connection_id(socket)
        for credentials, code in ((other, "UnrecognizedClientException"), (half, "InvalidSignatureException")):
            api = management(cloud, credentials)
            for call, given in (
                (api.post_to_connection, {"Data": b"x"}),
                (api.get_connection, {}),
                (api.delete_connection, {}),
            ):
                assert await refused(call, ConnectionId=connection, **given) == (403, code)
        api = management(cloud)
        assert await refused(api.get_connection, ConnectionId=f"{connection}test") == (400, "BadRequestException")
        stage = management(cloud, path="other")
        assert await refused(stage.get_connection, ConnectionId=connection) == (403, "ForbiddenException")
        url = f"{cloud.socket_origin}/responses/@connections/{connection}"
        async with httpx2.AsyncClient(trust_env=False) as client:
            for headers in ({}, {"origin": cloud.origin}, {"host": "evil.example"}):
                answer = await client.post(url, content=b"x", headers=headers)
                assert (answer.status_code, await connection_id(socket)) == (403, connection)


async def test_posts_arrive_in_order_and_whole(cloud: LocalCloud) -> None:
    """Those of one caller in the order that they were made, those of several at once each in one piece."""
    api = management(cloud)
    async with opened(cloud, max_queue=1000) as socket:
        connection = await connection_id(socket)

        def post(who: int) -> None:
            for number in range(25):
                text = json.dumps([who, number, "x" * (50_000 if number % 5 == 0 else 10)])
                api.post_to_connection(ConnectionId=connection, Data=text.encode())

        posting = asyncio.gather(*(asyncio.to_thread(post, who) for who in range(6)))
        received = [json.loads(await socket.recv()) for _ in range(6 * 25)]
        await posting
    for who in range(6):
        assert [number for sender, number, _ in received if sender == who] == list(range(25))


async def test_a_client_that_reads_nothing_holds_nobody_up_for_ever(cloud: LocalCloud) -> None:
    """https://docs.aws.amazon.com/boto3/latest/reference/services/apigatewaymanagementapi/client/
    exceptions/LimitExceededException.html: "the WebSocket client side buffer is full"
    """
    api = management(cloud)
    async with opened(cloud, max_queue=1, compression=None, close_timeout=1) as socket:
        connection = await connection_id(socket)
        socket.transport.pause_reading()
        text = "x" * 128 * 1024
        code: tuple[int, str] | None = None
        for _ in range(400):
            try:
                await asyncio.to_thread(api.post_to_connection, ConnectionId=connection, Data=text.encode())
            except ClientError as error:
                code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
                break
        assert code == (429, "LimitExceededException")
        assert (await asyncio.to_thread(api.get_connection, ConnectionId=connection))["Identity"]


async def test_a_function_closes_its_own_connection(cloud: LocalCloud) -> None:
    async with opened(cloud) as socket:
        await socket.send(json.dumps({"count": 2, "close": True}))
        assert [await socket.recv(), await socket.recv()] == ["0", "1"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1000


async def test_an_asynchronous_invocation_answers_at_once_and_runs_later(cloud: LocalCloud) -> None:
    async with opened(cloud) as socket:
        begun = time.monotonic()
        assert await ask(socket, later={"sleep": 2, "count": 2, "size": 3}) == 202
        assert time.monotonic() - begun < 60
        assert [await socket.recv(), await socket.recv()] == ["000", "111"]


async def test_a_queued_event_waits_for_a_sandbox(cloud: LocalCloud) -> None:
    """More than there may be sandboxes: none is lost, as none is on AWS, where it is retried for hours."""
    limit = cloud.functions["LaterFunction"].limit
    async with opened(cloud) as socket:
        connection = await connection_id(socket)
        for _ in range(3):
            await socket.send(json.dumps({"later": {"sleep": 0.1, "count": 1}}))
        payload = json.dumps({"sleep": 0.05, "count": 1, "requestContext": {"connectionId": connection}}).encode()
        client = cloud.aws.client("lambda")
        for _ in range(limit + 5):
            given = {"FunctionName": "LaterFunction", "InvocationType": "Event", "Payload": payload}
            assert (await asyncio.to_thread(client.invoke, **given))["StatusCode"] == 202
        received = [await socket.recv() for _ in range(3 + 3 + limit + 5)]
        assert sorted(received) == ["0"] * (3 + limit + 5) + ["202"] * 3


async def test_a_worker_that_dies_is_reported_and_run_again_as_the_template_says(
    cloud: LocalCloud, folder: Path
) -> None:
    """`Retries` is 1; see the sources of the default, 2, in template.py."""
    later, talk = (cloud.functions[name].spec for name in ("LaterFunction", "TalkFunction"))
    assert (later.event_invoke.retries, talk.event_invoke.retries) == (1, 2)
    async with opened(cloud) as socket:
        connection = await connection_id(socket)
        assert await ask(socket, later={"die": True}) == 202
        told = json.loads(await socket.recv())
        failures = ["LaterFunction asynchronously  failed", "LaterFunction asynchronously, attempt 2  failed"]
        found = [line for line in (folder / "log").read_text().splitlines() if line.startswith(tuple(failures))]
        assert [line.partition("failed")[0] + "failed" for line in found] == failures
        assert all("Runtime exited with error: signal: killed" in line for line in found)
    # https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    assert ID.fullmatch(told["requestContext"].pop("requestId"))
    assert datetime.fromisoformat(told.pop("timestamp")) <= datetime.now(UTC)
    assert told == {
        "version": "1.0",
        "requestContext": {
            "functionArn": f"{later.arn}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 2,
        },
        "requestPayload": {"die": True, "requestContext": {"connectionId": connection}},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {
            "errorType": "Runtime.ExitError",
            "errorMessage": "Runtime exited with error: signal: killed",
        },
    }


async def test_a_function_that_leads_to_itself_is_stopped(cloud: LocalCloud) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html: after 16 times or so."""
    async with opened(cloud) as socket:
        await socket.send(json.dumps({"later": {"raise": "planted", "again": True}}))
        said = [json.loads(await socket.recv()) for _ in range(17)]
        said.remove(202)  # the first of them may be sooner than this answer
        depths: list[int] = []
        for told in said:
            depth = 0
            while "requestPayload" in told:
                told, depth = told["requestPayload"], depth + 1
            depths.append(depth)
        assert depths == list(range(1, 17))
        assert await connection_id(socket), "no further one came in between"


async def test_an_event_is_a_megabyte_at_most(cloud: LocalCloud) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html: "the maximum payload size is 1 MB"."""
    payload = b'"' + b"x" * (1024 * 1024 - 1) + b'"'
    given = {"FunctionName": "LaterFunction", "InvocationType": "Event", "Payload": payload}
    status, code = await refused(cloud.aws.client("lambda").invoke, **given)
    assert (status, code) == (413, "RequestTooLargeException")


async def test_nothing_is_left_when_the_cloud_ends_amid_queued_events(tmp_path: Path, sweep: Sweep) -> None:
    if not sweep.full:
        pytest.skip("a process of its own: in a plain run, test_local_websocket_dev.py looks what is left")
    code = """
import asyncio, json, sys, threading
from pathlib import Path
from openresponses_dev.local.cloud import LocalCloud
from tests.local.local_project import until
from tests.local.sockets import ask, opened, socket_project

async def main():
    async with LocalCloud(socket_project(Path(sys.argv[1])), concurrency=2) as cloud:
        async with opened(cloud) as socket:
            for _ in range(6):
                print(await ask(socket, later={"sleep": 60}))
            await until(lambda: len(cloud.functions["LaterFunction"].sandboxes) == 2)
            pids = [sandbox.pid for sandbox in cloud.sandboxes]
    print(*pids)
    print([task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()])
    print([thread.name for thread in threading.enumerate() if thread is not threading.main_thread()
           and not thread.name.startswith("asyncio_")])

asyncio.run(main())
"""
    *answers, pids, tasks, threads = await alone(code, tmp_path)
    assert (answers, tasks, threads) == (["202"] * 6, "[]", "[]")
    assert [pid for pid in pids.split() if psutil.pid_exists(int(pid))] == []
