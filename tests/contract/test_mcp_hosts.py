"""Which MCP servers a request may name, and where it may say their credentials: a 400 that names the field."""

from __future__ import annotations

from typing import Any

import pytest

from openresponses.core.errors import RequestError
from openresponses.core.prompts import placeholders
from openresponses.core.settings import Settings
from openresponses.responses.servers import check_servers
from openresponses.schema.request import CreateResponse
from openresponses.schema.tools import McpTool
from openresponses.transport.guard import host_of
from tests.contract.machine import House
from tests.contract.ssrf import URLS
from tests.unit.kit import Json, Script


def mcp(**fields: Any) -> Json:
    return {"type": "mcp", "server_label": "docs", **fields}


def check(url: str, hosts: tuple[str, ...], *, here: bool = False) -> None:
    tool = McpTool.model_validate(mcp(server_url=url))
    check_servers([("tools[3]", tool)], [], Settings(mcp_hosts=hosts), here=here)


ALLOWED = {
    ("*",): ["https://a.test/", "https://127.0.0.1/", "http://10.0.0.1:8000/mcp", "https://u:p@a.test", "nonsense"],
    ("a.test",): ["https://a.test/mcp?k=v", "https://A.test:8443", "http://a.test"],
    ("*.a.test", "b.test"): ["https://x.a.test", "https://x.y.a.test", "https://b.test"],
    ("xn--mnchen-3ya.test",): ["https://münchen.test/"],
}
REFUSED = {
    (): ["https://a.test/", "https://127.0.0.1/", "nonsense"],
    ("a.test",): [
        *("https://b.test", "https://a.test.b.test", "https://xa.test", "https://x.a.test", "https://a.test@b.test"),
        *("https://b.test/a.test", "https://b.test?a.test", "https://b.test#a.test", "https://b.test\\@a.test"),
        *(
            "https://a.test\\@b.test",
            "https://a.test.",
            "https://u:p@a.test",
            "https://a.test:0",
            "nonsense",
            "//a.test",
        ),
    ],
    ("*.a.test",): [
        "https://a.test",
        "https://b.a.test.c",
        "https://.a.test",
        "https://xa.test",
        "https://a.test/x.a.test",
    ],
}


@pytest.mark.parametrize(("hosts", "url"), [(hosts, url) for hosts, urls in ALLOWED.items() for url in urls])
def test_a_host_that_is_allowed_is_left_to_the_provider_that_asks_it(hosts: tuple[str, ...], url: str) -> None:
    check(url, hosts)


@pytest.mark.parametrize(("hosts", "url"), [(hosts, url) for hosts, urls in REFUSED.items() for url in urls])
@pytest.mark.parametrize("here", [True, False])
def test_another_host_is_refused_whoever_asks_it(hosts: tuple[str, ...], url: str, here: bool) -> None:
    with pytest.raises(RequestError) as caught:
        check(url, hosts, here=here)
    assert (caught.value.status, caught.value.param) == (400, "tools[3].server_url")


def test_what_this_server_would_ask_itself_must_be_a_public_address_in_its_usual_form() -> None:
    check("https://mcp.example.com/mcp", ("*",), here=True)
    passed = list[str]()
    for url in filter(None, URLS):
        try:
            check(url.format(port=1), ("*",), here=True)
        except RequestError as error:
            assert (error.param, "127" in error.message) == ("tools[3].server_url", False)  # noqa: PT017
        else:
            passed.append(host_of(url.format(port=1)))
    assert set(passed) == {"localhost"}  # what a name leads to is known when it is asked


MESSAGES = {
    "ftp://a.test/": "'server_url' must be an https URL",
    "http://a.test/": "'server_url' must be an https URL",
    "https://u:s3cret@a.test/": "'server_url' must hold no user name and no password",
    "https://0x7f.1/": "'server_url' must name a host by a domain name, or by an address in its usual form",
    "https://10.0.0.1/s3cret": "'server_url' must lead to a public address",
}


@pytest.mark.parametrize(("url", "message"), MESSAGES.items())
def test_the_error_says_what_the_url_must_be_and_quotes_none_of_it(url: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        check(url, ("*",), here=True)
    assert caught.value.message == message


WAYS: dict[str, Json] = {
    "tools": {"tools": [{"type": "function", "name": "f"}, mcp(server_url="https://b.test")]},
    "additional_tools": {
        "input": [
            {"type": "message", "role": "user", "content": "hi"},
            {"type": "additional_tools", "tools": [mcp(server_url="https://b.test")]},
        ]
    },
    "a search's output": {
        "input": [
            {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {}},
            {"type": "tool_search_output", "call_id": "c", "tools": [mcp(server_url="https://b.test")]},
        ]
    },
}
PARAMS = dict(zip(WAYS, ("tools[1].server_url", "input[1].tools[0].server_url", "input.server_url"), strict=True))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hosts", [(), ("a.test",)])
async def test_no_way_of_naming_a_server_leads_around_the_hosts(way: str, hosts: tuple[str, ...]) -> None:
    house = House(Script([]), mcp_hosts=hosts)
    with pytest.raises(RequestError) as caught:
        await house.create(**WAYS[way])
    assert caught.value.param == PARAMS[way]


@pytest.mark.parametrize("secret", [{"headers": {"k": "s3cret"}}, {"authorization": "s3cret"}])
async def test_credentials_are_refused_where_they_would_be_stored_as_they_are(secret: Json) -> None:
    """Items are listed, and read with a conversation, by whoever has a key of the tenant."""
    house, (name,) = House(Script([])), secret
    found = {"type": "tool_search_output", "call_id": "c", "tools": [mcp(server_url="https://a.test", **secret)]}
    asked = [{"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {}}, found]
    with pytest.raises(RequestError) as caught:
        await house.create(input=asked)
    assert caught.value.param == f"input[1].tools[0].{name}"
    with pytest.raises(RequestError) as caught:
        placeholders(CreateResponse.model_validate({"model": "m", "tools": found["tools"]}))
    assert caught.value.param == f"tools[0].{name}"
    assert "s3cret" not in f"{house.shelf.__dict__}"
