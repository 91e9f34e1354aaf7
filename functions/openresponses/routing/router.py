"""Asking for a turn: a target's retries, then the next target, until one begins to answer. After that it is final."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from copy import copy
from dataclasses import replace
from typing import Protocol, TypeAlias, TypeVar

from ..core import deltas as d
from ..core.bill import Pricing, Service, unpriced
from ..core.errors import (
    KitError,
    NotFound,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnavailable,
    RequestError,
)
from ..core.estimate import tokens_in
from ..core.ports import Counted, Counts, Provider, Seal, TurnStream
from ..core.run import OfferedTool
from ..core.settings import ProviderSettings, Settings
from ..core.spans import asking
from ..core.timeline import failed, skipped
from ..core.turn import Turn
from ..schema.items import Compaction, Item
from ..schema.request import CreateResponse
from ..schema.timeline import Attempt
from .catalog import Catalog
from .connections import Breaker, Connections
from .sealing import check_sealed, opened, sealed, with_sealed_credentials
from .targets import Skip, Target, check_models_of, named, targets_of, unnoticed

FIRST_WAIT, LONGEST_WAIT = 0.25, 8.0
"""Seconds. A retry waits a random part of this, doubled each time (full jitter), or what `retry-after` says."""

CIRCUIT_OPEN = "it kept failing, so it is asked last"
MAX_NAMED = 100
"""Characters of a model's name that an error repeats."""
_ENDED = "The provider's stream ended before its turn did"

Observe = Callable[[Target, KitError | None, float, bool], None]
"""(target, error, seconds, instead), called whenever a target has answered a turn, or failed to. `instead`: it answered
where another one is the first choice.
"""
Shown = Callable[[Target], Awaitable[Turn]]
"""The turn as a target may see it."""
Runs: TypeAlias = Callable[[ProviderSettings, str], frozenset[str]]
"""The types of tools that a provider runs itself for a model. Raises ValueError."""
_Answer = TypeVar("_Answer")
Begin: TypeAlias = Callable[[Target, Turn], AbstractAsyncContextManager[_Answer]]
"""Asks a target once."""


def _unobserved(target: Target, error: KitError | None, seconds: float, instead: bool) -> None: ...


def _unchanged(target: str, seconds: float | None) -> None: ...


def _none(settings: ProviderSettings, model: str) -> frozenset[str]:
    return frozenset()


class Prices(Protocol):
    """What providers take for their models. To know that, something may have to be loaded."""

    def begin(self, settings: ProviderSettings, model: str) -> None:
        """Load it, beside what else is done."""
        ...

    async def ready(self, settings: ProviderSettings, model: str) -> None: ...

    def of(self, settings: ProviderSettings, model: str, service: Service) -> Pricing:
        """What a turn costs that is served so, once that is known. Waits for what isn't loaded when it is called."""
        ...


class _Unpriced:
    def begin(self, settings: ProviderSettings, model: str) -> None: ...

    async def ready(self, settings: ProviderSettings, model: str) -> None: ...

    def of(self, settings: ProviderSettings, model: str, service: Service) -> Pricing:
        return unpriced


class TenantModels:
    """The models that one tenant may use. `allowed` are patterns of their names; none allows all. A worker that goes on
    with a response knows no key: what the key that asked allows comes with the turn.

    What a provider wants echoed is sealed for the tenant here, on its way out, and opened on its way back.
    """

    def __init__(self, router: "Router", seal: Seal, allowed: Sequence[str] = ()) -> None:
        self._router, self._seal, self._allowed = router, seal, allowed

    async def admit(self, request: CreateResponse) -> None:
        targets = await self._router.targets(request, self._allowed)
        said = request.input if isinstance(request.input, list) else ()
        await check_sealed(self._seal, said, [target.name for target in targets])

    async def sealed_tools(self, tools: Sequence[OfferedTool]) -> list[OfferedTool]:
        return [await with_sealed_credentials(self._seal, tool) for tool in tools]

    async def runs(self, request: CreateResponse) -> frozenset[str]:
        targets = await self._router.targets(request, self._allowed)
        first, *others = map(self._router.runs, targets)
        return first.intersection(*others)

    async def listed(self) -> list[str]:
        return await self._router.listed(self._allowed)

    async def pricings(self, turn: Turn) -> list[tuple[str, Pricing]]:
        targets = await self._router.targets(turn.request, self._allowed or turn.allowed)
        asked = Service(turn.request.service_tier or "")
        return [(target.name, await self._router.pricing(target, asked)) for target in targets]

    async def carried(self, compactions: Sequence[Compaction]) -> list[Item]:
        from .compacted import carried

        return [item for each in compactions for item in await carried(self._seal, each)]

    @asynccontextmanager
    async def ask(self, turn: Turn, served: str | None) -> AsyncGenerator[TurnStream, None]:
        targets, shown = await self._asked(turn)
        async with (
            _naming(turn.request.model),
            self._router.ask(targets, shown, served, turn.attempts) as stream,
            aclosing(self._sealed(turn, stream)) as deltas,
        ):
            yield replace(stream, deltas=deltas)

    async def count(self, turn: Turn) -> Counted:
        async with _naming(turn.request.model):
            return await self._router.count(*await self._asked(turn))

    async def _asked(self, turn: Turn) -> tuple[list[Target], Shown]:
        """The targets that may be asked for the turn, and how each of them is shown it."""

        async def shown(target: Target) -> Turn:
            return await opened(self._seal, turn, target.name)

        allowed = self._allowed or turn.allowed
        targets = await self._router.targets(turn.request, allowed, turn.attempts)
        check_models_of(turn.upstream_tools, targets, allowed)
        return targets, shown

    async def _sealed(self, turn: Turn, stream: TurnStream) -> AsyncGenerator[d.Delta, None]:
        if turn.keeps is not None:
            from .compacted import compacted

            async for delta in compacted(self._seal, stream.deltas, stream.target, turn.keeps):
                yield delta
            return
        async for delta in stream.deltas:
            yield await sealed(self._seal, delta, stream.target) if isinstance(delta, d.Opaque) else delta


class Router:
    """Finds targets and asks them, with what all tenants of a sandbox share: its connections, and which target fails.

    `now` gives seconds, and need not tell the time of day. `observe` is told of each answer, `skip` of each target that
    is passed over, `changed` of each circuit that opens or closes.
    """

    def __init__(
        self,
        catalog: Catalog,
        connect: Callable[[ProviderSettings], Provider],
        settings: Settings,
        now: Callable[[], float],
        observe: Observe = _unobserved,
        runs: Runs = _none,
        prices: Prices | None = None,
        skip: Skip = unnoticed,
        changed: Callable[[str, float | None], None] = _unchanged,
    ) -> None:
        self._catalog, self._settings, self._now, self._observe = catalog, settings, now, observe
        self._runs, self._prices = runs, prices or _Unpriced()
        self._connections, self._breaker, self._skipped = Connections(connect), Breaker(now, changed), skip

    async def aclose(self) -> None:
        await self._connections.aclose()

    async def listed(self, allowed: Sequence[str] = ()) -> list[str]:
        """The models that are known by name, and that a request may ask for."""
        default = self._settings.default_provider
        return [model for model in await self._catalog.listed() if await named(model, self._catalog, default, allowed)]

    async def targets(
        self, request: CreateResponse, allowed: Sequence[str], attempts: list[Attempt] | None = None
    ) -> list[Target]:
        """At least one, the first choice first. `attempts` gets those of an alias that can't be asked. Raises NotFound
        or RequestError.
        """

        def skip(target: str, why: str) -> None:
            self._skipped(target, why)
            if attempts is not None:
                attempts.append(skipped(target, why))

        default = self._settings.default_provider
        try:
            return await targets_of(request, self._catalog, default, allowed, skip)
        except NotFound as error:
            from .hints import explained  # few requests need it

            said = await explained(request.model, self._catalog, default, allowed)
            raise NotFound(said, param=error.param, code=error.code) from None

    def runs(self, target: Target) -> frozenset[str]:
        """Nothing, where the settings can't work: asking the target tells why."""
        try:
            return self._runs(target.provider, target.model)
        except ValueError:
            return frozenset()

    async def pricing(self, target: Target, service: Service) -> Pricing:
        """What the target takes, known at once when it is called."""
        await self._prices.ready(target.provider, target.model)
        return self._prices.of(target.provider, target.model, service)

    @asynccontextmanager
    async def ask(
        self, targets: Sequence[Target], shown: Shown, served: str | None, attempts: list[Attempt] | None = None
    ) -> AsyncGenerator[TurnStream, None]:
        """The stream of the first target that begins to answer. The one that `served` the turn before is asked first,
        since only it can use the state that it gave; those that keep failing are asked last. `attempts` gets those of
        the others.
        """
        attempts = [] if attempts is None else attempts
        async with AsyncExitStack() as answering:
            began, service = self._now(), Service()
            ordered = self._ordered(targets, served, attempts)
            target, deltas = await self._first_to_answer(ordered, shown, self._begun, answering, attempts)
            instead = target != targets[0]
            told = self._until_the_end(target, deltas, began, service, instead=instead)
            told = await answering.enter_async_context(aclosing(told))
            yield TurnStream(target.name, told, self._prices.of(target.provider, target.model, service), instead)

    async def count(self, targets: Sequence[Target], shown: Shown) -> Counted:
        """The tokens that the target counts which a turn would be asked of, or an estimate where it doesn't count."""
        async with AsyncExitStack() as answering:
            ordered = self._ordered(targets, None, [])
            target, counted = await self._first_to_answer(ordered, shown, self._counted, answering, [])
            self._breaker.succeeded(target.name)
            return counted

    def _ordered(self, targets: Sequence[Target], served: str | None, attempts: list[Attempt]) -> list[Target]:
        wanted = sorted(targets, key=lambda target: target.name != served)
        ordered = sorted(wanted, key=lambda target: self._breaker.is_open(target.name))
        for place, target in enumerate(wanted):
            if ordered.index(target) > place:
                attempts.append(skipped(target.name, CIRCUIT_OPEN))
                self._skipped(target.name, CIRCUIT_OPEN)
        return ordered

    async def _first_to_answer(
        self,
        targets: Sequence[Target],
        shown: Shown,
        begin: Begin[_Answer],
        answering: AsyncExitStack,
        attempts: list[Attempt],
    ) -> tuple[Target, _Answer]:
        """If all fail, raises the error of the first choice."""
        began, failure = self._now(), None
        for target in targets:
            try:
                return target, await self._tried(target, shown, began, begin, answering, attempts)
            except (ProviderError, RequestError) as error:
                failure = failure or error
        assert failure is not None, "there is at least one target"
        raise failure

    async def _tried(
        self,
        target: Target,
        shown: Shown,
        began: float,
        begin: Begin[_Answer],
        answering: AsyncExitStack,
        attempts: list[Attempt],
    ) -> _Answer:
        retries = 0 if self._breaker.is_open(target.name) else target.provider.retries
        turn = replace(await shown(target), model=target.model)
        for attempt in range(retries + 1):
            asked = self._now()
            try:
                return await answering.enter_async_context(begin(target, turn))
            except (ProviderError, RequestError) as error:
                self._failed(target, error, asked)
                attempts.append(failed(target.name, error, self._now() - asked))
                wait = _wait(error, attempt)
                if wait is None or attempt == retries or self._now() - began + wait > self._settings.retry_seconds:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def _begun(self, target: Target, turn: Turn) -> AsyncGenerator[AsyncIterator[d.Delta], None]:
        """The deltas of a target once it has said something. Counts of tokens alone are no answer yet."""
        async with (
            asking(target.provider, turn) as span,
            self._connections.use(target.provider) as provider,
            aclosing(provider.stream(turn)) as deltas,
        ):
            before: list[d.Delta] = []
            async for first in deltas:
                before.append(first)
                if not isinstance(first, d.Usage):
                    break
            else:
                raise ProviderUnavailable(_ENDED)
            yield span.watched(_chained(before, deltas)) if span else _chained(before, deltas)

    @asynccontextmanager
    async def _counted(self, target: Target, turn: Turn) -> AsyncGenerator[Counted, None]:
        async with self._connections.use(target.provider) as provider:
            counted = await provider.count(turn) if isinstance(provider, Counts) else None
            yield Counted(tokens_in(turn), estimated=True) if counted is None else Counted(counted)

    async def _until_the_end(
        self,
        target: Target,
        deltas: AsyncIterator[d.Delta],
        began: float,
        service: Service,
        *,
        instead: bool,
    ) -> AsyncGenerator[d.Delta, None]:
        """The price is loaded once the client has something to read, and waited for by the last delta."""
        finished = said = False
        try:
            async for delta in deltas:
                if isinstance(delta, d.Usage):
                    service.tier = delta.tier or service.tier
                elif isinstance(delta, d.Finish):
                    await self._prices.ready(target.provider, target.model)
                    finished = True
                yield delta
                if not said and not isinstance(delta, d.Usage):
                    self._prices.begin(target.provider, target.model)
                    said = True
            if not finished:
                raise ProviderUnavailable(_ENDED)
        except ProviderError as error:
            self._failed(target, error, began)
            raise
        self._breaker.succeeded(target.name)
        self._observe(target, None, self._now() - began, instead)

    def _failed(self, target: Target, error: ProviderError | RequestError, began: float) -> None:
        self._observe(target, error, self._now() - began, False)
        if not isinstance(error, ProviderRejected | RequestError):  # those say nothing about the target
            busy_for = error.retry_after if isinstance(error, ProviderThrottled) else None
            self._breaker.failed(target.name, busy_for=busy_for)


def _wait(error: KitError, attempt: int) -> float | None:
    """Seconds until the same may be tried again; None if that can't help."""
    match error:
        case ProviderThrottled(retry_after=float() | int() as seconds):
            return seconds
        case ProviderThrottled() | ProviderUnavailable():
            return random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))
        case _:
            return None


@asynccontextmanager
async def _naming(model: str) -> AsyncGenerator[None, None]:
    """An error of a provider says what the client asked for: an alias, or a target, but no target behind an alias."""
    try:
        yield
    except ProviderError as error:
        named = copy(error)
        named.message = f"{error.message} (model: {model[:MAX_NAMED]})"
        named.args = (named.message,)
        raise named from error


async def _chained(before: list[d.Delta], rest: AsyncIterator[d.Delta]) -> AsyncGenerator[d.Delta, None]:
    for delta in before:
        yield delta
    async for delta in rest:
        yield delta
