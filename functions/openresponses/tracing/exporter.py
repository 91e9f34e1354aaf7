"""Sends spans to a collector, by OTLP/HTTP. Whatever becomes of that, no response fails, and none waits for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from ..transport.http import Http
from .otlp import PATH, rejected, request_of
from .span import RecordedSpan, Value

SECONDS = 2.0
"""For all requests of one export: a sandbox is paid for meanwhile."""
PAUSE = 30.0
"""Seconds without an export after one that failed: a collector that hangs costs each sandbox little."""
MAX_SPANS = 4096
"""That wait, of 1 KB each. What comes on top of them is lost."""
MAX_SENT = 512
"""In one request."""
MAX_ANSWER_BYTES = 64 * 1024


class Exporter:
    """What a sandbox has to send. `endpoint` is a collector's URL, without `/v1/traces`; `headers` are asked for each
    time, since they hold secrets that an operator changes. `report` is told the class of each failure, and how many
    spans were lost with it. `now` gives seconds, and need not tell the time of day. An export takes `seconds` at most.

    Raises ValueError for an endpoint that is no URL.
    """

    def __init__(
        self,
        endpoint: str,
        headers: Callable[[], Awaitable[Mapping[str, str]]],
        resource: Mapping[str, Value | None],
        report: Callable[[str, int], None],
        now: Callable[[], float] = time.monotonic,
        seconds: float = SECONDS,
    ) -> None:
        self._headers, self._resource, self._report, self._now = headers, resource, report, now
        self._seconds = seconds
        self._spans: list[RecordedSpan] = []
        self._lost, self._quiet_until = 0, 0.0
        self._http = Http(
            endpoint.removesuffix("/").removesuffix(PATH),
            {"accept": "application/json"},
            connect_timeout=seconds,
            first_byte_timeout=seconds,
            idle_timeout=seconds,
        )

    def collect(self, span: RecordedSpan) -> None:
        if len(self._spans) < MAX_SPANS:
            self._spans.append(span)
        else:
            self._lost += 1

    async def export(self) -> None:
        """Send what was collected. Never raises but for a cancellation."""
        if not self._spans or self._now() < self._quiet_until:
            return
        spans, lost = self._spans, self._lost
        self._spans, self._lost, sent = [], 0, 0
        failure = "TooManySpans" if lost else ""
        try:
            async with asyncio.timeout(self._seconds):
                for start in range(0, len(spans), MAX_SENT):
                    some = spans[start : start + MAX_SENT]
                    refused = await self._sent(request_of(some, self._resource))
                    sent += len(some) - refused
                    failure = "Rejected" if refused else failure
        except Exception as error:  # a bug here must not cost a response, either
            failure, self._quiet_until = type(error).__name__, self._now() + PAUSE
        if failure:
            self._report(failure, lost + len(spans) - sent)

    async def _sent(self, body: bytes) -> int:
        """How many spans of it were refused. Raises TransportError, StorageUnavailable and ValueError."""
        async with self._http.request(
            "POST", PATH, body, headers=await self._headers(), limit=MAX_ANSWER_BYTES
        ) as reply:
            return rejected(b"".join([chunk async for chunk in reply.whole()]))

    async def aclose(self) -> None:
        await self._http.aclose()
