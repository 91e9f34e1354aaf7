"""`openresponses tools`: the service that searches the web is set, tried and removed; its key is shown nowhere."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fakes.search import KEY, FakeSearch, fake_search
from tests.manage.conftest import Cloud, run

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
    assert ["web_search", f"Brave at {fake.url}", "yes", "Searches the web."] in listed.rows()
    assert "Brave answered with the status 422" in refused.err
    assert cloud.run("tools", "remove", "web_search").status == 0
    assert cloud.run("tools", "remove", "web_search").status == 1
    assert cloud.run("tools", "test", "web_search").status == 1
    for each in (done, tried, listed, wrong, refused):
        assert KEY not in each.out + each.err
        assert "wrong-key" not in each.out + each.err


def test_searxng_needs_an_address_and_no_key(cloud: Cloud) -> None:
    with searching("searxng") as fake:
        assert cloud.run("tools", "set", "web_search", "--backend", "searxng", "--base-url", fake.url).status == 0
        assert cloud.run("tools", "test", "web_search").out.startswith("SearXNG found 24 pages")
    away = cloud.run("tools", "test", "web_search")
    assert (away.status, "SearXNG did not answer" in away.err) == (1, True)
    assert cloud.run("tools", "remove", "web_search").status == 0


@pytest.mark.parametrize(
    ("words", "stdin", "why"),
    [
        (("web_search", "--backend", "searxng"), "", "searxng needs a base_url"),
        (("web_search", "--backend", "brave"), "", "API key of brave is missing"),
        (("web_search", "--backend", "brave", "--no-key"), "", "brave needs a key"),
        (("web_search", "--backend", "exa"), "hidden \u00fc key\n", "key: String should match"),
        (("other", "--backend", "exa"), "hidden\n", "only web_search is set by this command"),
    ],
)
def test_what_would_not_work_is_not_written(cloud: Cloud, words: tuple[str, ...], stdin: str, why: str) -> None:
    done = cloud.run("tools", "set", *words, stdin=stdin)
    assert done.status == 1
    assert why in done.err
    assert "hidden" not in done.out + done.err
    assert all(row[0] != "web_search" for row in cloud.run("tools", "list").rows())


def test_an_unknown_backend_names_those_that_there_are() -> None:
    done = run("tools", "set", "web_search", "--backend", "bing", "--local")
    assert done.status == 2
    assert all(name in done.err for name in ("brave", "tavily", "exa", "searxng"))
    assert json.dumps(KEY) not in done.err
