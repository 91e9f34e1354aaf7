"""Idempotency keys, on DynamoDB."""

from contextlib import suppress
from hashlib import sha256

from ...core.records import Claim
from .layout import TenantLayout
from .table import ABSENT, ConditionFailed, Item, Put, number

_DAYS = 1


class DynamoClaims:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def held(self, key: str) -> Claim | None:
        item = await self._layout.table.get(self._layout.claim_key(_digest(key)))
        return Claim(key, item["response_id"]["S"], item["body_hash"]["S"]) if self._layout.alive(item) else None

    async def release(self, claim: Claim) -> None:
        """Writes the claim as expired: that needs no permission to delete."""
        layout = self._layout
        item = {**claim_item(layout, claim), "ttl": number(0)}
        with suppress(ConditionFailed):
            await layout.table.put(item, "#response_id = :id", {"id": {"S": claim.response_id}})


def claim_put(layout: TenantLayout, claim: Claim) -> Put:
    """Written where no other claim holds the key, or one that this claim replaces."""
    free = f"{ABSENT} OR #ttl <= :now OR #response_id = :before"
    values: Item = {"now": number(int(layout.now())), "before": {"S": claim.instead_of}}
    return Put(claim_item(layout, claim), free, values)


def claim_item(layout: TenantLayout, claim: Claim) -> Item:
    return {
        **layout.claim_key(_digest(claim.key)),
        "ttl": layout.ttl(_DAYS),
        "response_id": {"S": claim.response_id},
        "body_hash": {"S": claim.body_hash},
    }


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def held(claim: Claim, item: Item) -> Claim:
    """The claim that holds the key of `claim`."""
    return Claim(claim.key, item["response_id"]["S"], item["body_hash"]["S"])
