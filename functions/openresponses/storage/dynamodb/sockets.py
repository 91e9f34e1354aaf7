"""Connections of the WebSocket API, on DynamoDB and S3. What a client said is sealed, and expires within hours.

    sk              attributes besides `ttl` and `writer`
    connection      value: what is known of the connection; lanes, how many it has
    lane#<name>     queue, the ids of the messages that wait; holder; lease, until when it is the holder's; begun, if
                    the holder has begun; current, the id of the message that it answers; ending, if a last frame may be
                    on its way; newest, the id of the lane's last response
    message#<id>    value: a message, until its turn is over
    memory#<id>     value: what goes on from a response that is not stored elsewhere

A `value` is sealed JSON, or the key of an object that holds it. To remove an item is to write that it has expired: that
needs no permission to delete.
"""

import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Protocol

from ...aws.clients import Aws
from ...core.errors import Superseded
from .layout import TenantLayout
from .table import ConditionFailed, Item, Table, number, safe
from .values import Attribute, Values, Vanished

HOURS = 3
"""API Gateway ends a connection after 2: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""
START_SECONDS, LEASE_SECONDS = 60.0, 30.0
"""A holder has so long to begin, which Lambda's queue may delay, and then from one renewal to the next."""
MAX_LANES, MAX_WAITING = 16, 16
"""Lanes of a connection, and messages of a lane that wait, besides the one that is answered."""
_TRIES = 8
_LIVE = "#ttl > :now"


class Box(Protocol):
    """Seals bytes."""

    async def close(self, plain: bytes) -> bytes: ...

    async def open(self, sealed: bytes) -> bytes | None: ...


class DynamoSockets:
    """The items of one connection. `most_lanes` and `most_waiting` bound how many of each there are."""

    def __init__(
        self, layout: TenantLayout, box: Box, connection_id: str, *, most_lanes: int, most_waiting: int
    ) -> None:
        self._layout, self._box, self._id = layout, box, connection_id
        self._most_lanes, self._most_waiting = most_lanes, most_waiting
        self._left: list[str] = []  # to be removed, when nobody waits for it

    async def open(self, about: bytes) -> None:
        await self._put("connection", about, lanes=number(0))

    async def about(self) -> bytes | None:
        return await self._get("connection")

    async def close(self) -> None:
        pk: str = self._key("")["pk"]["S"]
        found = [item async for item in self._layout.table.query(pk, " ", "~")]
        for item in found:
            await self._drop(item["sk"]["S"], item.get("value"))

    async def add(
        self, lane: str, message_id: str, message: bytes, holder: str
    ) -> Literal["held", "queued", "full", "gone"]:
        await self._put(f"message#{safe(message_id)}", message)
        added = await self._enqueue(lane, message_id, holder)
        if added in ("full", "gone"):
            await self._remove(f"message#{safe(message_id)}")
        return added

    async def _enqueue(self, lane: str, message_id: str, holder: str) -> Literal["held", "queued", "full", "gone"]:
        """To take a lane that is free and to queue for one that is not are two conditions: one of them holds."""
        room = f"{_LIVE} AND size(#queue) < :most"
        append = "SET #queue = list_append(#queue, :added)"
        for _ in range(_TRIES):
            now = self._layout.now()
            values: Item = {"added": {"L": [{"S": message_id}]}, "most": number(self._most_waiting), "now": number(now)}
            held = {**values, "holder": {"S": holder}, "until": number(now + START_SECONDS)}
            taking = f"{append}, #holder = :holder, #lease = :until REMOVE #begun"
            try:
                await self._change(lane, taking, f"{room} AND #lease < :now", held)
                return "held"
            except ConditionFailed as failed:
                if not failed.item:
                    if (refused := await self._new_lane(lane)) is not None:
                        return refused
                    continue
                if not self._layout.alive(failed.item):
                    return "gone"
                if {"S": message_id} in failed.item["queue"]["L"]:
                    return "queued"  # the answer to the last try was lost
                if len(failed.item["queue"]["L"]) >= self._most_waiting:
                    return "full"
            with suppress(ConditionFailed):
                once = "AND NOT contains(#queue, :id)"
                busy = {**values, "id": {"S": message_id}}
                await self._change(lane, append, f"{room} AND #lease >= :now {once}", busy)
                return "queued"
        return "full"

    async def _new_lane(self, lane: str) -> Literal["full", "gone"] | None:
        layout = self._layout
        values: Item = {"one": number(1), "most": number(self._most_lanes), "now": number(layout.now())}
        try:
            await layout.table.change(
                self._key("connection"), "SET #lanes = #lanes + :one", f"{_LIVE} AND #lanes < :most", values
            )
        except ConditionFailed as failed:
            return "full" if layout.alive(failed.item) else "gone"
        with suppress(ConditionFailed):  # another message was the first
            await layout.table.put({**self._key(_lane(lane)), "ttl": self._ttl(), **_FREE, "queue": {"L": []}})
        return None

    async def withdraw(self, lane: str, holder: str) -> list[str]:
        free = "SET #queue = :none, #lease = :never, #holder = :nobody"
        values: Item = {"none": {"L": []}, "never": number(0), "nobody": {"S": ""}}
        try:
            before = await self._held(lane, holder, free, "attribute_not_exists(#begun)", values)
        except Superseded:
            return []
        waiting = [each["S"] for each in before.get("queue", {}).get("L", [])]
        for message_id in waiting:
            await self._remove(f"message#{safe(message_id)}")
        return waiting

    async def begin(self, lane: str, holder: str, *, resumes: bool) -> Literal["in_order", "died", "doubtful"]:
        begin, values = "SET #begun = :holder, #lease = :until", {"until": number(self._layout.now() + LEASE_SECONDS)}
        before = await self._held(lane, holder, begin, "attribute_not_exists(#begun)", values)
        if resumes:
            return "in_order"
        return "doubtful" if "ending" in before else "died" if "current" in before else "in_order"

    async def renew(self, lane: str, holder: str) -> None:
        await self._held(lane, holder, "SET #lease = :until", "", {"until": number(self._layout.now() + LEASE_SECONDS)})

    async def next(self, lane: str, holder: str) -> tuple[str, bytes] | None:
        await self._tidy()
        while True:
            item = await self._layout.table.get(self._key(_lane(lane)))
            waiting = item.get("queue", {}).get("L", [])
            with suppress(_Changed):
                if not waiting:
                    values: Item = {"nothing": number(0), "never": number(0), "nobody": {"S": ""}}
                    free = "SET #lease = :never, #holder = :nobody REMOVE #ending"
                    await self._held(lane, holder, free, "size(#queue) = :nothing", values)
                    return None
                first = min(range(len(waiting)), key=lambda index: _time(waiting[index]["S"]))
                message_id: str = waiting[first]["S"]
                take = f"SET #current = :id REMOVE #queue[{first}], #ending"
                await self._held(lane, holder, take, f"#queue[{first}] = :id", {"id": {"S": message_id}})
                return message_id, await self.message(message_id) or b""

    async def message(self, message_id: str) -> bytes | None:
        return await self._get(f"message#{safe(message_id)}")

    async def settle(self, lane: str, holder: str, response_id: str | None = None, memory: bytes | None = None) -> None:
        name = f"memory#{safe(response_id)}" if response_id is not None else ""
        if memory is not None:
            await self._put(name, memory)
        newest = "SET #ending = :holder" + (", #newest = :id" if response_id is not None else "")
        values: Item = {"id": {"S": response_id}} if response_id is not None else {}
        try:
            before = await self._held(lane, holder, f"{newest} REMOVE #current", "", values)
        except Superseded:
            if memory is not None:
                await self._remove(name)
            raise
        if answered := before.get("current"):
            self._left.append(f"message#{safe(answered['S'])}")
        if response_id is not None and (older := before.get("newest")):
            await self._remove(f"memory#{safe(older['S'])}")

    async def pass_on(self, lane: str, holder: str, heir: str, *, died: bool = False) -> None:
        await self._tidy()
        over = "REMOVE #begun" if died else "REMOVE #begun, #ending"
        values = {"heir": {"S": heir}, "until": number(self._layout.now() + START_SECONDS)}
        await self._held(lane, holder, f"SET #holder = :heir, #lease = :until {over}", "", values)

    async def recall(self, response_id: str) -> bytes | None:
        return await self._get(f"memory#{safe(response_id)}")

    async def forget(self, response_id: str) -> None:
        await self._remove(f"memory#{safe(response_id)}")

    async def _held(self, lane: str, holder: str, expression: str, condition: str, values: Item) -> Item:
        """The lane as it was. Raises Superseded, or _Changed if only `condition` does not hold."""
        mine = f"{_LIVE} AND #holder = :holder" + (f" AND {condition}" if condition else "")
        now = number(self._layout.now())
        try:
            return await self._change(lane, expression, mine, {**values, "holder": {"S": holder}, "now": now})
        except ConditionFailed as failed:
            still = self._layout.alive(failed.item) and failed.item["holder"]["S"] == holder
            raise (_Changed if still and "begun" not in condition else Superseded)("The lane is another's") from None

    async def _change(self, lane: str, expression: str, condition: str, values: Item) -> Item:
        return await self._layout.table.change(self._key(_lane(lane)), expression, condition, values)

    def _key(self, sk: str) -> Item:
        return self._layout.socket_key(self._id, sk)

    def _ttl(self) -> Item:
        return number(int(self._layout.now() + HOURS * 3600))

    async def _put(self, sk: str, plain: bytes, **more: Item) -> None:
        sealed = await self._box.close(zlib.compress(plain))
        value = await self._layout.values.pack("log", safe(self._id), safe(sk), sealed)
        await self._layout.table.put({**self._key(sk), "ttl": self._ttl(), "value": value, **more}, "")

    async def _get(self, sk: str) -> bytes | None:
        item = await self._layout.table.get(self._key(sk))
        if not self._layout.alive(item):
            return None
        try:
            sealed = await self._layout.values.unpack(item["value"])
        except Vanished:
            return None
        plain = await self._box.open(bytes(sealed))
        return None if plain is None else zlib.decompress(plain)

    async def _remove(self, sk: str) -> None:
        item = await self._layout.table.get(self._key(sk))
        await self._drop(sk, item.get("value"))

    async def _tidy(self) -> None:
        while self._left:
            await self._remove(self._left.pop())

    async def _drop(self, sk: str, value: Attribute | None) -> None:
        if value is not None:
            await self._layout.values.discard(value)
        await self._layout.table.put({**self._key(sk), "ttl": number(0), **_FREE, "queue": {"L": []}}, "")


class _Changed(Superseded):
    """The lane is still its holder's, but not as it was."""


_FREE: Item = {"holder": {"S": ""}, "lease": number(0)}


def _time(message_id: str) -> str:
    """When API Gateway took the message. It hands messages on side by side, so that a later one may be here first."""
    return message_id.partition("#")[0]


def _lane(lane: str) -> str:
    return f"lane#{safe(lane)}"


def dynamo_sockets(
    aws: Aws,
    *,
    table: str,
    bucket: str,
    tenant: str,
    connection_id: str,
    box_of: Callable[[str], Box],
    now: Callable[[], float],
) -> DynamoSockets:
    """One connection of a tenant. `box_of` gives what seals under a name. Nothing of it outlives its `HOURS`; an object
    in S3 goes with the event logs, if nobody told the connection's end.
    """
    layout = TenantLayout(Table(aws, table), Values(aws, bucket, safe(tenant)), safe(tenant), now, 1, 1)
    box = box_of(f"{tenant}/socket/{connection_id}")
    return DynamoSockets(layout, box, connection_id, most_lanes=MAX_LANES, most_waiting=MAX_WAITING)
