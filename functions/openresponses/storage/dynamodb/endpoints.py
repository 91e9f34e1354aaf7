"""Webhook endpoints, and the events that were given up, on DynamoDB.

    pk                  sk                                     attributes
    <tenant>/webhooks   endpoints                              version, endpoints: all of them, as JSON
    <tenant>/webhooks   dead#<time>#<event id>#<endpoint id>   letter: JSON; ttl

All endpoints are one item: they are read in one call where a response ends, and counted by the write that adds one. At
most `MAX_ENDPOINTS` of them fit, with room to spare. They never expire.
"""

from collections.abc import Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from .layout import TenantLayout
from .table import ABSENT, ConditionFailed, Item, number, safe

if TYPE_CHECKING:
    from ...core.webhooks import DeadLetter, Endpoint, Registered

_DEAD = "dead#"


class DynamoEndpoints:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def load(self) -> "Registered":
        from ...core.webhooks import Registered, endpoints_adapter  # here: few sandboxes need it

        item = await self._layout.table.get(self._key("endpoints"))
        if not item:
            return Registered()
        return Registered(endpoints_adapter().validate_json(item["endpoints"]["S"]), int(item["version"]["N"]))

    async def replace(self, endpoints: "Sequence[Endpoint]", version: int) -> bool:
        from ...core.webhooks import endpoints_adapter

        text = endpoints_adapter().dump_json(tuple(endpoints)).decode()
        item = {**self._key("endpoints"), "version": number(version + 1), "endpoints": {"S": text}}
        condition, values = ("#version = :before", {"before": number(version)}) if version else (ABSENT, None)
        try:
            await self._layout.table.put(item, condition, values)
        except ConditionFailed:
            return False
        return True

    async def keep_dead(self, letter: "DeadLetter") -> None:
        from ...core.webhooks import DEAD_LETTER_DAYS, letter_adapter

        sk = f"{_DEAD}{letter.created_at:010d}#{safe(letter.event_id)}#{safe(letter.endpoint_id)}"
        text = letter_adapter().dump_json(letter).decode()
        item = {**self._key(sk), "letter": {"S": text}, "ttl": self._layout.ttl(DEAD_LETTER_DAYS)}
        with suppress(ConditionFailed):
            await self._layout.table.put(item)

    async def dead(self, most: int) -> "list[DeadLetter]":
        from ...core.webhooks import letter_adapter

        found: list[DeadLetter] = []
        async with aclosing(self._layout.table.query(self._pk, _DEAD, f"{_DEAD}~", page=most, backward=True)) as items:
            async for item in items:
                if self._layout.alive(item):
                    found.append(letter_adapter().validate_json(item["letter"]["S"]))
                if len(found) == most:
                    break
        return found

    @property
    def _pk(self) -> str:
        return f"{self._layout.tenant}/webhooks"

    def _key(self, sk: str) -> Item:
        return {"pk": {"S": self._pk}, "sk": {"S": sk}}
