"""How AWS's services reach the functions: by Lambda's API, at once or later, and by the streams of tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from openresponses_dev.local.background import Background
from openresponses_dev.local.logs import Log
from openresponses_dev.local.sandbox.events import Events
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.sandbox.lambda_api import LambdaApi, Target, sandboxed
from openresponses_dev.local.sandbox.streams import Delivered, Streams
from openresponses_dev.local.template.event_sources import StreamMapping


class Invoker:
    """Of these functions, once it has begun. The services call it in any thread. `targets` are by function name."""

    def __init__(
        self, functions: Iterable[Function], background: Background, log: Log, delivered: Delivered, retry_scale: float
    ) -> None:
        self._functions = {function.spec.arn.rpartition(":")[2]: function for function in functions}
        self.targets: dict[str, Target] = {}
        self._events = Events(self._functions.values(), background, log)
        self._streams = Streams(self._functions.values(), background, log, delivered, retry_scale)
        self.api = LambdaApi(self.targets, self._enqueue)

    def begin(self) -> None:
        """On the loop on which the sandboxes live."""
        self._loop = loop = asyncio.get_running_loop()
        self.targets.update({name: sandboxed(function, loop) for name, function in self._functions.items()})

    @property
    def mappings(self) -> list[StreamMapping]:
        return self._streams.mappings

    def put(self, mapping: str, number: str, text: str) -> None:
        """A record of a stream."""
        self._loop.call_soon_threadsafe(self._streams.put, mapping, number, text)

    def _enqueue(self, name: str, event: bytes) -> None:
        self._loop.call_soon_threadsafe(self._events.put, self._functions[name].spec.arn, event)
