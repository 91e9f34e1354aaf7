"""A Lambda authorizer in front of a function: asked, believed and remembered as API Gateway would."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.gatekeeper import Denied, Gatekeeper
from openresponses_dev.local.gateway.rest_event import Request
from tests.local.local_project import PATIENCE, ROOT

ARN = "arn:aws:execute-api:us-east-1:123456789012:Api/test"


async def ask(client: httpx2.AsyncClient, key: str | None, path: str = "/private/a", method: str = "GET") -> Any:
    return await client.request(method, path, headers={} if key is None else {"x-key": key})


async def test_what_it_says_of_the_caller_reaches_the_function(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, "Bearer allow", "/private/a?b=c")
    told = answer.json()["event"]["requestContext"]["authorizer"]
    assert told.pop("integrationLatency") > 0
    assert told == {
        "principalId": "who",
        "tenant": "acme",
        "asked": "1",
        "kind": "TOKEN",
        "yes": "true",
        "arn": f"{ARN}/GET/private/a",
    }


async def test_it_is_believed_for_every_method_until_it_is_forgotten(client: httpx2.AsyncClient) -> None:
    await ask(client, "Bearer allow")
    answer = await ask(client, "Bearer allow", "/private/b/c", "POST")
    told = answer.json()["event"]["requestContext"]["authorizer"]
    assert (told["integrationLatency"], told["asked"], told["arn"]) == (0, "1", f"{ARN}/GET/private/a")
    assert (await ask(client, "Bearer allow-2")).json()["event"]["requestContext"]["authorizer"]["asked"] == "2"


async def test_a_remembered_policy_is_applied_to_what_is_asked_next(client: httpx2.AsyncClient) -> None:
    statuses = [
        (await ask(client, "Bearer once")).status_code,
        (await ask(client, "Bearer once", "/private/b")).status_code,
        (await ask(client, "Bearer once", "/private/b", "PATCH")).status_code,
        (await ask(client, "Bearer once")).status_code,
    ]
    assert statuses == [200, 403, 200, 200]


async def test_a_context_is_optional_and_so_is_a_list_of_statements(client: httpx2.AsyncClient) -> None:
    told = (await ask(client, "Bearer silent")).json()["event"]["requestContext"]["authorizer"]
    assert set(told) == {"principalId", "integrationLatency"}


@pytest.mark.parametrize(
    ("key", "status", "message"),
    [
        (None, 401, "Unauthorized"),
        ("", 401, "Unauthorized"),
        ("Basic allow", 401, "Unauthorized"),
        ("Bearer allow and more", 401, "Unauthorized"),
        ("Bearer unauthorized", 401, "Unauthorized"),
        ("Bearer deny", 403, "User is not authorized to access this resource"),
        ("Bearer nothing", 403, "User is not authorized to access this resource"),
        ("Bearer crash", 500, None),
        ("Bearer nested", 500, None),
        ("Bearer odd", 500, None),
    ],
)
async def test_anything_else_keeps_the_function_from_being_run(
    client: httpx2.AsyncClient, cloud: LocalCloud, key: str | None, status: int, message: str | None
) -> None:
    answer = await ask(client, key)
    assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert cloud.functions["Streaming"].sandboxes == []


async def test_what_does_not_match_the_expression_runs_no_function(
    client: httpx2.AsyncClient, cloud: LocalCloud
) -> None:
    for key in (None, "Basic allow", "Bearer ALLOW"):
        await ask(client, key)
    assert cloud.sandboxes == []


async def test_a_failure_is_not_remembered(client: httpx2.AsyncClient, log_file: Path) -> None:
    for _ in range(2):
        assert (await ask(client, "Bearer crash")).status_code == 500
    assert (await ask(client, "Bearer allow")).json()["event"]["requestContext"]["authorizer"]["asked"] == "3"
    assert "Gate: ValueError: planted" in log_file.read_text()


async def test_a_route_without_an_authorizer_asks_nobody(client: httpx2.AsyncClient, cloud: LocalCloud) -> None:
    answer = await client.get("/echo")
    assert "authorizer" not in answer.json()["event"]["requestContext"]
    assert cloud.functions["Gate"].sandboxes == []


async def test_requests_at_once_ask_once(client: httpx2.AsyncClient, cloud: LocalCloud) -> None:
    answers = await asyncio.gather(*(ask(client, "Bearer allow") for _ in range(4)))
    assert {each.json()["event"]["requestContext"]["authorizer"]["asked"] for each in answers} == {"1"}
    assert len(cloud.functions["Gate"].sandboxes) == 1


async def test_nothing_is_remembered_for_no_time(template: Path) -> None:
    async with (
        LocalCloud(template, parameters={"Remember": "0"}) as cloud,
        httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client,
    ):
        for asked in ("1", "2"):
            told = (await ask(client, "Bearer allow")).json()["event"]["requestContext"]["authorizer"]
            assert told["asked"] == asked


async def test_it_is_asked_again_when_its_time_is_over(cloud: LocalCloud) -> None:
    clock = [0.0]
    gatekeeper = Gatekeeper(cloud.functions, now=lambda: clock[0])
    (route,) = (each for each in cloud.template.routes if each.authorizer)

    async def asked(time: float) -> object:
        clock[0] = time
        request = Request("GET", "/private/a", "", [("x-key", "Bearer allow")], "127.0.0.1")
        told = await gatekeeper.admit(request, route, "test")
        return told and told["asked"]

    assert [await asked(time) for time in (0.0, 299.9, 300.0, 599.9)] == ["1", "1", "2", "2"]


async def test_a_token_is_told_to_nobody_in_an_error(cloud: LocalCloud) -> None:
    (route,) = (each for each in cloud.template.routes if each.authorizer)
    for key in ("planted", "Bearer unauthorized-planted", "Bearer deny-planted", "Bearer odd-planted"):
        with pytest.raises(Denied) as denied:
            await Gatekeeper(cloud.functions).admit(
                Request("GET", "/private/a", "", [("x-key", key)], "127.0.0.1"), route, "test"
            )
        assert "planted" not in str(denied.value)


async def test_where_keys_can_not_be_looked_up_nobody_gets_in_and_may_try_again() -> None:
    """The project's own template and function, whose table isn't there."""
    async with (
        LocalCloud(ROOT / "template.yaml", env={"OPENRESPONSES_TABLE": "nowhere"}) as cloud,
        httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client,
    ):
        for _ in range(2):
            answer = await client.get("/v1/models", headers={"authorization": f"Bearer {cloud.api_key}"})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["error"]["code"] == "authorizer_unavailable"
        assert cloud.functions["ApiFunction"].sandboxes == []
        assert (await client.get("/health")).status_code == 200
