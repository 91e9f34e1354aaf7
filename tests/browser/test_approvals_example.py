"""examples/approvals in Chromium, served as its README says, against a local cloud and an MCP server."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from openresponses_dev.local.cloud import LocalCloud
from tests.browser.chromium import find_chromium
from tests.fakes.mcp_server import mcp_server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(200)]
ROOT = Path(__file__).parents[2]
HIDDEN = "\u202egnp.exe <img src=x onerror=\"window.struck='img'\">"


@asynccontextmanager
async def static_server(folder: Path) -> AsyncGenerator[str, None]:
    """Its origin."""
    command = ("-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder))
    server = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        said = (await asyncio.wait_for(server.stdout.readline(), 30)).decode()
        found = re.search(r"port (\d+)", said)
        assert found is not None, said
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        server.terminate()
        await server.wait()


async def say(page: Page, text: str) -> None:
    await page.get_by_label("Message").fill(text)
    await page.get_by_role("button", name="Send").click()


async def test_the_user_approves_one_call_and_refuses_another() -> None:
    wrong: list[str] = []
    bodies: list[dict[str, Any]] = []
    async with (
        static_server(ROOT / "examples/approvals") as origin,
        mcp_server() as mcp,
        LocalCloud(ROOT / "template.yaml", parameters={"AllowedOrigins": origin}) as cloud,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        page = await browser.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda request: bodies.append(json.loads(request.post_data or "{}")) if request.method == "POST" else None,
        )
        await page.goto(origin)
        await page.get_by_label("Base URL").fill(cloud.base_url)
        await page.get_by_label("Key").fill(cloud.api_key)
        await page.get_by_label("MCP server").fill(mcp.url)

        call = '[[call mcp__add {"numbers": [15, 37]}]]'
        echo = f"[[call mcp__echo {json.dumps({'text': HIDDEN}, ensure_ascii=False)}]]"
        await say(page, f"{call} {echo}")
        waiting = page.get_by_role("group", name="Approval of add")
        await expect(waiting).to_contain_text('May I call add({"numbers": [15, 37]})?', timeout=30_000)
        hidden = page.get_by_role("group", name="Approval of echo")
        await expect(hidden).to_contain_text("gnp.exe <img src=x")
        assert "\u202e" not in await hidden.inner_text()
        assert mcp.calls == [], "nothing is called before the user has decided"

        await waiting.get_by_role("button", name="Approve").click()
        await hidden.get_by_role("button", name="Refuse").click()
        await expect(waiting).to_contain_text("Approved.")
        await expect(hidden).to_contain_text("Refused.")
        await expect(page.locator(".call")).to_have_text('add({"numbers": [15, 37]}): 52', timeout=30_000)
        await expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=30_000)
        await expect(page.locator(".answer")).to_contain_text("The tool mcp__add answered: 52")
        await expect(page.locator(".answer")).to_contain_text("The user did not approve this call")
        assert mcp.calls == [("add", {"numbers": [15, 37]})]

        await say(page, "Thank you")  # the offline model has a tool that takes a text
        again = page.get_by_role("group", name="Approval of echo").last
        await again.get_by_role("button", name="Approve").click()
        await expect(page.locator(".call").last).to_have_text('echo({"text": "Thank you"}): Thank you', timeout=30_000)
        await expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=30_000)
        assert mcp.calls[1:] == [("echo", {"text": "Thank you"})]
        assert wrong == []
        await page.get_by_label("Model").fill("offline/unknown")
        await say(page, "Hello")
        await expect(page.get_by_role("alert")).to_contain_text("'offline/unknown' does not exist here", timeout=30_000)
        struck = await page.evaluate("[window.struck ?? null, document.querySelectorAll('main img').length]")
        await browser.close()

    asked, decided, thanked, approved, _ = bodies
    assert "previous_response_id" not in asked
    assert [(each["type"], each["approve"]) for each in decided["input"]] == [
        ("mcp_approval_response", True),
        ("mcp_approval_response", False),
    ]
    assert decided["previous_response_id"].startswith("resp_")
    assert [each["approve"] for each in approved["input"]] == [True]
    assert len({each["previous_response_id"] for each in (decided, thanked, approved)}) == 3
    assert struck == [None, 0]
