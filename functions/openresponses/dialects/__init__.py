"""Find a dialect by the name of its folder, which has `connect(settings) -> Provider`."""

from importlib import import_module
from pkgutil import iter_modules

from ..core.ports import Provider
from ..core.settings import ProviderSettings


def dialects() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def connect(settings: ProviderSettings) -> Provider:
    """The provider that `settings` describe. Imports its dialect, and no other. Raises ValueError."""
    if settings.dialect.startswith("_") or settings.dialect not in dialects():
        raise ValueError(f"provider {settings.name!r}: unknown dialect {settings.dialect!r}, have {dialects()}")
    module = import_module(f".{settings.dialect}", __name__)
    provider: Provider = module.connect(settings)
    return provider


def prepare() -> None:
    """Import what every dialect over HTTP needs: in a thread, while the settings of a provider are on their way."""
    import_module("._shared.http_dialect", __name__)
