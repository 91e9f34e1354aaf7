"""Idempotency keys, on DynamoDB."""

from contextlib import suppress
from hashlib import sha256

from ...core.records import Claim
from .layout import Shelf
from .table import ABSENT, ConditionFailed, number

_DAYS = 1


class DynamoClaims:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def claim(self, key: str, claim: Claim) -> Claim:
        """The one that holds comes with the refusal: one round trip either way."""
        shelf = self._shelf
        item = {
            **shelf.claim_key(sha256(key.encode()).hexdigest()),
            "ttl": shelf.ttl(_DAYS),
            "response_id": {"S": claim.response_id},
            "body_hash": {"S": claim.body_hash},
        }
        try:
            await shelf.table.put(item, f"{ABSENT} OR #ttl <= :now", {"now": number(int(shelf.now()))})
        except ConditionFailed as failed:
            return Claim(failed.item["response_id"]["S"], failed.item["body_hash"]["S"])
        return claim

    async def release(self, key: str, claim: Claim) -> None:
        """Written as expired, which needs no right to delete."""
        shelf = self._shelf
        item = {
            **shelf.claim_key(sha256(key.encode()).hexdigest()),
            "ttl": number(0),
            "response_id": {"S": claim.response_id},
            "body_hash": {"S": claim.body_hash},
        }
        with suppress(ConditionFailed):
            await shelf.table.put(item, "#response_id = :id", {"id": {"S": claim.response_id}})
