"""What a client gets when something goes wrong: what AWS would give."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from openresponses_dev.local.sandbox.calls import EventTooLarge, Throttled
from tests.local.local_project import PATIENCE, START, steps, until, wire

INTERNAL = {"message": "Internal server error"}


async def pid(client: httpx2.AsyncClient) -> int:
    return (await client.get("/echo")).json()["pid"]


async def test_a_route_that_is_not_there_gets_the_template_s_answer(client: httpx2.AsyncClient) -> None:
    response = await client.post("/")
    assert response.status_code == 404
    assert response.json() == {"error": "Missing Authentication Token", "type": "MISSING_AUTHENTICATION_TOKEN"}
    assert response.headers["x-request-id"] == response.headers["x-amzn-requestid"]
    assert response.headers["x-why"] == "no route"


async def test_a_method_that_a_path_lacks_falls_through_to_no_other(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/only/get")).status_code == 404
    assert (await client.get("/only/get/")).json()["event"]["resource"] == "/only/get"


async def test_without_a_template_s_word_an_unknown_route_is_forbidden(template: Path) -> None:
    text = template.read_text()
    start, end = text.index("      GatewayResponses:"), text.index("  Streaming:")
    template.write_text(text[:start] + text[end:])
    async with LocalCloud(template) as cloud, httpx2.AsyncClient(base_url=cloud.origin, trust_env=False) as client:
        response = await client.post("/")
    assert (response.status_code, response.json()) == (403, {"message": "Missing Authentication Token"})


async def test_a_sandbox_killed_mid_stream_cuts_the_connection(client: httpx2.AsyncClient, log_file: Path) -> None:
    before = await pid(client)
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.post("/die", content=steps(START, {"send": "a"}, {"kill": True}))
    assert await pid(client) != before
    assert "200 aborted" in log_file.read_text()
    assert "Runtime exited with error: signal: killed" in log_file.read_text()


@pytest.mark.parametrize("end", [{"kill": True}, {"exit": 3}, {"exit": 0}])
async def test_a_sandbox_gone_before_the_prelude_is_a_bad_gateway(
    client: httpx2.AsyncClient, end: dict[str, Any]
) -> None:
    before = await pid(client)
    response = await client.post("/die", content=steps(end))
    assert (response.status_code, response.json()) == (502, INTERNAL)
    assert await pid(client) != before


async def test_an_idle_sandbox_that_dies_is_replaced(cloud: LocalCloud, client: httpx2.AsyncClient) -> None:
    before = await pid(client)
    await cloud.sandboxes[0].stop()
    assert cloud.sandboxes == []
    assert await pid(client) != before


async def test_a_function_that_times_out_is_a_bad_gateway(client: httpx2.AsyncClient, log_file: Path) -> None:
    response = await client.post("/hasty", content=steps({"block": 3600}))
    assert (response.status_code, response.json()) == (502, INTERNAL)
    assert "Task timed out after 1.00 seconds" in log_file.read_text()


async def test_a_function_that_times_out_mid_stream_is_cut(cloud: LocalCloud) -> None:
    async with wire(cloud.origin) as connection:
        await connection.post("/hasty", steps(START, {"send": "a"}, {"block": 3600}))
        assert (await connection.head())[0] == 200
        assert await connection.chunk() == b"a"
        with pytest.raises(asyncio.IncompleteReadError):
            await connection.chunk()
    await until(lambda: cloud.sandboxes == [])


async def test_a_gateway_that_gives_up_lets_the_function_run_on(
    client: httpx2.AsyncClient, cloud: LocalCloud, tmp_path: Path
) -> None:
    gate, done = tmp_path / "gate", tmp_path / "done"
    response = await client.post("/impatient", content=steps({"await": str(gate)}, {"touch": str(done)}, START))
    assert (response.status_code, response.json()) == (504, {"message": "Endpoint request timed out"})
    assert not done.exists()
    gate.touch()
    await until(done.exists)
    assert len(cloud.sandboxes) == 1


async def test_a_stream_that_is_silent_for_too_long_is_cut(template: Path, tmp_path: Path) -> None:
    async with LocalCloud(template, idle_timeout_s=0.5) as cloud, wire(cloud.origin) as connection:
        await connection.post("/warm", steps(START))
        await connection.whole()
        await connection.post("/silent", steps(START, {"send": "a"}, {"await": str(tmp_path / "gate")}))
        assert (await connection.head())[0] == 200
        assert await connection.chunk() == b"a"
        with pytest.raises(asyncio.IncompleteReadError):
            await connection.chunk()


async def test_a_function_that_does_not_load_is_a_bad_gateway(client: httpx2.AsyncClient, log_file: Path) -> None:
    response = await client.get("/broken")
    assert (response.status_code, response.json()) == (502, INTERNAL)
    assert "Runtime.ImportModuleError: No module named 'no_such_module'" in log_file.read_text()


@pytest.mark.parametrize(
    "chunks",
    [
        ['{"statusCode":200}'],
        ["x" * 20_000, "\0" * 8],
        ["not json" + "\0" * 8],
        ["[]" + "\0" * 8],
        ['{"statusCode":200,"body":""}' + "\0" * 8],
        ['{"statusCode":"many"}' + "\0" * 8],
        ['{"headers":{"a b":"c"}}' + "\0" * 8],
        ['{"headers":{"a":"b\\nc"}}' + "\0" * 8],
    ],
)
async def test_a_malformed_prelude_is_a_server_error(client: httpx2.AsyncClient, chunks: list[str]) -> None:
    response = await client.post("/raw", json={"chunks": chunks})
    assert (response.status_code, response.json()) == (500, INTERNAL)


async def test_a_prelude_may_come_in_pieces_and_with_body(client: httpx2.AsyncClient) -> None:
    chunks = ['{"statusCode":2', '02,"multiValueHeaders":{"X-M":["1","2"]}}' + "\0" * 5, "\0\0\0and ", "so on\0"]
    response = await client.post("/raw", json={"chunks": chunks})
    assert (response.status_code, response.text) == (202, "and so on\0")
    assert response.headers.get_list("x-m") == ["1", "2"]


async def test_an_error_in_the_trailers_cuts_the_connection(client: httpx2.AsyncClient, log_file: Path) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.post("/raw", json={"chunks": ["{}" + "\0" * 8 + "a"], "error": "Function.Bug"})
    assert "Function.Bug: late" in log_file.read_text()
    response = await client.post("/raw", json={"chunks": ["{}" + "\0" * 8 + "b"]})
    assert response.text == "b"


async def test_a_buffered_function_that_raises_is_a_bad_gateway(client: httpx2.AsyncClient, log_file: Path) -> None:
    response = await client.post("/items/1", json={"raise": "no luck"})
    assert (response.status_code, response.json()) == (502, INTERNAL)
    assert "ValueError: no luck" in log_file.read_text()


@pytest.mark.parametrize("answer", [None, "text", {"status": 200}, {"body": {"not": "text"}}, {"statusCode": 99}])
async def test_a_malformed_buffered_answer_is_a_bad_gateway(client: httpx2.AsyncClient, answer: object) -> None:
    response = await client.post("/items/1", json={"answer": answer})
    assert (response.status_code, response.json()) == (502, INTERNAL)


async def test_a_buffered_route_loses_the_body_of_a_stream(client: httpx2.AsyncClient, log_file: Path) -> None:
    response = await client.post("/mismatched", content=steps({"start": {"status": 201}}, {"send": "lost"}))
    assert (response.status_code, response.content) == (201, b"")
    assert "the route does not" in log_file.read_text()


async def test_an_event_above_6_mb_does_not_reach_the_function(client: httpx2.AsyncClient, cloud: LocalCloud) -> None:
    quotes = b'"' * (3 * 2**20)  # each takes two bytes in the event
    response = await client.post("/large", content=quotes)
    assert (response.status_code, response.json()) == (413, {"message": "Request Too Long"})
    assert cloud.sandboxes == []
    with pytest.raises(EventTooLarge, match="byte payload is too large"):
        cloud.invoke("Buffered", "x" * (6 * 2**20))


async def test_an_event_just_below_6_mb_does(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/large", content=b"x" * (6 * 2**20 - 4096))).status_code == 200


async def test_a_body_above_10_mb_stops_at_the_gateway(client: httpx2.AsyncClient, cloud: LocalCloud) -> None:
    assert (await client.post("/huge", content=b"x" * (10 * 2**20 + 1))).status_code == 413
    async with wire(cloud.origin) as connection:
        await connection.begin("POST /huge HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999")
        assert (await connection.head())[0] == 413
    assert cloud.sandboxes == []


async def test_each_concurrent_request_has_a_sandbox_of_its_own(
    client: httpx2.AsyncClient, cloud: LocalCloud, tmp_path: Path
) -> None:
    here = [tmp_path / f"here{i}" for i in range(3)]
    meeting = [{"await": str(path)} for path in here]  # nobody leaves before all have come
    programs = [steps(START, {"touch": str(path)}, *meeting, {"send": "met"}) for path in here]
    answers = await asyncio.gather(*(client.post("/meet", content=program) for program in programs))
    assert [answer.text for answer in answers] == ["met"] * 3
    assert len({sandbox.pid for sandbox in cloud.sandboxes}) == 3
    assert await pid(client) in {sandbox.pid for sandbox in cloud.sandboxes}


OVERLOADED = {"error": {"message": "The server is busy", "type": "server_error", "param": None, "code": "overloaded"}}
MAPPED = f"""      GatewayResponses:
        INTEGRATION_FAILURE:
          StatusCode: 503
          ResponseParameters:
            Headers: {{retry-after: "'1'", x-request-id: context.requestId}}
          ResponseTemplates:
            application/json: '{json.dumps(OVERLOADED)}'
"""
UNMAPPED = (500, INTERNAL, None)


@pytest.mark.parametrize(("responses", "expected"), [(MAPPED, (503, OVERLOADED, "1")), ("", UNMAPPED)])
async def test_a_function_at_its_limit_is_refused_as_the_template_says(
    template: Path, tmp_path: Path, responses: str, expected: tuple[int, Any, str | None]
) -> None:
    text = template.read_text()
    template.write_text(text.replace("      GatewayResponses:\n", responses) if responses else text)
    gate, here = tmp_path / "gate", tmp_path / "here"
    program = {"touch": str(here), "await": str(gate)}
    async with (
        LocalCloud(template, queue_s=0.05) as cloud,
        httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client,
    ):
        first = asyncio.create_task(client.post("/items/1", json=program))
        await until(here.exists)
        with pytest.raises(Throttled) as refused:
            cloud.invoke("Buffered", {})
        assert refused.value.status == 429
        response = await client.get("/items/2")
        assert (response.status_code, response.json(), response.headers.get("retry-after")) == expected
        gate.touch()
        assert (await first).status_code == 201
        assert (await client.get("/items/3")).status_code == 201


async def test_a_request_waits_for_a_sandbox_for_a_moment(template: Path, tmp_path: Path) -> None:
    gate, here = tmp_path / "gate", tmp_path / "here"
    async with (
        LocalCloud(template, queue_s=PATIENCE) as cloud,
        httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client,
    ):
        first = asyncio.create_task(client.post("/items/1", json={"touch": str(here), "await": str(gate)}))
        await until(here.exists)
        queued = [asyncio.create_task(client.get(f"/items/{number}")) for number in range(3)]
        done, _ = await asyncio.wait(queued, timeout=0.2)
        assert not done
        gate.touch()
        assert [answer.status_code for answer in await asyncio.gather(first, *queued)] == [201] * 4
        assert len(cloud.sandboxes) == 1


async def test_an_exception_in_the_app_is_logged_and_the_sandbox_lives(
    client: httpx2.AsyncClient, cloud: LocalCloud, log_file: Path
) -> None:
    before = await pid(client)
    response = await client.post("/raise", content=steps({"raise": "oh dear"}))
    assert response.status_code in (500, 502)
    assert await pid(client) == before
    assert "oh dear" in log_file.read_text()


async def test_functions_output_is_logged_line_by_line(template: Path, tmp_path: Path) -> None:
    record = {"level": "INFO", "message": "made", "timestamp": "now", "service": "s", "n": 3}
    program = steps(START, {"print": "plain"}, {"print": json.dumps(record)}, {"print": json.dumps({"_aws": {}})})
    with (tmp_path / "shown").open("w") as stream:
        log = Log(stream, file=tmp_path / "all")
        async with LocalCloud(template, log=log) as cloud, httpx2.AsyncClient(trust_env=False, timeout=30) as client:
            await client.post(f"{cloud.origin}/print", content=program)
            await until(lambda: "_aws" in (tmp_path / "all").read_text())
        log.close()
    shown = [line[9:] for line in (tmp_path / "shown").read_text().splitlines() if " | " in line]
    assert shown == ["Streaming | loading 1", "Streaming | plain", "Streaming | INFO made n=3"]
    assert f"Streaming | {json.dumps(record)}" in (tmp_path / "all").read_text().splitlines()
