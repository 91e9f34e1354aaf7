"""Connected providers, kept for the life of the sandbox, and replaced when their configuration changes."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..core.errors import ProviderMisconfigured
from ..core.ports import Provider
from ..core.settings import ProviderSettings

FAILURES = 5
OPEN_SECONDS = 30.0
MAX_TARGETS = 1_000
"""Targets whose failures are counted. Clients name models, so there is no end of targets that fail."""


@dataclass(slots=True)
class _State:
    failures: int = 0
    open_until: float = 0.0


def _untold(target: str, seconds: float | None) -> None: ...


class Breaker:
    """A circuit for each target. It opens for `OPEN_SECONDS` after `FAILURES` in a row.

    A target whose circuit is open is asked last, and without retries, but it is asked. `changed` is called with the
    target as its circuit opens, and for how many seconds; and with None for these as it closes, since the target
    answered. A circuit that time has closed is not told of.
    """

    def __init__(self, now: Callable[[], float], changed: Callable[[str, float | None], None] = _untold) -> None:
        self._now, self._changed = now, changed
        self._states: OrderedDict[str, _State] = OrderedDict()

    def is_open(self, target: str) -> bool:
        state = self._states.get(target)
        return state is not None and self._now() < state.open_until

    def failed(self, target: str, *, busy_for: float | None = None) -> None:
        """`busy_for` is for how many seconds the target itself asked to be left alone."""
        state = self._states.setdefault(target, _State())
        self._states.move_to_end(target)
        if len(self._states) > MAX_TARGETS:  # forget the one that failed least recently
            self._states.popitem(last=False)
        was_open = self._now() < state.open_until
        state.failures += 1
        if busy_for:
            state.open_until = max(state.open_until, self._now() + min(busy_for, OPEN_SECONDS))
        if state.failures >= FAILURES:
            state.open_until = self._now() + OPEN_SECONDS
        if not was_open and self._now() < state.open_until:
            self._changed(target, state.open_until - self._now())

    def succeeded(self, target: str) -> None:
        state = self._states.pop(target, None)
        if state is not None and state.open_until:
            self._changed(target, None)


@dataclass(slots=True)
class _Connection:
    settings: ProviderSettings
    provider: Provider
    turns: int = 0
    replaced: bool = False


class Connections:
    """`connect` raises ValueError for settings that can't work."""

    def __init__(self, connect: Callable[[ProviderSettings], Provider]) -> None:
        self._connect = connect
        self._connections: dict[str, _Connection] = {}

    @asynccontextmanager
    async def use(self, settings: ProviderSettings) -> AsyncGenerator[Provider, None]:
        """The provider with these settings, which stays open until its last turn ends. Raises ProviderMisconfigured."""
        connection = self._connections.get(settings.name)
        if connection is None or connection.settings != settings:
            connection = await self._replace(connection, settings)
        connection.turns += 1
        try:
            yield connection.provider
        finally:
            connection.turns -= 1
            if connection.replaced and not connection.turns:
                await connection.provider.aclose()

    async def aclose(self) -> None:
        for connection in self._connections.values():
            await connection.provider.aclose()
        self._connections.clear()

    async def _replace(self, old: _Connection | None, settings: ProviderSettings) -> _Connection:
        try:
            provider = self._connect(settings)
        except ValueError as error:
            raise ProviderMisconfigured(f"The server's configuration is not valid: {error}") from None
        new = self._connections[settings.name] = _Connection(settings, provider)
        if old is not None:
            old.replaced = True
            if not old.turns:
                await old.provider.aclose()
        return new
