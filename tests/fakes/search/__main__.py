"""One fake search service in a process of its own: prints its URL, and serves until it is ended."""

import asyncio
import sys
from contextlib import suppress

from tests.fakes.search import Answer, fake_search

PAGE = """<!doctype html><title>The tide table</title><nav>Menu</nav>
<h1>Tides</h1><p>High water is at <b>07:12</b>. <a href="/moon">Why</a></p><script>alert(1)</script>"""


async def main(name: str) -> None:
    async with fake_search(name) as fake:
        fake.web["/table"] = Answer(200, PAGE)
        print(fake.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
