"""Which provider serves a model: `provider/model`, or a bare name for the default provider."""

from collections.abc import Callable

from .errors import NotFound
from .ports import Provider
from .settings import ProviderSettings, Settings


def split_model(model: str, settings: Settings) -> tuple[str, str]:
    """(provider's name, the provider's own name for the model)."""
    head, _, rest = model.partition("/")
    return (head, rest) if rest and head in settings.providers else (settings.default_provider, model)


class Router:
    """Connects providers when they are first used, and keeps them for the life of the sandbox."""

    def __init__(self, settings: Settings, connect: Callable[[ProviderSettings], Provider]) -> None:
        self._settings, self._connect = settings, connect
        self._connected: dict[str, Provider] = {}

    def resolve(self, model: str) -> tuple[Provider, str]:
        """Raises NotFound where no configured provider can have the model."""
        name, upstream = split_model(model, self._settings)
        settings = self._settings.providers.get(name)
        if settings is None or (settings.dialect == "offline" and upstream not in settings.models):
            raise NotFound(f"The model {model!r} does not exist here", param="model", code="model_not_found")
        if name not in self._connected:
            self._connected[name] = self._connect(settings)
        return self._connected[name], upstream

    def listed(self) -> list[str]:
        return [f"{name}/{model}" for name, settings in self._settings.providers.items() for model in settings.models]

    async def aclose(self) -> None:
        for provider in self._connected.values():
            await provider.aclose()
        self._connected.clear()
