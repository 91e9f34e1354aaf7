"""Find a dialect by the name of its folder, which has `connect(settings) -> Provider`. One whose vendors run tools
themselves has `runs(settings, model) -> frozenset[str]` too: the types of those.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from ..core.ports import Provider
from ..core.settings import ProviderSettings


def dialects() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def connect(settings: ProviderSettings) -> Provider:
    """The provider that `settings` describe. Imports its dialect, and no other. Raises ValueError."""
    provider: Provider = _module(settings).connect(settings)
    return provider


def runs(settings: ProviderSettings, model: str) -> frozenset[str]:
    """The types of OpenAI's tools that the provider runs itself. Connects to nobody. Raises ValueError."""
    types: frozenset[str] = getattr(_module(settings), "runs", _nothing)(settings, model)
    return types


def vendor_of(settings: ProviderSettings) -> str:
    """The preset's name of whoever serves the models; empty if nobody knows. A dialect that needs no address speaks to
    its own vendor.
    """
    vendor: str = import_module("._shared.options", __name__).vendor_of(settings)
    return vendor or ("" if settings.base_url else settings.dialect)


def _nothing(_settings: ProviderSettings, _model: str) -> frozenset[str]:
    return frozenset()


def _module(settings: ProviderSettings) -> ModuleType:
    if settings.dialect.startswith("_") or settings.dialect not in dialects():
        raise ValueError(f"provider {settings.name!r}: unknown dialect {settings.dialect!r}, have {dialects()}")
    return import_module(f".{settings.dialect}", __name__)


def prepare() -> None:
    """Make ready what every dialect over HTTP needs: in a thread, while the settings of a provider are on their way."""
    import_module("._shared.http_dialect", __name__)
    import_module("..transport.http", __name__).tls()
