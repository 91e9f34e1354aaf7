"""What a client gets from a function that streams, and what the function gets from the client."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2

from openresponses_dev.local.cloud import LocalCloud
from tests.local.local_project import START, steps, until, wire


async def test_a_chunk_arrives_before_the_next_is_made(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    gates = [tmp_path / f"gate{i}" for i in range(3)]
    paced = [step for i, gate in enumerate(gates) for step in ({"send": f"<{i}>"}, {"await": str(gate)})]
    seen: list[str] = []
    async with client.stream("POST", "/paced", content=steps(START, *paced)) as response:
        async for text in response.aiter_text():
            gates[len(seen)].touch()  # the function waits for this before it goes on
            seen.append(text)
    assert seen == ["<0>", "<1>", "<2>"]


async def test_chunks_keep_their_boundaries(cloud: LocalCloud) -> None:
    sent = ["a", "bb" * 50_000, "event: x\ndata: y\n\n", "ü"]
    async with wire(cloud.origin) as connection:
        await connection.post("/chunks", steps(START, *({"send": text} for text in sent)))
        status, headers = await connection.head()
        assert (status, headers["transfer-encoding"], headers["content-type"]) == (200, "chunked", "text/plain")
        assert [chunk.decode() for chunk in await connection.chunks()] == sent


async def test_a_function_does_not_notice_that_its_client_left(cloud: LocalCloud, tmp_path: Path) -> None:
    gate, done = tmp_path / "gate", tmp_path / "done"
    async with wire(cloud.origin) as connection:
        program = [START, {"send": "a"}, {"await": str(gate)}, {"send": "b"}, {"touch": str(done)}]
        await connection.post("/leave", steps(*program))
        await connection.head()
        assert await connection.chunk() == b"a"
    gate.touch()
    await until(done.exists)
    assert len(cloud.sandboxes) == 1


async def test_one_connection_serves_many_requests(cloud: LocalCloud) -> None:
    async with wire(cloud.origin) as connection:
        for text in ("first", "second"):
            await connection.post("/keep", steps(START, {"send": text}))
        assert [await connection.whole(), await connection.whole()] == [(200, b"first"), (200, b"second")]


async def test_the_event_is_a_rest_proxy_event(client: httpx2.AsyncClient, cloud: LocalCloud) -> None:
    headers = [("x-twice", "1"), ("x-twice", "2"), ("user-agent", "test"), ("accept", "*/*"), ("connection", "close")]
    response = await client.post("/a%20b/c?q=1&q=%C3%BC&empty=", content="grüß", headers=headers)
    event = response.json()["event"]
    context = event.pop("requestContext")
    multiple = event.pop("multiValueHeaders")
    assert multiple.pop("X-Twice") == ["1", "2"]
    assert {name: values[-1] for name, values in multiple.items()} | {"X-Twice": "2"} == event["headers"]
    trace = event["headers"].pop("X-Amzn-Trace-Id")
    assert response.headers["x-amzn-trace-id"] == trace
    host = cloud.origin.removeprefix("http://")
    assert event == {
        "resource": "/{proxy+}",
        "path": "/a%20b/c",
        "httpMethod": "POST",
        "headers": {
            "Host": host,
            "Accept": "*/*",
            "Accept-Encoding": event["headers"]["Accept-Encoding"],
            "Content-Length": "6",
            "User-Agent": "test",
            "X-Forwarded-For": "127.0.0.1",
            "X-Forwarded-Proto": "http",
            "X-Twice": "2",
        },
        "queryStringParameters": {"q": "ü", "empty": ""},
        "multiValueQueryStringParameters": {"q": ["1", "ü"], "empty": [""]},
        "pathParameters": {"proxy": "a b/c"},
        "stageVariables": None,
        "body": "grüß",
        "isBase64Encoded": False,
    }
    assert context["requestId"] == response.headers["x-amzn-requestid"]
    expected = {"stage": "test", "path": "/test/a%20b/c", "resourcePath": "/{proxy+}", "httpMethod": "POST"}
    assert context | expected == context
    assert context["identity"] == {"sourceIp": "127.0.0.1", "userAgent": "test"}


async def test_headers_are_remapped_and_cookies_kept_apart(client: httpx2.AsyncClient) -> None:
    headers = [["www-authenticate", "Bearer"], ["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-mine", "yes"]]
    response = await client.post("/headers", content=steps({"start": {"status": 401, "headers": headers}}))
    assert response.status_code == 401
    assert response.headers["x-amzn-remapped-www-authenticate"] == "Bearer"
    assert "www-authenticate" not in response.headers
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers["x-mine"] == "yes"
    assert response.headers["content-type"] == "application/json"


async def test_every_method_reaches_a_proxy_route(client: httpx2.AsyncClient) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert (await client.request(method, "/any")).json()["event"]["httpMethod"] == method
    head = await client.head("/any")
    assert (head.status_code, head.content) == (200, b"")


async def test_a_status_without_a_body_has_none(client: httpx2.AsyncClient) -> None:
    response = await client.post("/none", content=steps({"start": {"status": 204}}))
    assert (response.status_code, response.content) == (204, b"")


async def test_a_client_may_wait_for_the_word_to_continue(cloud: LocalCloud) -> None:
    body = steps(START, {"send": "went on"})
    async with wire(cloud.origin) as connection:
        await connection.begin(f"POST /expect HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {len(body)}")
        assert (await connection.head())[0] == 100
        await connection.send(body)
        assert await connection.whole() == (200, b"went on")


async def test_a_request_body_may_come_in_chunks(cloud: LocalCloud) -> None:
    body = steps(START, {"send": "whole"})
    async with wire(cloud.origin) as connection:
        await connection.begin("POST /chunked HTTP/1.1\r\nTransfer-Encoding: chunked")
        for part in (body[:10], body[10:], b""):
            await connection.send(b"%x\r\n%b\r\n" % (len(part), part))
            await asyncio.sleep(0)
        assert await connection.whole() == (200, b"whole")


async def test_what_is_not_http_is_a_bad_request(cloud: LocalCloud) -> None:
    async with wire(cloud.origin) as connection:
        await connection.send(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert (await connection.head())[0] == 400
    assert cloud.sandboxes == []


async def test_a_buffered_function_answers_with_proxy_json(client: httpx2.AsyncClient) -> None:
    first, second = [await client.get(f"/items/{name}") for name in ("one", "two%2Fthree")]
    assert (first.status_code, first.headers["x-kind"], first.json()["id"]) == (201, "buffered", "one")
    assert second.json()["id"] == "two/three"
    assert second.json()["pid"] == first.json()["pid"]


async def test_a_function_is_invoked_past_the_gateway(cloud: LocalCloud) -> None:
    call = cloud.invoke("Buffered", {"body": json.dumps({"answer": {"any": "ü"}}), "pathParameters": {"id": "1"}})
    assert [json.loads(chunk) async for chunk in call.chunks()] == [{"any": "ü"}]
    assert (call.error, call.streaming) == (None, False)
    assert call.init_ms is not None
