"""Connected providers, kept for the life of the sandbox, and replaced when their configuration changes."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .errors import ProviderMisconfigured
from .ports import Provider
from .settings import ProviderSettings


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
        """A turn that is under way keeps the provider that it began with. Raises ProviderMisconfigured."""
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
