"""Spent approvals, on DynamoDB."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256

from ...core.errors import StorageUnavailable
from .layout import TenantLayout
from .table import ABSENT, ConditionFailed, Item, Put, number

_DAYS = 1
_TRIES = 5
_FREE = f"{ABSENT} OR #ttl <= :now OR #response_id = :response"


class DynamoSpent:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def spend(self, request_ids: Sequence[str], response_id: str) -> str | None:
        if not request_ids:
            return None
        by_key = {self._layout.spent_key(_digest(each))["pk"]["S"]: each for each in request_ids}
        values: Item = {"now": number(int(self._layout.now())), "response": {"S": response_id}}
        puts = [Put(self._item(each, response_id), _FREE, values) for each in by_key.values()]
        for attempt in range(_TRIES):
            try:
                await self._layout.table.transact(puts)
            except ConditionFailed as failed:
                return by_key[failed.item["pk"]["S"]]
            except StorageUnavailable as error:  # DynamoDB refuses transactions that meet at one key
                if attempt == _TRIES - 1 or not error.nothing_done:
                    raise
                await asyncio.sleep(random.random() * 0.05 * 2**attempt)
            else:
                return None
        raise AssertionError("the last attempt returns or raises")

    async def give_back(self, request_ids: Sequence[str], response_id: str) -> None:
        """Writes them as expired: that needs no permission to delete."""
        await asyncio.gather(*(self._give_back(each, response_id) for each in request_ids))

    async def _give_back(self, request_id: str, response_id: str) -> None:
        item = {**self._item(request_id, response_id), "ttl": number(0)}
        with suppress(ConditionFailed):
            await self._layout.table.put(item, "#response_id = :id", {"id": {"S": response_id}})

    def _item(self, request_id: str, response_id: str) -> Item:
        layout = self._layout
        key, ttl = layout.spent_key(_digest(request_id)), layout.ttl(_DAYS)
        return {**key, "ttl": ttl, "response_id": {"S": response_id}}


def _digest(request_id: str) -> str:
    return sha256(request_id.encode()).hexdigest()
