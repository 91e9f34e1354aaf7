"""What a web page may do with the local gateway: nothing, unless its origin is allowed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.sandbox.runtime_api import RuntimeApi
from tests.local.local_project import PATIENCE

ALLOWED = {"OPENRESPONSES_ALLOWED_ORIGINS": "https://app.example,https://other.example:8443"}
REFUSED = {"type": "invalid_request", "code": "request_refused"}
PATHS = ["/echo", "/no/such/route%", "/private/a", "/_local", "/_local.json"]
OWN = PATHS[-2:]


@pytest.fixture
async def allowing(template: Path) -> AsyncGenerator[httpx2.AsyncClient, None]:
    async with (
        LocalCloud(template, env=ALLOWED) as cloud,
        httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client,
    ):
        yield client


def error(answer: httpx2.Response, param: str) -> bool:
    """Whether it is refused, in the body that every error has, and in a way that no page can read."""
    told = answer.json()["error"]
    readable = any(name.startswith("access-control-") for name in answer.headers)
    return (answer.status_code, told | REFUSED | {"param": param}, readable) == (403, told, False)


HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "localhost.evil.example:{port}",
    "[::2]:{port}",
]
HOSTS += [
    "127.0.0.1.nip.io:{port}",
    "bucket.localhost:{port}",
    "{port}",
    ":{port}",
    "127.0.0.1:{port}:{port}",
    "0.0.0.0:{port}",
]


async def test_a_server_of_another_name_is_refused_on_every_route(client: httpx2.AsyncClient) -> None:
    """A page whose name was made to lead here is the browser's own origin: its requests have no foreign `Origin`."""
    port = client.base_url.port
    for host in HOSTS:
        told = {"host": host.format(port=port)}
        rebound = {**told, "origin": f"http://{told['host']}"}
        for path in PATHS:
            for headers in (told, rebound):
                assert error(await client.get(path, headers=headers), "host"), (path, headers)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost"])
async def test_its_own_names_are_answered(client: httpx2.AsyncClient, name: str) -> None:
    host = f"{name}:{client.base_url.port}"
    for path in ("/echo", *OWN):
        assert (await client.get(path, headers={"host": host})).status_code == 200


FOREIGN = [
    "https://evil.example",
    "null",
    "http://127.0.0.1:1",
    "http://localhost",
    "https://127.0.0.1:{port}",
    "file://",
    "",
]


async def test_a_page_of_another_origin_is_refused_before_any_function(
    client: httpx2.AsyncClient, cloud: LocalCloud
) -> None:
    for origin in FOREIGN:
        headers = {"origin": origin.format(port=client.base_url.port)}
        preflight = {**headers, "access-control-request-method": "POST"}
        for path in PATHS:
            assert error(await client.post(path, content=b"{}", headers=headers), "origin"), (path, headers)
            assert error(await client.options(path, headers=preflight), "origin"), (path, headers)
    assert cloud.sandboxes == []


async def test_allowed_origins_may_call_the_api_and_see_nothing_of_the_local_cloud(
    allowing: httpx2.AsyncClient,
) -> None:
    for origin in ("https://app.example", "https://other.example:8443"):
        assert (await allowing.get("/echo", headers={"origin": origin})).status_code == 200
        for path in OWN:
            assert error(await allowing.get(path, headers={"origin": origin}), "origin")
    for origin in ("https://app.example:1", "http://app.example", "https://app.example.evil.example", "null"):
        assert error(await allowing.get("/echo", headers={"origin": origin}), "origin")
    both = [("origin", "https://app.example"), ("origin", "https://evil.example")]
    assert error(await allowing.get("/echo", headers=both), "origin")


async def test_every_page_may_call_the_api_where_all_are_allowed(template: Path) -> None:
    every = {"OPENRESPONSES_ALLOWED_ORIGINS": "*"}
    async with LocalCloud(template, env=every) as cloud, httpx2.AsyncClient(base_url=cloud.origin) as client:
        foreign = {"origin": "https://evil.example"}
        assert (await client.get("/echo", headers=foreign)).status_code == 200
        for path in OWN:
            assert error(await client.get(path, headers=foreign), "origin")


async def test_its_own_page_is_seen_by_its_user_alone(client: httpx2.AsyncClient) -> None:
    own = str(client.base_url).rstrip("/")
    for path in OWN:
        for site, status in {"none": 200, "same-origin": 200, "same-site": 403, "cross-site": 403}.items():
            answer = await client.get(path, headers={"sec-fetch-site": site})
            assert (answer.status_code, path) == (status, path)
        answer = await client.get(path, headers={"origin": own})
        assert (answer.status_code, answer.headers["cross-origin-resource-policy"]) == (200, "same-origin")
    assert (await client.get("/echo", headers={"origin": own})).status_code == 200


async def test_no_function_runs_for_what_another_page_embeds(client: httpx2.AsyncClient, cloud: LocalCloud) -> None:
    for site in ("cross-site", "same-site"):
        for kind in ("image", "script", "iframe", "empty"):
            headers = {"sec-fetch-site": site, "sec-fetch-dest": kind}
            assert error(await client.get("/echo", headers=headers), "origin"), headers
    assert cloud.sandboxes == []
    link = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document", "sec-fetch-mode": "navigate"}
    assert (await client.get("/echo", headers=link)).status_code == 200
    for path in OWN:
        assert error(await client.get(path, headers=link), "origin")


async def test_the_document_tells_no_secret(template: Path) -> None:
    async with LocalCloud(template) as cloud, httpx2.AsyncClient(base_url=cloud.origin) as client:
        told = await client.get("/_local.json")
    secrets = (cloud.api_key, *cloud.aws.environment().values())
    assert [secret for secret in secrets if secret in told.text] == []


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"host": "evil.example"}, {"host": "evil.example:{port}"}],
)
async def test_no_page_takes_a_sandboxs_events(headers: dict[str, str]) -> None:
    """Nor ends its start with a form."""
    api = RuntimeApi()
    address = await api.start()
    await api.invoke(b'{"secret": 1}', deadline_ms=0, arn="arn")
    headers = {name: value.format(port=urlsplit(f"http://{address}").port) for name, value in headers.items()}
    async with httpx2.AsyncClient(base_url=f"http://{address}/2018-06-01/runtime", trust_env=False) as http:
        answers = [
            await http.get("/invocation/next", headers=headers),
            await http.post("/init/error", content=b"{}", headers=headers),
        ]
        assert [answer.status_code for answer in answers] == [403, 403]
        assert not api.init_error.done()
        assert (await http.get("/invocation/next")).text == '{"secret": 1}'
    await api.close()
