"""Idempotency keys, in memory."""

from ...core.records import Claim
from .shelf import Shelf


class MemoryClaims:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def held(self, key: str) -> Claim | None:
        return self._shelf.claims.get(key)

    async def release(self, claim: Claim) -> None:
        held = self._shelf.claims.get(claim.key)
        if held is not None and held.response_id == claim.response_id:
            del self._shelf.claims[claim.key]
