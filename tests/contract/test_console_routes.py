"""The console's files: served to everybody where the deployment says so, and to nobody by default."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from openresponses.api.app import CONSOLE
from openresponses.api.console import FOLDER
from openresponses.entry.api import build

FILES = sorted(path.name for path in FOLDER.iterdir() if path.name != "index.html")
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


def client_of(variables: dict[str, str]) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(build(variables))  # pyright: ignore
    return httpx2.AsyncClient(transport=transport, base_url="http://api")


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of({"OPENRESPONSES_CONSOLE": "true"}) as client:
        yield client


async def test_the_page_needs_no_key_and_runs_no_script_but_its_own_files(client: httpx2.AsyncClient) -> None:
    page = await client.get("/console")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert re.findall(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", page.text) == []


async def test_each_address_of_the_page_is_relative_and_leads_to_a_file(client: httpx2.AsyncClient) -> None:
    addresses = re.findall(r'(?:src|href)="([^"#]+)"', (await client.get("/console")).text)
    assert {each for each in addresses if not re.fullmatch(r"console/[a-z]+\.(js|css|svg)", each)} == set()
    assert {Path(each).name for each in addresses} <= set(FILES)


async def test_the_page_names_each_module_that_it_begins_with(client: httpx2.AsyncClient) -> None:
    """A module that the page names is fetched at once, and not after the one that imports it."""
    named = set(re.findall(r'modulepreload" href="console/([a-z]+\.js)', (await client.get("/console")).text))
    needed, todo = set[str](), ["app.js"]
    while todo:
        text = (await client.get(f"/console/{todo.pop()}")).text
        found = set(re.findall(r'^import .*?from "\./([a-z]+\.js)";', text, re.MULTILINE | re.DOTALL)) - needed
        needed |= found
        todo += found
    assert named == needed


@pytest.mark.parametrize("name", FILES)
async def test_a_file_has_its_type_and_is_asked_for_again_in_vain(client: httpx2.AsyncClient, name: str) -> None:
    answer = await client.get(f"/console/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES[Path(name).suffix])
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["cache-control"] == "no-cache"
    again = await client.get(f"/console/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2fapi%2fapp.py", "%2e%2e/api/app.py", "x/app.js"])
async def test_the_console_has_no_other_files(client: httpx2.AsyncClient, name: str) -> None:
    answer = await client.get(f"/console/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", [*CONSOLE, "/console/app.js"])
async def test_a_console_that_nobody_asked_for_is_not_there(path: str) -> None:
    async with client_of({}) as stranger:
        answer = await stranger.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_no_module_reads_html() -> None:
    """What others wrote becomes text nodes alone."""
    told = "".join(path.read_text() for path in FOLDER.glob("*.js"))
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function", told)
        == []
    )
