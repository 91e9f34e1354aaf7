"""The console in Chromium: a local cloud, one browser, and pages that are watched while a test uses them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, async_playwright, expect
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from openresponses.client_keys import make, new_token
from openresponses.storage.dynamodb.client_keys import store_key
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.server import HttpServer
from tests.browser.chromium import find_chromium
from tests.fakes.mcp_server import FakeMcp, mcp_server

ROOT = Path(__file__).parents[2]
PAGE = "/"
PATIENCE_MS = 30_000
BIDI = "\u202egnp.exe\u202c"
HOSTILE = f"""<img src=x onerror="window.struck='img'"> </script><script>window.struck='script'</script> {BIDI} end"""
MEGABYTE = 1024 * 1024
BROKEN = '''"""A tool of one's own."""


def broken(word: str) -> str:
    """Look a word up."""
    return {"a": "b"}[word]
'''
MARKED = """# Heading

Some **bold**, *italic*, `code`, snake_case_name and [a link](https://good.example/page), [mail](mailto:a@good.example),
[bad](javascript:window.struck='link') and <b onclick="x">no HTML</b>.

1. First
2. Second with `inline`
   - nested **one**

   Its second paragraph.

```python
def f(x: int) -> str:
    return "**not bold**"
```

| Name | Value |
|------|------:|
| a    | **1** |
| b    | 2     |

> Quoted

![dot](data:image/png;base64,PIXEL)

مرحبا بالعالم: **نص** 123

The end of an unclosed `code and **bold"""
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FAST = 20_000
"""Deltas, as fast as they can be sent."""
_LINKS = ("javascript:window.struck='link'", "data:text/html,<script>1</script>", "https://good.example/page")
expect.set_options(timeout=PATIENCE_MS)


@dataclass(slots=True)
class Watched:
    """`wrong` is what no test may leave: violations of the policy, errors of scripts, requests to other origins.
    `bodies` are those of the requests that created a response.
    """

    page: Page
    wrong: list[str] = field(default_factory=list[str])
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def say(self, text: str) -> None:
        await self.page.get_by_label("Message", exact=True).fill(text)
        await self.page.get_by_label("Message", exact=True).press("Enter")

    @property
    def answers(self) -> Locator:
        return self.page.get_by_role("region", name="Answer")

    async def answered(self, count: int = 1) -> Locator:
        """The last of so many answers, once all are over."""
        await expect(self.answers).to_have_count(count)
        await expect(self.page.get_by_text("First token")).to_have_count(count)
        return self.answers.last


@dataclass(frozen=True, slots=True)
class Site:
    cloud: LocalCloud
    browser: Browser
    mcp: FakeMcp

    @asynccontextmanager
    async def page(
        self,
        *,
        path: str = PAGE,
        key: str | None = "",
        width: int = 1280,
        height: int = 800,
        script: str = "",
        **options: Any,
    ) -> AsyncGenerator[Watched, None]:
        """A tab of its own. `key` None has none, and "" is the one that dev printed. `script` runs first."""
        context = await self.browser.new_context(viewport={"width": width, "height": height}, **options)
        page = await context.new_page()
        if script:
            await page.add_init_script(script)
        page.set_default_timeout(PATIENCE_MS)
        watched = Watched(page)
        page.on("console", lambda message: _listen(watched, message))
        page.on("pageerror", lambda error: watched.wrong.append(str(error)))
        page.on("request", lambda request: self._look(watched, request))
        fragment = "" if key is None else f"#{key or self.cloud.api_key}"
        await page.goto(f"{self.cloud.origin}{path}{fragment}")
        if key is not None:
            model = page.get_by_label("Model", exact=True)
            await expect(model).not_to_have_value("")  # the page has chosen one of those that there are
            if width > 860:  # on a phone it is folded
                await model.fill("offline/demo")
        try:
            yield watched
        finally:
            await context.close()

    def _look(self, watched: Watched, request: Request) -> None:
        if not request.url.startswith((f"{self.cloud.origin}/", "data:", "blob:")):
            watched.wrong.append(request.url)
        if request.method == "POST" and request.url.endswith("/v1/responses"):
            watched.bodies.append(json.loads(request.post_data or "{}"))

    def api(self) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {self.cloud.api_key}"}
        return httpx2.AsyncClient(base_url=f"{self.cloud.base_url}/", headers=headers, timeout=60)

    async def other_key(self) -> str:
        """A key of another tenant, made as an operator makes it."""
        async with httpx2.AsyncClient() as stranger:
            table = (await stranger.get(f"{self.cloud.origin}/_local.json")).json()["table"]
        token = new_token()
        dynamodb = self.cloud.aws.client("dynamodb")
        await asyncio.to_thread(store_key, dynamodb, table, make(token, "other", now=time.time()))
        return token

    async def make(self, **body: Any) -> dict[str, Any]:
        """A response."""
        async with self.api() as api:
            answer = await api.post("responses", json={"model": "offline/demo", "input": "Hello", **body})
        assert answer.status_code == 200, answer.text
        return answer.json()


def _listen(watched: Watched, message: ConsoleMessage) -> None:
    if "Content Security Policy" in message.text or (message.type == "error" and "404" not in message.text):
        watched.wrong.append(message.text)


@asynccontextmanager
async def site(tools: Path) -> AsyncIterator[Site]:
    """`tools` is a folder, which gets a tool that raises."""
    (tools / "broken.py").write_text(BROKEN)
    vendor = HttpServer(Starlette(routes=[Route("/{p:path}", _hostile, methods=["POST"])]), 0)
    provider = {"dialect": "chat_completions", "base_url": f"{await vendor.start()}/v1", "api_key": "none"}
    try:
        async with (
            mcp_server() as mcp,
            LocalCloud(
                ROOT / "template.yaml",
                parameters={"Console": "true"},
                providers={"hostile": provider},
                aliases={"shaky": ["nowhere/model", "offline/demo"]},
                env={"OPENRESPONSES_TOOLS": str(tools)},
            ) as cloud,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
            yield Site(cloud, browser, mcp)
            await browser.close()
    finally:
        await vendor.stop()


async def _hostile(request: Asked) -> Response:
    """Chat Completions of who means harm."""
    model = (await request.json())["model"]

    async def chunks() -> AsyncGenerator[str, None]:
        if model == "long":
            for _ in range(0, MEGABYTE, 8192):
                yield _chunk({"content": "<b>long</b> word " * 482})
        elif model == "marked":
            text = MARKED.replace("PIXEL", PIXEL)
            for at in range(0, len(text), 5):
                yield _chunk({"content": text[at : at + 5]})
        elif model == "fast":
            for number in range(FAST):
                yield _chunk({"content": f"*{number}* " if number % 10 else f"\n\n- [x](y) **{number}"})
        else:
            yield _chunk({"reasoning_content": HOSTILE})
            yield _chunk({"content": HOSTILE})
            cited = [{"url": url, "title": f"<b>{url}", "start_index": 0, "end_index": 3} for url in _LINKS]
            yield _chunk({"annotations": [{"type": "url_citation", "url_citation": each} for each in cited]})
            call = {"name": "act", "arguments": json.dumps({"do": HOSTILE})}
            yield _chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": call}]})
        yield _chunk({}, finish_reason="tool_calls" if model == "model" else "stop")
        yield "data: [DONE]\n\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'created': 0, 'choices': [choice]})}\n\n"
