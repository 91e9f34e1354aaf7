"""What the gateway of the local cloud serves that no API Gateway does."""

from __future__ import annotations

from typing import Protocol

from openresponses_dev.local.gateway.answers import Head
from openresponses_dev.local.gateway.rest_event import Request


class OwnPages(Protocol):
    def private(self, path: str) -> bool:
        """Whether what is there tells of the local cloud: it is for its user's own eyes."""
        ...

    async def answer(self, request: Request, *, routed: bool) -> tuple[Head, bytes] | None:
        """None for what isn't one of these. `routed`: the template has a route there."""
        ...
