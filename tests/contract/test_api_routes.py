"""The table of routes: each of its operations is served, is closed to who has no key, and stands in the document."""

import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from openresponses.api.app import DOCUMENTATION
from openresponses.api.routes import OPERATIONS, Keyed, Operation
from openresponses.entry.api import build
from tests.contract.authorized import authorized

EACH = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")


def client_of(app: object) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api")  # pyright: ignore


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(authorized(build({}))) as client:
        yield client


def path_of(operation: Operation) -> str:
    filled = {"response_id": "resp_1", "model:path": "offline/demo", "conversation_id": "conv_1", "item_id": "msg_1"}
    filled |= {"webhook_endpoint_id": "we_1"}
    return re.sub(r"\{([^}]*)\}", lambda name: filled[name[1]], operation.path)


@EACH
async def test_an_operation_answers_who_has_a_key(client: httpx2.AsyncClient, operation: Operation) -> None:
    answer = await client.request(operation.method, path_of(operation), content=b"{}")
    refused = () if answer.is_success else (answer.json()["error"]["code"],)
    missing = ("response_not_found", "conversation_not_found", "requires_storage")  # this server stores nothing
    assert refused in ((), ("missing_required_parameter",), *((each,) for each in missing)), answer.text


@EACH
async def test_an_operation_that_wants_a_key_is_a_401_without_one(operation: Operation) -> None:
    async with client_of(build({})) as stranger:
        answer = await stranger.request(operation.method, path_of(operation), content=b"{}")
    assert (answer.status_code == 401) is isinstance(operation.endpoint, Keyed)
    assert operation.path == "/health" or isinstance(operation.endpoint, Keyed)


@EACH
async def test_an_operation_stands_in_the_document(client: httpx2.AsyncClient, operation: Operation) -> None:
    document = (await client.get("/openapi.json")).json()
    told = document["paths"][operation.path.replace(":path", "")][operation.method.lower()]
    assert told["summary"] == operation.summary
    assert told.get("security", document["security"]) == (
        [{"bearer": []}] if isinstance(operation.endpoint, Keyed) else []
    )
    kinds = {media: each["schema"] for media, each in told["responses"]["200"]["content"].items()}
    response, timed, event = (
        {"$ref": f"#/components/schemas/{name}"} for name in ("Response", "TimedResponse", "Event")
    )
    assert (
        kinds
        == {
            "a response": {"application/json": response},
            "a response or its events": {"application/json": response, "text/event-stream": event},
            "a stored response or its events": {"application/json": timed, "text/event-stream": event},
            "a compaction": {"application/json": {"$ref": "#/components/schemas/CompactedResponse"}},
            "other JSON": {"application/json": {}},
        }[operation.shows]
    )
    if operation.body:
        assert told["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(operation.body.__name__)


async def test_the_document_has_no_other_operations(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert told == {(each.method, each.path.replace(":path", "")) for each in OPERATIONS}


async def test_what_the_document_refers_to_is_in_it(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/openapi.json")
    names = set(answer.json()["components"]["schemas"])
    referred = {part.partition('"')[0] for part in answer.text.split("#/components/schemas/")[1:]}
    assert referred <= names


async def test_the_page_loads_nothing_from_elsewhere(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
    sources = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert sources == ["docs/swagger-ui.css", "data:,", "docs/swagger-ui-bundle.js"]
    style, script = [await client.get(f"/{path}") for path in (sources[0], sources[2])]
    assert (style.headers["content-type"], script.headers["content-type"]) == (
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
    )
    assert ".swagger-ui" in style.text
    assert "SwaggerUIBundle" in script.text


@pytest.mark.parametrize("path", [*DOCUMENTATION, "/docs/redoc.standalone.js", "/docs/..%2f__init__.py"])
async def test_documentation_that_is_not_public_is_not_there(path: str) -> None:
    async with client_of(build({"OPENRESPONSES_PUBLIC_DOCS": "false"})) as stranger:
        answer = await stranger.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/docs/redoc.standalone.js", "/docs/..%2f__init__.py", "/docs/x/swagger-ui.css"])
async def test_the_documentation_has_no_other_files(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
