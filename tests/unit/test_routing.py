"""Which targets may serve a request, how they are tried, and what becomes of those that fail."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import (
    KitError,
    NotFound,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnavailable,
    RequestError,
    StreamViolation,
)
from openresponses.core.estimate import tokens_in
from openresponses.core.patterns import allows
from openresponses.core.ports import Counted, TurnStream
from openresponses.core.run import OfferedTool
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.core.turn import Turn, turn_of
from openresponses.entry.settings import OFFLINE
from openresponses.routing.catalog import Catalog
from openresponses.routing.connections import FAILURES, MAX_TARGETS, OPEN_SECONDS, Breaker
from openresponses.routing.router import CIRCUIT_OPEN, Router, TenantModels
from openresponses.routing.targets import NOT_CONFIGURED, Target, targets_of
from openresponses.schema.request import CreateResponse
from openresponses.storage.memory.parameters import MemoryParameters
from tests.unit.kit import Said, new_run
from tests.unit.test_sealing import PlainSeal

DONE: list[Said] = [d.Text(0, "hello"), d.Finish("stop")]
DOWN = ProviderUnavailable("down")


def provider(dialect: str = "chat_completions", **settings: Any) -> str:
    return json.dumps({"dialect": dialect, **settings})


PARAMETERS = {
    "providers/openai": provider(models=["gpt", "gpt-mini"], retries=2),
    "providers/hf": provider(models=["moonshotai/Kimi:nebius"], retries=0),
    "providers/other": provider(retries=0),
    "models/fast": json.dumps({"targets": ["openai/gpt-mini", "hf/small", "gone/model"]}),
    "models/lost": json.dumps({"targets": ["gone/model"]}),
}


def asked(model: str, **preferences: Any) -> CreateResponse:
    return CreateResponse.model_validate(
        {"model": model, "input": "hi", **({"provider": preferences} if preferences else {})}
    )


async def names(model: str, allowed: Sequence[str] = (), default: str = "openai", **preferences: Any) -> list[str]:
    catalog = Catalog(MemoryParameters(PARAMETERS), [OFFLINE])
    return [target.name for target in await targets_of(asked(model, **preferences), catalog, default, allowed)]


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        ("offline/demo", ["offline/demo"]),
        ("openai/gpt", ["openai/gpt"]),
        ("openai/not-listed", ["openai/not-listed"]),
        ("hf/moonshotai/Kimi:nebius", ["hf/moonshotai/Kimi:nebius"]),
        ("gpt", ["openai/gpt"]),
        ("moonshotai/Kimi", ["openai/moonshotai/Kimi"]),
        ("fast", ["openai/gpt-mini", "hf/small"]),
    ],
)
async def test_a_model_is_a_target_an_alias_or_a_name_for_the_default_provider(model: str, targets: list[str]) -> None:
    assert await names(model) == targets


@pytest.mark.parametrize(
    ("model", "default"),
    [("offline/other", "openai"), ("openai/", "openai"), ("x", "offline"), ("x", "no"), ("lost", "hf")],
)
async def test_a_model_that_nobody_has_is_not_found(model: str, default: str) -> None:
    with pytest.raises(NotFound) as caught:
        await names(model, default=default)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("preferences", "targets"),
    [
        ({"order": ["hf"]}, ["hf/small", "openai/gpt-mini"]),
        ({"order": ["hf/small"]}, ["hf/small", "openai/gpt-mini"]),
        ({"order": ["hf"], "allow_fallbacks": False}, ["hf/small"]),
        ({"allow_fallbacks": False}, ["openai/gpt-mini"]),
        ({"order": ["other/x", "hf"]}, ["other/x", "hf/small", "openai/gpt-mini"]),
        ({"order": ["hf", "hf/small"]}, ["hf/small", "openai/gpt-mini"]),
    ],
)
async def test_a_request_chooses_among_an_aliass_targets(preferences: dict[str, Any], targets: list[str]) -> None:
    assert await names("fast", **preferences) == targets


async def test_a_model_that_is_no_alias_may_be_asked_of_other_providers_by_its_name() -> None:
    assert await names("openai/gpt", order=["other", "openai"]) == ["other/gpt", "openai/gpt"]


@pytest.mark.parametrize("order", [["nobody"], ["hf", "nobody/x"], ["other"]])
async def test_an_order_that_names_no_target_is_refused(order: list[str]) -> None:
    with pytest.raises(RequestError) as caught:
        await names("fast", order=order)
    assert (caught.value.param, caught.value.code) == (f"provider.order[{len(order) - 1}]", "unknown_provider")


@pytest.mark.parametrize("allowed", [["fast"], ["openai/*", "hf/*"], ["*"], ["hf/x", "f?st"]])
async def test_a_key_that_allows_an_alias_or_all_of_its_targets_may_use_it(allowed: list[str]) -> None:
    expected = ["openai/gpt-mini", "hf/small"]
    if "openai/*" in allowed:
        with pytest.raises(NotFound):  # an alias can be repointed: only its own name allows it
            await names("fast", allowed)
    else:
        assert await names("fast", allowed) == expected


@pytest.mark.parametrize(
    ("model", "allowed", "targets"),
    [
        ("gpt", ["openai/*"], ["openai/gpt"]),
        ("gpt", ["gpt"], None),  # a name without a provider is an alias's, or nobody's
        ("gone/small", ["gone/*"], None),  # what would be asked is openai/gone/small
        ("gone/small", ["openai/gone/*"], ["openai/gone/small"]),
        ("openai/gpt", ["OpenAI/*"], None),
        ("offline/demo", ["offline/dem?"], ["offline/demo"]),
        ("*", ["hf/*"], None),
        ("hf/*", ["hf/x"], None),
        ("openai/gpt", ["gpt"], None),
        ("gpt", ["hf/*"], None),
        ("fast", ["hf/*"], None),
    ],
)
async def test_what_a_key_does_not_allow_looks_like_what_does_not_exist(
    model: str, allowed: list[str], targets: list[str] | None
) -> None:
    if targets is not None:
        assert await names(model, allowed) == targets
        return
    with pytest.raises(NotFound) as caught:
        await names(model, allowed)
    assert caught.value.message == f"The model {model!r} does not exist here"


async def test_a_preference_opens_no_way_to_a_model_that_the_key_does_not_allow() -> None:
    with pytest.raises(RequestError) as hidden:
        await names("openai/gpt", ["openai/*"], order=["hf/secret"])
    with pytest.raises(RequestError) as missing:
        await names("openai/gpt", ["openai/*"], order=["no/secret"])
    assert hidden.value.message.replace("hf", "no") == missing.value.message


@pytest.mark.parametrize(
    "order", ["other/x", "other", "hf/gpt-mini", "openai/gpt", "openai/small", "fast", "hf/*", "HF"]
)
async def test_a_key_for_an_alias_may_put_the_aliass_own_targets_in_order_and_no_others(order: str) -> None:
    assert await names("fast", ["fast"], order=["hf"]) == ["hf/small", "openai/gpt-mini"]
    assert await names("fast", ["fast"], order=["hf/small"], allow_fallbacks=False) == ["hf/small"]
    with pytest.raises(RequestError, match="has no target for this model"):
        await names("fast", ["fast"], order=[order])


async def test_what_a_key_is_shown_is_what_it_may_ask_for() -> None:
    catalog = Catalog(MemoryParameters(PARAMETERS), [OFFLINE])
    known = await catalog.listed()
    for default in ("openai", "offline", ""):
        house = Router(catalog, Scripted({}).connect, Settings(default_provider=default), lambda: 0.0)
        for allowed in ([], ["*"], ["fast"], ["lost"], ["openai/*"], ["hf/moonshotai/*", "f?st"], ["offline/demo"]):
            shown = await TenantModels(house, PlainSeal(), allowed).listed()
            asked_for = {model for model in known if model != "lost" and (not allowed or allows(allowed, model))}
            assert set(shown) == asked_for
            for model in shown:
                await house.targets(asked(model), allowed)


async def test_a_worker_knows_what_the_key_that_asked_may_use() -> None:
    """It knows no key. Where the provider `gone` is gone meanwhile, its model would be another one's."""
    house = Clocked({"openai": [DONE]})
    run = new_run()
    run.request, run.allowed = asked("gone/small"), ["gone/*"]
    with pytest.raises(NotFound):
        async with TenantModels(house.router, PlainSeal()).ask(turn_of(run, run.request.model), None):
            pass
    assert house.providers.asked == []


async def test_a_model_that_a_tool_would_ask_is_limited_too() -> None:
    draws = OfferedTool(
        name="upstream:image_generation", kind="upstream", item_type="image_generation", wire_name="image_generation",
        parameters={"type": "image_generation", "model": "gpt-image"},
    )  # fmt: skip
    house = Clocked({"openai": [DONE]})
    run = new_run()
    run.request, run.tools = asked("openai/gpt"), [draws]
    for allowed, tried in ((["openai/gpt"], False), (["openai/*"], True), ([], True)):
        models = TenantModels(house.router, PlainSeal(), allowed)
        if tried:
            async with models.ask(turn_of(run, "openai/gpt"), None) as answer:
                assert answer.target == "openai/gpt"
        else:
            with pytest.raises(NotFound, match="'gpt-image' does not exist here"):
                async with models.ask(turn_of(run, "openai/gpt"), None):
                    pass


async def test_what_only_a_client_names_is_told_from_what_the_operator_does() -> None:
    catalog = Catalog(MemoryParameters(PARAMETERS), [OFFLINE])
    for model, named in (("openai/gpt", True), ("openai/made-up", False), ("gpt-made-up", False)):
        assert [target.named for target in await targets_of(asked(model), catalog, "openai")] == [named]
    assert [target.named for target in await targets_of(asked("fast"), catalog, "openai")] == [True, True]


async def test_the_catalog_lists_aliases_and_what_providers_list() -> None:
    catalog = Catalog(MemoryParameters(PARAMETERS), [OFFLINE])
    assert await catalog.listed() == [
        "fast", "lost", "offline/demo", "hf/moonshotai/Kimi:nebius", "openai/gpt", "openai/gpt-mini",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{not json", "value: Invalid JSON"),
        ('{"api_key": "sk-secret"}', "dialect: Field required"),
        ('{"dialect": "x", "apikey": "sk-secret"}', "apikey: there is no such field"),
        ('{"dialect": "x", "idle_timeout": -1}', "idle_timeout: Input should be greater"),
    ],
)
async def test_a_parameter_that_is_not_valid_is_told_of_without_its_secrets(text: str, said: str) -> None:
    catalog = Catalog(MemoryParameters({"providers/p": text}))
    with pytest.raises(ProviderMisconfigured) as caught:
        await catalog.provider("p")
    assert f"'providers/p' is not valid: {said}" in caught.value.message
    assert "sk-secret" not in caught.value.message


@dataclass
class Scripted:
    """Providers by name: what each says to one request after another, the last one for ever."""

    says: dict[str, list[list[Said]]]
    asked: list[tuple[str, Turn]] = field(default_factory=list[tuple[str, Turn]])
    closed: list[str] = field(default_factory=list[str])

    def connect(self, settings: ProviderSettings) -> Any:
        scripts, script = self, self.says[settings.name]

        class Provider:
            async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
                scripts.asked.append((settings.name, turn))
                for said in script.pop(0) if len(script) > 1 else script[0]:
                    if isinstance(said, BaseException):
                        raise said
                    yield said

            async def aclose(self) -> None:
                scripts.closed.append(settings.base_url)

        class Counting(Provider):
            async def count(self, turn: Turn) -> Any:
                scripts.asked.append((settings.name, turn))
                said: Any = (script.pop(0) if len(script) > 1 else script[0])[0]
                if isinstance(said, BaseException):
                    raise said
                return said

        return Provider() if isinstance(script[0][0] if script[0] else None, d.Text) else Counting()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


@dataclass
class Clocked:
    """A router whose clock stands still until it is moved."""

    says: dict[str, list[list[Said]]]
    scripted: type[Scripted] = Scripted
    time: float = 0.0
    fallbacks: int = 0
    seen: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])

    def __post_init__(self) -> None:
        self.providers = self.scripted(self.says)
        self.parameters = dict(PARAMETERS)
        settings = Settings(default_provider="openai")
        catalog = Catalog(MemoryParameters(self.parameters), [OFFLINE])
        self.router = Router(catalog, self.providers.connect, settings, lambda: self.time, self._observe)

    def _observe(self, target: Target, error: KitError | None, seconds: float, instead: bool) -> None:
        self.fallbacks += instead
        self.seen.append((target.name, type(error).__name__ if error else None))

    async def ask(self, model: str = "fast", served: str | None = None, **request: Any) -> tuple[str, list[d.Delta]]:
        run = new_run()
        run.request = asked(model, **request)
        async with TenantModels(self.router, PlainSeal()).ask(turn_of(run, run.request.model), served) as answer:
            return answer.target, [delta async for delta in answer.deltas]

    async def count(self, model: str = "fast", allowed: Sequence[str] = (), **request: Any) -> Counted:
        run = new_run()
        run.request = asked(model, **request)
        return await TenantModels(self.router, PlainSeal(), allowed).count(turn_of(run, run.request.model))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between retries, which nobody waits for."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("openresponses.routing.router.asyncio.sleep", sleep)
    return waits


@pytest.mark.parametrize("error", [ProviderThrottled("slow down"), DOWN])
async def test_a_request_that_may_succeed_later_is_tried_again(error: KitError, no_waiting: list[float]) -> None:
    house = Clocked({"openai": [[error], [d.Usage(new_run().usage), error], DONE]})
    assert await house.ask() == ("openai/gpt-mini", DONE)
    assert house.seen == [("openai/gpt-mini", type(error).__name__)] * 2 + [("openai/gpt-mini", None)]
    assert len(no_waiting) == 2
    assert 0 <= no_waiting[0] <= 0.25
    assert 0 <= no_waiting[1] <= 0.5


async def test_a_provider_that_says_when_to_come_back_is_taken_at_its_word(no_waiting: list[float]) -> None:
    house = Clocked({"openai": [[ProviderThrottled("slow", retry_after=7)], DONE]})
    assert await house.ask("gpt") == ("openai/gpt", DONE)
    assert no_waiting == [7]


async def test_a_wait_that_is_too_long_is_not_waited_for(no_waiting: list[float]) -> None:
    house = Clocked({"openai": [[ProviderThrottled("slow", retry_after=31)]], "hf": [DONE]})
    assert await house.ask() == ("hf/small", DONE)
    assert no_waiting == []


@pytest.mark.parametrize(
    "error",
    [ProviderRejected("no"), ProviderMisconfigured("bad key"), StreamViolation("html"), RequestError("no video")],
)
async def test_a_request_that_will_never_succeed_there_goes_to_the_next_target_at_once(error: KitError) -> None:
    house = Clocked({"openai": [[error]], "hf": [DONE]})
    assert await house.ask() == ("hf/small", DONE)
    assert house.providers.names == ["openai", "hf"]


async def test_where_every_target_fails_the_client_hears_of_the_first() -> None:
    house = Clocked({"openai": [[ProviderRejected("first")]], "hf": [[DOWN]]})
    with pytest.raises(ProviderRejected, match="first"):
        await house.ask()


async def test_a_stream_that_ends_before_it_began_is_tried_again() -> None:
    house = Clocked({"openai": [[], DONE]})
    assert (await house.ask())[0] == "openai/gpt-mini"


async def test_after_the_first_delta_nobody_else_is_asked() -> None:
    house = Clocked({"openai": [[d.Text(0, "hel"), DOWN]], "hf": [DONE]})
    with pytest.raises(ProviderUnavailable):
        await house.ask()
    assert house.providers.names == ["openai"]
    assert house.seen == [("openai/gpt-mini", "ProviderUnavailable")]


async def test_a_stream_that_is_cut_counts_as_a_failure() -> None:
    house = Clocked({"openai": [[d.Text(0, "hel")]]})
    with pytest.raises(ProviderUnavailable, match="ended before its turn"):
        await house.ask()
    assert house.seen == [("openai/gpt-mini", "ProviderUnavailable")]


async def test_each_target_is_told_its_own_name_of_the_model() -> None:
    house = Clocked({"openai": [[DOWN]], "hf": [DONE]})
    await house.ask()
    assert [(name, turn.model) for name, turn in house.providers.asked] == [("openai", "gpt-mini")] * 3 + [
        ("hf", "small")
    ]


async def test_the_target_of_the_turn_before_is_asked_first() -> None:
    house = Clocked({"openai": [DONE], "hf": [DONE]})
    assert (await house.ask(served="hf/small"))[0] == "hf/small"
    assert house.fallbacks == 1
    assert (await house.ask(served="gone/model"))[0] == "openai/gpt-mini"
    assert house.fallbacks == 1


async def test_a_target_that_keeps_failing_is_asked_last_and_once_until_it_has_recovered() -> None:
    house = Clocked({"openai": [*[[DOWN]] * 6, DONE], "hf": [*[DONE] * 3, [DOWN]]})
    for _ in range(2):
        assert (await house.ask())[0] == "hf/small"
    assert house.providers.names == ["openai"] * 3 + ["hf"] + ["openai"] * 3 + ["hf"]
    assert FAILURES <= 6
    house.providers.asked.clear()
    assert (await house.ask())[0] == "hf/small"
    assert (await house.ask())[0] == "openai/gpt-mini"  # where nobody else answers
    assert house.providers.names == ["hf", "hf", "openai"]
    house.providers.asked.clear()
    assert (await house.ask())[0] == "openai/gpt-mini"
    assert house.providers.names == ["openai"]


async def test_a_circuit_closes_with_time() -> None:
    house = Clocked({"openai": [[DOWN]], "hf": [DONE]})
    for _ in range(2):
        await house.ask()
    house.providers.asked.clear()
    house.time = OPEN_SECONDS
    await house.ask()
    assert house.providers.names == ["openai"] * 3 + ["hf"]


async def test_the_first_target_counts_by_its_own_name_of_the_model() -> None:
    house = Clocked({"openai": [[7]], "hf": [[9]]})  # type: ignore[list-item]
    assert await house.count() == Counted(7)
    assert [(name, turn.model) for name, turn in house.providers.asked] == [("openai", "gpt-mini")]
    assert await house.count(order=["hf"]) == Counted(9)


async def test_a_provider_that_does_not_count_is_estimated() -> None:
    house = Clocked({"openai": [[None]], "hf": [DONE]})  # type: ignore[list-item]
    counted = await house.count("gpt")
    assert counted == Counted(tokens_in(turn_of(new_run(), "gpt")), estimated=True)
    assert await house.count("hf/small") == counted


async def test_a_count_that_fails_is_told_as_a_turn_s_failure_is() -> None:
    house = Clocked({"openai": [[ProviderThrottled("slow")], [7]], "hf": [[9]]})  # type: ignore[list-item]
    assert await house.count() == Counted(7), "tried again"
    house = Clocked({"openai": [[ProviderMisconfigured("key")]], "hf": [[9]]})  # type: ignore[list-item]
    assert await house.count() == Counted(9), "then the next target"
    house = Clocked({"openai": [[ProviderMisconfigured("key")]], "hf": [[DOWN]]})
    with pytest.raises(ProviderMisconfigured, match="key"):
        await house.count()


async def test_a_target_whose_counts_keep_failing_is_asked_last() -> None:
    house = Clocked({"openai": [[DOWN]], "hf": [[9]]})  # type: ignore[list-item]
    for _ in range(2):
        await house.count()
    house.providers.asked.clear()
    assert await house.count() == Counted(9)
    assert house.providers.names == ["hf"]


async def test_a_key_counts_for_its_own_models_only() -> None:
    house = Clocked({"openai": [[7]], "hf": [[9]]})  # type: ignore[list-item]
    with pytest.raises(NotFound):
        await house.count("gpt", allowed=["hf/*"])
    assert not house.providers.asked


async def test_settings_that_cannot_work_are_an_operators_business() -> None:
    class Refusing(Scripted):
        def connect(self, settings: ProviderSettings) -> Any:
            raise ValueError("provider 'openai': base_url must be an http or https URL")

    house = Clocked({}, Refusing)
    with pytest.raises(ProviderMisconfigured, match="base_url must be"):
        await house.ask()


async def test_a_provider_whose_settings_change_is_connected_anew_and_the_old_one_closed_when_it_is_idle() -> None:
    house = Clocked({"openai": [DONE]})
    house.parameters["providers/openai"] = provider(base_url="old")
    models = TenantModels(house.router, PlainSeal())
    run = new_run()
    run.request = asked("gpt")
    async with models.ask(turn_of(run, run.request.model), None) as first:
        assert isinstance(first, TurnStream)
        house.parameters["providers/openai"] = provider(base_url="new")
        assert await house.ask("gpt") == ("openai/gpt", DONE)
        assert house.providers.closed == []
        assert [delta async for delta in first.deltas] == DONE
    assert house.providers.closed == ["old"]
    await house.router.aclose()
    assert house.providers.closed == ["old", "new"]


async def test_an_alias_that_is_repointed_is_in_force_at_the_next_turn() -> None:
    house = Clocked({"openai": [DONE], "hf": [DONE]})
    assert (await house.ask())[0] == "openai/gpt-mini"
    house.parameters["models/fast"] = json.dumps({"targets": ["hf/small"]})
    assert (await house.ask(served="openai/gpt-mini"))[0] == "hf/small"


def test_settings_are_values() -> None:
    one = ProviderSettings(name="p", dialect="x", api_key="k")
    assert one == replace(one)
    assert "k'" not in repr(one)


def test_targets_that_clients_make_up_do_not_fill_the_breakers_memory() -> None:
    breaker = Breaker(lambda: 0.0)
    for _ in range(FAILURES):
        breaker.failed("openai/gpt")
    for n in range(MAX_TARGETS - 1):
        breaker.failed(f"openai/made-up-{n}")
    assert breaker.is_open("openai/gpt")
    breaker.failed("openai/one-more")
    assert not breaker.is_open("openai/gpt")  # it failed least recently


async def test_what_is_passed_over_is_noticed_and_so_is_a_circuit_that_opens_and_closes() -> None:
    house, skipped, circuits = Clocked({"openai": [[DOWN]] * 6, "hf": [DONE]}), list[tuple[str, str]](), list[object]()
    house.providers.says["openai"].append(DONE)
    house.router = Router(
        Catalog(MemoryParameters(house.parameters), [OFFLINE]),
        house.providers.connect,
        Settings(default_provider="openai"),
        lambda: house.time,
        skip=lambda *told: skipped.append(told),
        changed=lambda *told: circuits.append(told),
    )
    for _ in range(3):
        assert (await house.ask())[0] == "hf/small"
    gone, last = ("gone/model", NOT_CONFIGURED), ("openai/gpt-mini", CIRCUIT_OPEN)
    assert skipped == [gone, gone, gone, last]
    assert circuits == [("openai/gpt-mini", OPEN_SECONDS)]
    house.time = OPEN_SECONDS
    assert (await house.ask())[0] == "openai/gpt-mini"
    assert circuits[1:] == [("openai/gpt-mini", None)]
