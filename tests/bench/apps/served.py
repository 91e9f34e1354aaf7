"""The API function's own application, for a server such as uvicorn: every caller is whom the example event names."""

from typing import Any

from openresponses.entry.api import app as function
from tests.bench.sandbox import EVENT


async def app(scope: Any, receive: Any, send: Any) -> None:
    await function({**scope, "aws.event": EVENT}, receive, send)
