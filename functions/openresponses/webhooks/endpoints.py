"""What can be asked of a tenant's webhook endpoints: make, list, read, change, remove and try one, rotate its secret.

A secret is told once, by the call that makes it. At rest it is sealed for its tenant and its endpoint.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ..core.errors import DeliveryFailed, NotFound, RequestError, StorageUnavailable
from ..core.webhooks import MAX_ENDPOINTS, DeadLetter, Endpoint, Registered, SigningSecret
from .events import sample
from .notify import WebhookPorts, sealed_for, send
from .signing import hint_of, new_secret

OLD_SECRET_SECONDS = 86_400
"""How long an old secret signs too, if it is kept (`keep_old_secret_active_for_24_hours`)."""
MAX_SECRETS = 3
"""Of an endpoint that is rotated again and again within a day: the newest. Each has a signature in a header."""
TRIES = 6
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Told:
    """An endpoint with its newest secret, which nobody is told again."""

    endpoint: Endpoint
    secret: str


class StoredEndpoints:
    """The endpoints of one tenant. Each method that takes an id raises NotFound if it does not have it."""

    def __init__(self, ports: WebhookPorts) -> None:
        self._ports = ports

    async def create(self, name: str, url: str, event_types: Sequence[str]) -> Told:
        """Raises RequestError for a URL that events may not be sent to, and for one endpoint too many."""
        self._check(url)
        now, endpoint_id = int(self._ports.now()), f"we_{self._ports.new_id()}"
        secret = new_secret()
        made = Endpoint(
            id=endpoint_id,
            name=name,
            url=url,
            event_types=tuple(dict.fromkeys(event_types)),
            secrets=(await self._sealed(endpoint_id, secret),),
            hint=hint_of(secret),
            created_at=now,
            updated_at=now,
        )

        def added(there: Sequence[Endpoint]) -> tuple[list[Endpoint], Endpoint]:
            if len(there) >= MAX_ENDPOINTS:
                raise RequestError(
                    f"A tenant has {MAX_ENDPOINTS} webhook endpoints at most: remove one first",
                    code="too_many_webhook_endpoints",
                )
            return [*there, made], made

        return Told(await self._change(added), secret)

    async def listed(self) -> list[Endpoint]:
        """The newest first."""
        return [*reversed((await self._ports.endpoints.load()).endpoints)]

    async def page(self, *, limit: int, after: str | None) -> tuple[list[Endpoint], bool]:
        """One page of them, the newest first, and whether there is more. NotFound is also for an unknown cursor."""
        left = await self.listed()
        if after is not None:
            left = left[left.index(_found(left, after, "after")) + 1 :]
        return left[:limit], len(left) > limit

    async def retrieve(self, endpoint_id: str) -> Endpoint:
        return _found((await self._ports.endpoints.load()).endpoints, endpoint_id)

    async def update(
        self,
        endpoint_id: str,
        *,
        name: str | None = None,
        url: str | None = None,
        event_types: Sequence[str] | None = None,
    ) -> Endpoint:
        """What is None stays as it is. Raises RequestError for a URL that events may not be sent to."""
        if url is not None:
            self._check(url)

        def changed(endpoint: Endpoint) -> Endpoint:
            types = endpoint.event_types if event_types is None else tuple(dict.fromkeys(event_types))
            return replace(endpoint, name=name or endpoint.name, url=url or endpoint.url, event_types=types)

        return await self._update(endpoint_id, changed)

    async def delete(self, endpoint_id: str) -> None:
        """What is still to be delivered to it is given up, and no dead letter is kept of it."""

        def without(there: Sequence[Endpoint]) -> tuple[list[Endpoint], None]:
            gone = _found(there, endpoint_id)
            return [each for each in there if each is not gone], None

        await self._change(without)

    async def rotate(self, endpoint_id: str, *, keep_old: bool) -> Told:
        """A new secret. With `keep_old` the old ones sign too, for a day."""
        secret = new_secret()
        sealed = await self._sealed(endpoint_id, secret)
        now = int(self._ports.now())

        def rotated(endpoint: Endpoint) -> Endpoint:
            ends = now + OLD_SECRET_SECONDS
            old = [replace(each, until=ends if each.until is None else each.until) for each in endpoint.secrets]
            kept = [each for each in old if keep_old and (each.until or 0) > now]
            return replace(endpoint, secrets=(sealed, *kept)[:MAX_SECRETS], hint=hint_of(secret))

        return Told(await self._update(endpoint_id, rotated), secret)

    async def test(self, endpoint_id: str, event_type: str) -> int:
        """Send an event of a response that there never was. The HTTP status that the endpoint answers with.

        Raises DeliveryFailed where no answer comes.
        """
        ports = self._ports
        endpoint = await self.retrieve(endpoint_id)
        try:
            return await send(ports, sample(event_type, ports.new_id(), ports.now()), endpoint)
        except DeliveryFailed as failure:
            if failure.answered is None:
                raise
            return failure.answered

    async def dead(self, most: int) -> list[DeadLetter]:
        """The newest events that were given up, of endpoints that are gone too."""
        return await self._ports.endpoints.dead(most)

    def _check(self, url: str) -> None:
        try:
            self._ports.guard.check(url)
        except ValueError as why:
            raise RequestError(f"'url' {why}", param="url") from None

    async def _sealed(self, endpoint_id: str, secret: str) -> SigningSecret:
        return SigningSecret(await self._ports.seal.seal(sealed_for(endpoint_id), secret))

    async def _update(self, endpoint_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """What changes nothing leaves `updated_at` as it is."""
        now = int(self._ports.now())

        def updated(there: Sequence[Endpoint]) -> tuple[list[Endpoint], Endpoint]:
            old = _found(there, endpoint_id)
            new = change(old)
            new = new if new == old else replace(new, updated_at=now)
            return [new if each is old else each for each in there], new

        return await self._change(updated)

    async def _change(self, change: Callable[[Sequence[Endpoint]], tuple[list[Endpoint], T]]) -> T:
        """Of several changes at once, one succeeds and the others are tried again."""
        for attempt in range(TRIES):
            registered: Registered = await self._ports.endpoints.load()
            endpoints, told = change(registered.endpoints)
            if await self._ports.endpoints.replace(endpoints, registered.version):
                return told
            await asyncio.sleep(random.random() * 0.05 * 2**attempt)
        raise StorageUnavailable("Others change these webhook endpoints all the time: try again")


def _found(endpoints: Sequence[Endpoint], endpoint_id: str, param: str = "webhook_endpoint_id") -> Endpoint:
    for each in endpoints:
        if each.id == endpoint_id:
            return each
    raise NotFound(f"There is no webhook endpoint {endpoint_id!r}", param=param, code="webhook_endpoint_not_found")
