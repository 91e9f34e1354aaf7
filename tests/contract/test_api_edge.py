"""What stands before every route: encodings, paths, HEAD, OPTIONS, and pages of other origins."""

import gzip
from collections.abc import AsyncIterator

import httpx2
import pytest

from openresponses.api.edge import EXPOSED
from openresponses.entry.api import build
from tests.contract.authorized import authorized

BODY = b'{"model": "offline/demo", "input": "hi"}'
PAGE, OTHER = "https://app.example", "https://tool.example"


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with opened({}) as client:
        yield client


def opened(environment: dict[str, str]) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(authorized(build(environment)))
    return httpx2.AsyncClient(transport=transport, base_url="http://api")


def as_text(body: bytes) -> bytes:
    """What API Gateway makes of a body: it has no binary media types, so every payload is UTF-8 text.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-payload-encodings.html
    """
    return body.decode("utf-8", "replace").encode()


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "GZIP", "gzip, identity"])
async def test_a_content_encoding_is_a_415_that_names_it(client: httpx2.AsyncClient, coding: str) -> None:
    body = as_text(gzip.compress(BODY))
    headers = {"content-type": "application/json", "content-encoding": coding}
    answer = await client.post("/v1/responses", content=body, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (415, "unsupported_media_type", "content-encoding")
    assert repr(coding) in error["message"]


async def test_the_content_encoding_identity_is_none(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/responses", content=BODY, headers={"content-encoding": "identity"})
    assert answer.status_code == 200


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8", "us-ascii"])
async def test_utf_8_may_be_named(client: httpx2.AsyncClient, charset: str) -> None:
    headers = {"content-type": f"application/json; charset={charset}"}
    assert (await client.post("/v1/responses", content=BODY, headers=headers)).status_code == 200


@pytest.mark.parametrize("charset", ["latin-1", "iso-8859-1", "utf-16", "windows-1252"])
async def test_another_charset_is_a_415_that_names_it(client: httpx2.AsyncClient, charset: str) -> None:
    headers = {"content-type": f"application/json; charset={charset}"}
    answer = await client.post("/v1/responses", content=BODY, headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (415, "content-type")
    assert repr(charset) in answer.json()["error"]["message"]


async def test_a_byte_order_mark_of_utf_8_is_no_part_of_the_body(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/responses", content=b"\xef\xbb\xbf" + BODY)
    assert answer.status_code == 200


@pytest.mark.parametrize("mangled", [True, False])
@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
async def test_a_body_in_another_unicode_encoding_is_refused_by_its_name(
    client: httpx2.AsyncClient, codec: str, mangled: bool
) -> None:
    body = BODY.decode().encode(codec)
    answer = await client.post("/v1/responses", content=as_text(body) if mangled else body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_json")
    assert error["message"] == f"The body must be UTF-8, not {codec[:6].upper()}"


@pytest.mark.parametrize("path", ["/v1/models/", "//v1/models", "/v1//models//", "/v1/models"])
async def test_slashes_too_many_are_none(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(f"http://api{path}")
    assert (answer.status_code, answer.json()["data"][0]["id"]) == (200, "offline/demo")
    assert (await client.post("/v1/responses/", content=BODY)).status_code == 200


async def test_nothing_is_ever_a_redirect(client: httpx2.AsyncClient) -> None:
    for path in ("/v1/responses/", "/v1/responses/resp_1/", "/v1/nothing/", "/docs/", "/", "//"):
        for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT"):
            assert not (await client.request(method, f"http://api{path}")).has_redirect_location


@pytest.mark.parametrize("path", ["offline/demo", "offline%2Fdemo", "offline/demo/", "demo"])
async def test_a_model_is_read_by_its_name(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(f"/v1/models/{path}")
    name = "demo" if path == "demo" else "offline/demo"
    owner = name.partition("/")[0]
    assert answer.json() == {"id": name, "object": "model", "created": 0, "owned_by": owner}


@pytest.mark.parametrize("path", ["hf/openai/gpt-oss-20b:nebius", "hf%2Fopenai%2Fgpt-oss-20b%3Anebius"])
async def test_a_model_that_is_not_there_is_named_whole(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(f"/v1/models/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert "'hf/openai/gpt-oss-20b:nebius'" in answer.json()["error"]["message"]


METHODS = [
    ("/health", "GET, HEAD, OPTIONS"),
    ("/v1/models", "GET, HEAD, OPTIONS"),
    ("/v1/models/a/b", "GET, HEAD, OPTIONS"),
    ("/v1/responses", "GET, HEAD, OPTIONS, POST"),
    ("/v1/responses/", "GET, HEAD, OPTIONS, POST"),
    ("/v1/responses/resp_1", "DELETE, GET, HEAD, OPTIONS"),
    ("/v1/responses/resp_1/cancel", "OPTIONS, POST"),
    ("/v1/responses/resp_1/input_items", "GET, HEAD, OPTIONS"),
]


@pytest.mark.parametrize(("path", "allowed"), METHODS)
async def test_a_path_tells_its_methods(client: httpx2.AsyncClient, path: str, allowed: str) -> None:
    told = await client.options(path)
    assert (told.status_code, told.headers["allow"], told.content) == (204, allowed, b"")
    refused = await client.patch(path)
    error = refused.json()["error"]
    assert (refused.status_code, refused.headers["allow"], error["code"]) == (405, allowed, "method_not_allowed")
    assert error["message"].endswith(allowed)
    assert (await client.options("/v1/nothing")).json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "path", ["/health", "/v1/models", "/v1/nothing", "/v1/responses", "/v1/responses/resp_1?stream=true"]
)
async def test_head_is_get_without_its_body(client: httpx2.AsyncClient, path: str) -> None:
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-key": "x3JJHMbDL1EzLkh9GBhXDw==",
    "sec-websocket-version": "13",
}
"""https://www.rfc-editor.org/rfc/rfc6455#section-1.2"""
WEBSOCKET = "wss://abc.execute-api.eu-north-1.amazonaws.com/responses"


async def upgraded(url: str, path: str = "/v1/responses", **headers: str) -> httpx2.Response:
    """The answer to an upgrade of a server with this WebSocket address. No authorizer is in front."""
    app = build({"OPENRESPONSES_WEBSOCKET_URL": url})
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client:
        return await client.get(path, headers=headers or HANDSHAKE)


async def test_a_websocket_is_refused_so_that_codex_goes_on_over_http() -> None:
    # https://github.com/openai/codex/issues/19821: any other status uses up its retries first
    answer = await upgraded("")
    assert answer.status_code == 426
    assert answer.json()["error"] == {
        "message": "No WebSocket is opened at this address: use HTTP",
        "type": "invalid_request",
        "param": None,
        "code": "websocket_unsupported",
    }
    # A 426 names the protocol that the server wants: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.22
    assert (answer.headers["upgrade"], answer.headers.get("link")) == ("HTTP/1.1", None)


async def test_who_opens_a_websocket_is_told_where() -> None:
    answer = await upgraded(WEBSOCKET)
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert answer.headers["link"] == f'<{WEBSOCKET}>; rel="alternate"'
    assert WEBSOCKET in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"upgrade": "websocket"},
        {"upgrade": "h2c, WebSocket"},
        {"sec-websocket-key": "x3JJHMbDL1EzLkh9GBhXDw=="},  # all that API Gateway may leave
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1//responses/", "/v1/models", "/v1/responses/resp_1", "/", "/x"])
async def test_an_upgrade_is_known_by_either_header_at_every_path(path: str, headers: dict[str, str]) -> None:
    assert (await upgraded(WEBSOCKET, path, **headers)).status_code == 426


@pytest.mark.parametrize(("method", "headers"), [("GET", {"upgrade": "h2c"}), ("POST", {"upgrade": "websocket"})])
async def test_another_upgrade_and_one_of_another_method_is_ignored(
    client: httpx2.AsyncClient, method: str, headers: dict[str, str]
) -> None:
    answer = await client.request(method, "/health", headers=headers)
    assert answer.status_code == (200 if method == "GET" else 405)


def cors(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control")}


PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang,openresponses-event-names",
}


async def test_no_page_of_another_origin_is_let_in_by_default(client: httpx2.AsyncClient) -> None:
    asked = await client.options("/v1/responses", headers={"origin": PAGE, **PREFLIGHT})
    answer = await client.post("/v1/responses", content=BODY, headers={"origin": PAGE})
    assert (cors(asked), cors(answer)) == ({}, {})


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("origin", [PAGE, OTHER])
async def test_a_preflight_needs_no_key_and_reflects_the_headers(origin: str, method: str) -> None:
    app = build({"OPENRESPONSES_ALLOWED_ORIGINS": f"{PAGE}, {OTHER}"})  # no authorizer in front
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client:
        headers = {**PREFLIGHT, "origin": origin, "access-control-request-method": method}
        answer = await client.options("/v1/responses/resp_1", headers=headers)
    assert answer.status_code == 200
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    assert cors(answer) == {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": answer.headers["access-control-allow-methods"],
        "access-control-allow-headers": PREFLIGHT["access-control-request-headers"],
        "access-control-max-age": "7200",
    }
    assert "Origin" in answer.headers["vary"]


async def test_every_answer_can_be_read_by_a_page_that_is_let_in() -> None:
    async with opened({"OPENRESPONSES_ALLOWED_ORIGINS": f"{PAGE},{OTHER}", "OPENRESPONSES_STORE": "false"}) as client:
        answers = [
            await client.post("/v1/responses", content=BODY, headers={"origin": OTHER}),
            await client.post("/v1/responses", json={"model": "x", "input": "x"}, headers={"origin": OTHER}),
            await client.post("/v1/responses", content=b"{", headers={"origin": OTHER}),
            await client.get("/v1/nothing", headers={"origin": OTHER}),
            await client.put("/v1/models", headers={"origin": OTHER}),
            await client.post(
                "/v1/responses",
                json={"model": "offline/demo", "input": "x", "stream": True},
                headers={"origin": OTHER},
            ),
        ]
    assert [answer.status_code for answer in answers] == [200, 404, 400, 404, 405, 200]
    for answer in answers:
        assert cors(answer) == {
            "access-control-allow-origin": OTHER,
            "access-control-expose-headers": ", ".join(EXPOSED),
        }
        assert answer.headers["vary"] == "Origin"


async def test_a_page_of_a_strange_origin_is_told_so_in_the_standard_body() -> None:
    async with opened({"OPENRESPONSES_ALLOWED_ORIGINS": PAGE}) as client:
        answer = await client.options("/v1/responses", headers={"origin": "https://evil.example", **PREFLIGHT})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "origin_not_allowed")
        assert cors(answer) == {}


async def test_a_star_lets_every_page_in() -> None:
    async with opened({"OPENRESPONSES_ALLOWED_ORIGINS": "*"}) as client:
        answer = await client.get("/v1/models", headers={"origin": "https://any.example"})
        assert cors(answer)["access-control-allow-origin"] == "*"
