"""Which provider serves a model."""

from __future__ import annotations

import pytest
from openresponses.core.errors import NotFound
from openresponses.core.ports import Provider
from openresponses.core.routing import Router
from openresponses.core.settings import ProviderSettings, Settings

from tests.unit.kit import Script

PROVIDERS = {
    "offline": ProviderSettings(name="offline", dialect="offline", models=("demo",)),
    "router": ProviderSettings(name="router", dialect="chat_completions", models=("a/b", "c")),
}


class Closing(Script):
    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


def router(default: str = "router") -> tuple[Router, list[str], Closing]:
    connected: list[str] = []
    provider = Closing([])

    def connect(settings: ProviderSettings) -> Provider:
        connected.append(settings.name)
        return provider

    return Router(Settings(providers=PROVIDERS, default_provider=default), connect), connected, provider


@pytest.mark.parametrize(
    ("model", "provider", "upstream"),
    [
        ("offline/demo", "offline", "demo"),
        ("router/a/b", "router", "a/b"),
        ("a/b", "router", "a/b"),
        ("c", "router", "c"),
        ("unlisted", "router", "unlisted"),
        ("router/", "router", "router/"),
    ],
)
def test_a_model_goes_to_the_provider_it_names_or_to_the_default(model: str, provider: str, upstream: str) -> None:
    routes, connected, _ = router()
    assert routes.resolve(model)[1] == upstream
    assert connected == [provider]


@pytest.mark.parametrize(("model", "default"), [("offline/other", "router"), ("x", "offline"), ("x", "nobody")])
def test_a_model_that_nobody_has_is_not_found(model: str, default: str) -> None:
    with pytest.raises(NotFound) as caught:
        router(default)[0].resolve(model)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_a_provider_is_connected_once_and_closed_at_the_end() -> None:
    routes, connected, provider = router()
    assert routes.resolve("c")[0] is routes.resolve("a/b")[0]
    await routes.aclose()
    assert (connected, provider.closed) == (["router"], 1)
    assert routes.listed() == ["offline/demo", "router/a/b", "router/c"]
