"""Idempotency keys, on DynamoDB."""

from contextlib import suppress
from hashlib import sha256

from ...core.records import Claim
from .layout import TenantLayout
from .table import ABSENT, ConditionFailed, number

_DAYS = 1


class DynamoClaims:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def claim(self, key: str, claim: Claim) -> Claim:
        """One round trip: where the condition fails, DynamoDB returns the claim that was there."""
        layout = self._layout
        item = {
            **layout.claim_key(sha256(key.encode()).hexdigest()),
            "ttl": layout.ttl(_DAYS),
            "response_id": {"S": claim.response_id},
            "body_hash": {"S": claim.body_hash},
        }
        try:
            await layout.table.put(item, f"{ABSENT} OR #ttl <= :now", {"now": number(int(layout.now()))})
        except ConditionFailed as failed:
            return Claim(failed.item["response_id"]["S"], failed.item["body_hash"]["S"])
        return claim

    async def release(self, key: str, claim: Claim) -> None:
        """Writes the claim as expired: that needs no permission to delete."""
        layout = self._layout
        item = {
            **layout.claim_key(sha256(key.encode()).hexdigest()),
            "ttl": number(0),
            "response_id": {"S": claim.response_id},
            "body_hash": {"S": claim.body_hash},
        }
        with suppress(ConditionFailed):
            await layout.table.put(item, "#response_id = :id", {"id": {"S": claim.response_id}})
