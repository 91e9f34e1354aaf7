"""What is configured in the local cloud and what was used, with what happened to it since."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from openresponses_dev.local.history import History
from openresponses_dev.local.services.local_aws import LocalAws

if TYPE_CHECKING:
    from openresponses_dev.local.console.reader import Reader, Rows

_KEPT_SECONDS = 2.0


class AtRest:
    """`variables` are those of the functions. What was read is told again for two seconds."""

    def __init__(self, aws: LocalAws, variables: Mapping[str, str], history: History) -> None:
        self._aws, self._variables, self._history = aws, variables, history
        self._reader: Reader | None = None
        self._reading = asyncio.Lock()
        self._until = 0.0
        self._keys: Rows = []
        self._providers: Rows = []

    async def read(self) -> tuple[Rows, Rows]:
        """Keys with their use in this month, and providers. Raises what boto3 does while the services end."""
        async with self._reading:
            if self._aws.endpoint_url and time.monotonic() > self._until:
                self._keys, self._providers = await asyncio.to_thread(self._read)
                self._until = time.monotonic() + _KEPT_SECONDS
        return self._keys, [{**each, **self._state(str(each["name"]))} for each in self._providers]

    def _read(self) -> tuple[Rows, Rows]:
        if self._reader is None:
            from openresponses_dev.local.console.reader import Reader  # here, since it imports much

            self._reader = Reader(self._aws, self._variables)
        return self._reader.keys(), self._reader.providers()

    def _state(self, provider: str) -> dict[str, object]:
        failures = self._history.failures(provider)
        return {
            "circuit": "open" if self._history.is_open(provider) else "closed",
            "failures": failures.count,
            "last_error": failures.last_error,
            "last_error_at": failures.last_at,
        }
