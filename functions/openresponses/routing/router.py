"""Asking for a turn: a target's retries, then the next target, until one begins to answer. After that it is final."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace

from ..core import deltas as d
from ..core.errors import (
    KitError,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnavailable,
    RequestError,
)
from ..core.ports import Provider, Seal, TurnStream
from ..core.settings import ProviderSettings, Settings
from ..core.turn import Turn
from ..schema.request import CreateResponse
from .catalog import Catalog
from .connections import Breaker, Connections
from .sealing import check_sealed, opened, sealed
from .targets import Target, allows, targets_of

FIRST_WAIT, LONGEST_WAIT = 0.25, 8.0
"""Seconds. A retry waits a random part of this, doubled each time (full jitter), or what `retry-after` says."""

_ENDED = "The provider's stream ended before its turn did"

Observe = Callable[[Target, KitError | None, float], None]
"""(target, what it failed with, seconds), called whenever an answer of a target is over."""


def _unobserved(target: Target, error: KitError | None, seconds: float) -> None: ...


class Router:
    """What all tenants of a sandbox share. `now` gives seconds, and need not tell the time of day."""

    def __init__(
        self,
        catalog: Catalog,
        connect: Callable[[ProviderSettings], Provider],
        settings: Settings,
        now: Callable[[], float],
        observe: Observe = _unobserved,
    ) -> None:
        self.catalog, self.settings, self.now, self.observe = catalog, settings, now, observe
        self.connections = Connections(connect)
        self.breaker = Breaker(now)

    async def aclose(self) -> None:
        await self.connections.aclose()


class RoutedModels:
    """The models that one tenant may use. `allowed` are patterns of their names; none allows all."""

    def __init__(self, router: Router, seal: Seal, allowed: Sequence[str] = ()) -> None:
        self._router, self._seal, self._allowed = router, seal, allowed

    async def admit(self, request: CreateResponse) -> None:
        await self._targets(request)
        await check_sealed(self._seal, request.input if isinstance(request.input, list) else ())

    async def listed(self) -> list[str]:
        return [model for model in await self._router.catalog.listed() if allows(self._allowed, model)]

    @asynccontextmanager
    async def ask(self, turn: Turn, served: str | None) -> AsyncGenerator[TurnStream, None]:
        """The target that `served` the turn before is asked first: only it can use the state that it gave."""
        targets = await self._targets(turn.request)
        breaker = self._router.breaker
        targets.sort(key=lambda target: (breaker.is_open(target.name), target.name != served))
        async with AsyncExitStack() as answering:
            began = self._router.now()
            target, deltas = await self._first_to_answer(targets, turn, answering)
            answer = await answering.enter_async_context(aclosing(self._until_the_end(target, deltas, began)))
            yield TurnStream(target.name, answer)

    async def _targets(self, request: CreateResponse) -> list[Target]:
        router = self._router
        return await targets_of(request, router.catalog, router.settings.default_provider, self._allowed)

    async def _first_to_answer(
        self, targets: Sequence[Target], turn: Turn, answering: AsyncExitStack
    ) -> tuple[Target, AsyncIterator[d.Delta]]:
        """Raises what the first choice failed with, where all fail."""
        began, failure = self._router.now(), None
        for target in targets:
            try:
                return target, await self._tried(target, turn, began, answering)
            except (ProviderError, RequestError) as error:
                failure = failure or error
        assert failure is not None, "there is at least one target"
        raise failure

    async def _tried(
        self, target: Target, turn: Turn, began: float, answering: AsyncExitStack
    ) -> AsyncIterator[d.Delta]:
        now, limit = self._router.now, self._router.settings.retry_seconds
        retries = 0 if self._router.breaker.is_open(target.name) else target.provider.retries
        shown = replace(await opened(self._seal, turn, target.name), model=target.model)
        for attempt in range(retries + 1):
            asked = now()
            try:
                return await answering.enter_async_context(self._begun(target, shown))
            except (ProviderError, RequestError) as error:
                self._failed(target, error, asked)
                wait = _wait(error, attempt)
                if wait is None or attempt == retries or now() - began + wait > limit:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def _begun(self, target: Target, turn: Turn) -> AsyncGenerator[AsyncIterator[d.Delta], None]:
        """An answer of which there is something: what it used up may be told before that."""
        async with (
            self._router.connections.use(target.provider) as provider,
            aclosing(provider.stream(turn)) as deltas,
        ):
            before: list[d.Delta] = []
            async for first in deltas:
                before.append(first)
                if not isinstance(first, d.Usage):
                    break
            else:
                raise ProviderUnavailable(_ENDED)
            yield _chained(before, deltas)

    async def _until_the_end(
        self, target: Target, deltas: AsyncIterator[d.Delta], began: float
    ) -> AsyncGenerator[d.Delta, None]:
        finished = False
        try:
            async for delta in deltas:
                finished = finished or isinstance(delta, d.Finish)
                yield await sealed(self._seal, delta, target.name)
            if not finished:
                raise ProviderUnavailable(_ENDED)
        except ProviderError as error:
            self._failed(target, error, began)
            raise
        self._router.breaker.succeeded(target.name)
        self._router.observe(target, None, self._router.now() - began)

    def _failed(self, target: Target, error: ProviderError | RequestError, began: float) -> None:
        self._router.observe(target, error, self._router.now() - began)
        if not isinstance(error, ProviderRejected | RequestError):  # those say nothing about the target
            busy_for = error.retry_after if isinstance(error, ProviderThrottled) else None
            self._router.breaker.failed(target.name, busy_for=busy_for)


def _wait(error: KitError, attempt: int) -> float | None:
    """Seconds until the same may be tried again; None where that can't help."""
    match error:
        case ProviderThrottled(retry_after=float() | int() as seconds):
            return seconds
        case ProviderThrottled() | ProviderUnavailable():
            return random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))
        case _:
            return None


async def _chained(before: list[d.Delta], rest: AsyncIterator[d.Delta]) -> AsyncGenerator[d.Delta, None]:
    for delta in before:
        yield delta
    async for delta in rest:
        yield delta
