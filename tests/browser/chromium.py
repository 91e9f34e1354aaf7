"""Chromium without a window, for as long as a test needs it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest


def find_chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.fail("there is no Chromium on this machine: apt-get install chromium")
    return found


_SWITCHES = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    "--disable-background-networking",
)


async def dumped(url: str, profile: Path, *more: str) -> str:
    """The page's document, as its scripts have made it."""
    browser = await asyncio.create_subprocess_exec(
        *(find_chromium(), *_SWITCHES, "--virtual-time-budget=20000", "--dump-dom"),
        *(f"--user-data-dir={profile}", *more, url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    shown, _ = await asyncio.wait_for(browser.communicate(), 90)
    return shown.decode()


@asynccontextmanager
async def opened(url: str, profile: Path, *more: str) -> AsyncGenerator[None, None]:
    """The page in a browser with a profile of its own. `more` are further switches."""
    browser = await asyncio.create_subprocess_exec(
        *(find_chromium(), *_SWITCHES, "--remote-debugging-port=0"),
        *(f"--user-data-dir={profile}", *more, url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        await browser.wait()
