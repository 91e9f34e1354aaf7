"""No name, order, alias or spelling leads to a model that a key does not allow, with whoever goes on with it."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import NotFound, ProviderError, ProviderUnavailable, RequestError
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.core.turn import Turn, turn_of
from openresponses.entry.settings import OFFLINE
from openresponses.routing.catalog import Catalog
from openresponses.routing.router import Router, TenantModels
from openresponses.schema.request import CreateResponse
from openresponses.storage.memory.parameters import MemoryParameters
from tests.sweeps import Sweep
from tests.unit.kit import new_run
from tests.unit.test_sealing import PlainSeal

ALIASES = {"fast": ["chat/small", "other/small"], "openai": ["chat/large"], "lost": ["gone/small"]}
PROVIDERS = {"chat": ["small", "large", "gone/small"], "other": ["small", "chat/small"], "c": []}
PARAMETERS = {
    **{f"providers/{name}": json.dumps({"dialect": "x", "models": models}) for name, models in PROVIDERS.items()},
    **{f"models/{name}": json.dumps({"targets": targets}) for name, targets in ALIASES.items()},
}
LIMITS = (
    *(["gone/*"], ["openai/*"], ["fast"], ["openai"], ["lost"], ["small"], ["chat/small"], ["other/*"], ["*/large"]),
    *(["chat/gone/*"], ["offline/*"], ["f?st"], ["chat"], ["c*t/small"], ["[a-b]ther/*"], ["CHAT/*"], ["fast", "c/*"]),
)
NAMES = [
    *("fast", "openai", "lost", "small", "large", "chat/small", "chat/large", "other/small", "other/chat/small"),
    *("gone/small", "chat/gone/small", "openai/small", "openai/gone/small", "offline/demo", "c/small", "c/x"),
    # Spellings that could be read as another name: by our code, SSM, or a pattern.
    *("*", "*/*", "chat/*", "ch?t/small", "[c]hat/small", "Chat/small", "CHAT/LARGE", "chat/Large", " chat/large"),
    *(
        "chat/large ",
        "chat//large",
        "/chat/large",
        "chat/large/",
        "./chat/large",
        "chat/./large",
        "other/../chat/large",
    ),
    *(
        "chat%2Flarge",
        "chat/large\x00",
        "chat/large\n",
        "chat\\large",
        "fast/",
        "fast/chat/large",
        "fast/fast",
        "models/fast",
    ),
    *("providers/chat/large", "chat/fast", "gone/../chat/large", "gone/chat/large", "chat", "other", "\uff43hat/large"),
    *("chat/small,chat/large", "chat/small chat/large", '["chat/large"]', "chat/small:large", "chat/small@large"),
]
ORDERS: list[list[str] | None] = [
    None,
    *([name] for name in NAMES[:24]),
    *([first, "chat/large"] for first in ("chat", "other", "fast", "chat/small", "other/small")),
]


@dataclass
class Asked:
    """Every provider, none of which answers, so that each fallback is asked too."""

    targets: list[str] = field(default_factory=list[str])

    def connect(self, settings: ProviderSettings) -> Any:
        targets = self.targets

        class Provider:
            async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
                targets.append(f"{settings.name}/{turn.model}")
                raise ProviderUnavailable("down")
                yield d.Finish("stop")

            async def aclose(self) -> None: ...

        return Provider()


def may(limit: list[str], model: str, target: str) -> bool:
    """Written without a look at the router: the target by its own name, or an alias by its name."""
    allowed = any(fnmatchcase(target, pattern) for pattern in limit)
    return allowed or (target in ALIASES.get(model, ()) and any(fnmatchcase(model, pattern) for pattern in limit))


@pytest.mark.timeout(300)
async def test_no_way_leads_to_a_model_outside_of_a_keys_limit(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog, asked = Catalog(MemoryParameters(PARAMETERS), [OFFLINE]), Asked()
    ways = [*itertools.product(LIMITS, NAMES, ORDERS, (True, False), ("chat", "other", ""), ("api", "worker"))]
    seen, through, reached, run = 0, list[Any](), set[str](), new_run()
    plain = [(limit, name, None, True, "chat", "api") for limit in LIMITS for name in NAMES]
    for limit, name, order, fallbacks, default, where in [*plain, *sweep.sample(ways, 4_000)]:
        settings = Settings(default_provider=default, retry_seconds=0)
        router = Router(catalog, asked.connect, settings, lambda: 0.0)
        preferences = {"order": order, "allow_fallbacks": fallbacks}
        run.request = CreateResponse.model_validate({"model": name, "input": "x", "provider": preferences})
        models = TenantModels(router, PlainSeal(), limit if where == "api" else ())
        run.allowed = limit if where == "worker" else []
        turn = turn_of(run, name)
        asked.targets.clear()
        seen += 1
        for served in (None, "chat/large"):
            try:
                async with models.ask(turn, served):
                    raise AssertionError("no provider answers")
            except (NotFound, RequestError, ProviderError):
                pass
        for target in asked.targets:
            reached.add(target)
            if not may(limit, name, target):
                through.append((limit, name, order, default, where, target))
    with capsys.disabled():
        print(f"\na key's limit: {seen} ways tried of {len(ways)}, {len(reached)} models asked, {len(through)} through")
    assert through == []
    assert {"chat/small", "other/small"} <= reached  # or else the tries would prove nothing


async def test_what_a_key_is_shown_is_what_it_reaches() -> None:
    """For each limit: a name that is listed can be asked for, and one that can't isn't listed."""
    catalog = Catalog(MemoryParameters(PARAMETERS), [OFFLINE])
    known = [*ALIASES, *(f"{name}/{model}" for name, models in PROVIDERS.items() for model in models), "offline/demo"]
    for limit, default in itertools.product(LIMITS, ("chat", "other", "")):
        router = Router(catalog, Asked().connect, Settings(default_provider=default), lambda: 0.0)
        models = TenantModels(router, PlainSeal(), limit)
        answers = dict[str, bool]()
        for name in known:
            try:
                await models.admit(CreateResponse(model=name, input="x"))
                answers[name] = True
            except NotFound:
                answers[name] = False
        assert {name for name, there in answers.items() if there} == set(await models.listed()), (limit, default)
