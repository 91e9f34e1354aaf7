"""`openresponses tools`: the service that searches the web is set, tried and removed; its key is shown nowhere."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from openai import OpenAI

from tests.fakes.search import KEY, Answer, FakeSearch, fake_search
from tests.manage.conftest import UPSTREAM_KEY, Cloud

pytestmark = pytest.mark.xdist_group("manage")


@contextmanager
def searching(name: str) -> Iterator[FakeSearch]:
    """A fake on a loop of its own, for commands that block this one."""
    started, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    made: list[FakeSearch] = []

    async def serve() -> None:
        async with fake_search(name) as fake:
            made.append(fake)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait(10)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def test_a_backend_is_set_tried_listed_and_removed(cloud: Cloud) -> None:
    with searching("brave") as fake:
        words = ("tools", "set", "web_search", "--backend", "brave", "--base-url", fake.url)
        done = cloud.run(*words, stdin=f"{KEY}\n")
        tried = cloud.run("tools", "test", "web_search", "--query", "tides")
        listed = cloud.run("tools", "list")
        wrong = cloud.run(*words, stdin="wrong-key\n")
        refused = cloud.run("tools", "test", "web_search")
    assert (done.status, tried.status, wrong.status, refused.status) == (0, 0, 0, 1), tried.err
    assert "try it:  openresponses tools test web_search --local" in done.out
    assert tried.out.startswith("Brave found 3 pages in ")
    assert "Tides and the moon  https://tides.example/moon" in tried.out
    assert ["web_search", "web_search", f"Brave at {fake.url}", "yes", "Searches the web."] in listed.rows()
    assert "Brave answered with the status 422" in refused.err
    assert cloud.run("tools", "remove", "web_search").status == 0
    assert cloud.run("tools", "remove", "web_search").status == 1
    for each in (done, tried, listed, wrong, refused):
        assert KEY not in each.out + each.err
        assert "wrong-key" not in each.out + each.err


def test_a_model_searches_by_the_service_that_is_set(cloud: Cloud) -> None:
    words = ("providers", "set", "searcher", "--dialect", "chat_completions", "--base-url", cloud.upstream)
    assert cloud.run(*words, "--model", "echo", stdin=f"{UPSTREAM_KEY}\n").status == 0
    with searching("exa") as fake:
        fake.web["/page"] = Answer(200, "<title>A page</title><p>High water is at <b>07:12</b>.")
        set_up = ("tools", "set", "web_search", "--backend", "exa", "--base-url", fake.url)
        assert cloud.run(*set_up, stdin=f"{KEY}\n").status == 0
        time.sleep(1.1)  # ConfigSeconds
        calls = f'/fake calls;web_search={{"query": "tides"}};open_page={{"url": "{fake.url}/page"}}'
        with OpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0) as client:
            response = client.responses.create(model="searcher/echo", input=calls, tools=[{"type": "web_search"}])
    searches = [item for item in response.output if item.type == "web_search_call"]
    assert [(item.status, item.action.type) for item in searches] == [
        ("completed", "search"),
        ("completed", "open_page"),
    ]
    part: Any = response.output[-1]
    cited = {each.url for each in part.content[0].annotations}
    assert {"https://tides.example/moon", f"{fake.url}/page"} <= cited
    assert "High water is at **07:12**." in response.output_text
    assert KEY not in response.model_dump_json()
    assert cloud.run("tools", "remove", "web_search").status == 0
    assert cloud.run("providers", "remove", "searcher").status == 0


def test_searxng_needs_an_address_and_no_key(cloud: Cloud) -> None:
    with searching("searxng") as fake:
        assert cloud.run("tools", "set", "web_search", "--backend", "searxng", "--base-url", fake.url).status == 0
        assert cloud.run("tools", "test", "web_search").out.startswith("SearXNG found 24 pages")
    assert cloud.run("tools", "remove", "web_search").status == 0


@pytest.mark.parametrize(
    ("words", "stdin", "why"),
    [
        (("web_search", "--backend", "brave"), "", "API key of brave is missing"),
        (("web_search", "--backend", "exa"), "hidden \u00fc key\n", "the API key: HTTP can't carry it"),
    ],
)
def test_what_would_not_work_is_refused(cloud: Cloud, words: tuple[str, ...], stdin: str, why: str) -> None:
    done = cloud.run("tools", "set", *words, stdin=stdin)
    assert done.status == 1
    assert why in done.err
    assert "hidden" not in done.out + done.err
