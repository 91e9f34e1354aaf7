"""Idempotency keys: a request that is sent again gets the response of the one that came first."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from ..core.errors import IdempotencyKeyReused, KitError, NotFound
from ..core.ports import Storage
from ..core.records import Claim
from ..durable.tail import require

PATIENCE = 5.0
"""Seconds that the request which came first is given to store its response."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """`name` is what the client calls its request by. The hash tells whether the same request comes again."""

    name: str
    body_hash: str

    @classmethod
    def of(cls, name: str, body: bytes) -> "IdempotencyKey":
        return cls(name, sha256(body).hexdigest())

    def claim(self, response_id: str) -> Claim:
        return Claim(response_id, self.body_hash)


async def claim(storage: Storage, key: IdempotencyKey, response_id: str, now: Callable[[], float]) -> str:
    """The id of the response that `key` stands for: `response_id`, or an earlier one, which is stored then.

    Raises IdempotencyKeyReused if the key came with another body, NotFound if the earlier response does not appear.
    """
    held = await storage.claims.claim(key.name, key.claim(response_id))
    if held.body_hash != key.body_hash:
        raise IdempotencyKeyReused
    if held.response_id != response_id:
        await _appeared(storage, held.response_id, now)
    return held.response_id


async def release(storage: Storage, key: IdempotencyKey, response_id: str) -> None:
    """Let the key be claimed again: nothing came of the response that it stood for."""
    with suppress(KitError):
        await storage.claims.release(key.name, key.claim(response_id))


async def _appeared(storage: Storage, response_id: str, now: Callable[[], float]) -> None:
    until = now() + PATIENCE
    while True:
        try:
            await require(storage, response_id)
        except NotFound:
            if now() >= until:
                raise
            await asyncio.sleep(0.1)
        else:
            return
