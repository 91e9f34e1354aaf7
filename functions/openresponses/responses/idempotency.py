"""Idempotency keys: a request that is sent again gets the response of the one that came first."""

import asyncio
import random
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256

from ..core.errors import FirstRequestFailed, IdempotencyKeyReused, KitError, NotFound, StorageUnavailable
from ..core.records import Claim, Record
from ..core.run import Run
from ..core.storage import Storage

TRIES = 5


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """`name` is what the client calls its request by. The hash tells whether the same request comes again."""

    name: str
    body_hash: str

    @classmethod
    def of(cls, name: str, body: bytes) -> "IdempotencyKey":
        return cls(name, sha256(body).hexdigest())

    def claim(self, response_id: str, instead_of: str = "") -> Claim:
        return Claim(self.name, response_id, self.body_hash, instead_of)


async def earlier(storage: Storage, key: IdempotencyKey) -> str | None:
    """The id of the response that the key stands for, if the same request made one that is still there."""
    held = await storage.claims.held(key.name)
    if held is None or held.body_hash != key.body_hash:
        return None
    (record,) = await storage.store.load([held.response_id])
    return None if record is None else held.response_id


async def create(storage: Storage, key: IdempotencyKey | None, record: Record, run: Run) -> str:
    """The id of the response that `key` stands for: that of `record`, which is stored now, or an earlier one.

    The claim and the record are stored together. So a response that is gone was deleted, or came to nothing: its claim
    is replaced. Raises IdempotencyKeyReused if the key came with another body, FirstRequestFailed if other requests
    with this key fail all the time.
    """
    instead_of = ""
    for attempt in range(TRIES):
        try:
            claim = key and key.claim(record.response.id, instead_of)
            held = await storage.store.create(record, run, claim=claim)
        except StorageUnavailable as error:  # DynamoDB refuses transactions that meet at one key
            if attempt == TRIES - 1 or not (key or error.nothing_done):
                raise
            await asyncio.sleep(random.random() * 0.05 * 2**attempt)
            continue
        if held is None or key is None:
            return record.response.id
        if held.body_hash != key.body_hash:
            raise IdempotencyKeyReused
        if (await storage.store.load([held.response_id]))[0] is not None:
            return held.response_id
        instead_of = held.response_id
    raise FirstRequestFailed


async def release(storage: Storage, key: IdempotencyKey, response_id: str) -> None:
    """Let the key be claimed again: nothing came of the response that it stood for."""
    with suppress(KitError):
        await storage.claims.release(key.claim(response_id))


@contextmanager
def answered_by_the_first() -> Generator[None]:
    """Whoever waits for the first request may try again if it failed before it said anything: nothing is kept of it."""
    try:
        yield
    except NotFound:
        raise FirstRequestFailed from None
