"""The calls to one DynamoDB table that the ports need. Knows keys and conditions, not what an item means."""

import asyncio
import random
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, ClassVar, TypeAlias
from urllib.parse import quote

from ...aws.clients import Aws, Refused
from ...core.errors import StorageUnavailable
from ...core.loading import Allowance, unlimited

Item: TypeAlias = dict[str, Any]
"""Names of attributes, to DynamoDB's form of a value: {"S": text}, {"N": digits}, {"B": bytes}, {"BOOL": ...}"""

ABSENT = "attribute_not_exists(pk)"
PRESENT = "attribute_exists(pk)"
_BY_TIME = "by-time"
_READ_CHUNK, _WRITE_CHUNK = 100, 25
_READS_AT_ONCE = 4
"""Each may bring 16 MB, which take several times as much while they are parsed."""
_MEETINGS = 5
"""A plain write waits so often for a transaction that it meets: each takes some milliseconds."""
_FRUITLESS = 6
"""A batch is given up after so many calls in a row that do nothing: the table stays throttled."""


class ConditionFailed(Exception):
    """The condition of a write does not hold. `item` is the item that is there; empty if there is none."""

    def __init__(self, item: Item) -> None:
        super().__init__("the condition of a write does not hold")
        self.item = item


def safe(text: str) -> str:
    """`text`, which a client may have sent, as a part of a key: without a slash, and never too long."""
    quoted = quote(text, safe="")
    return quoted if len(quoted) <= 200 else sha256(text.encode()).hexdigest()


def number(value: float) -> Item:
    return {"N": repr(value)}


@dataclass(frozen=True, slots=True)
class Put:
    """A write of an item, if `condition` holds for what is there; always, if it is empty."""

    item: Item
    condition: str = ""
    values: Item = field(default_factory=dict[str, Any])
    operation: ClassVar[str] = "Put"

    def write(self, writer: Item) -> Item:
        write: Item = {"Item": {**self.item, "writer": writer}}
        if not self.condition:
            return write
        condition = _expressions(self.values, ConditionExpression=self.condition)
        return {**write, **condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


@dataclass(frozen=True, slots=True)
class Update:
    """A change of attributes, if `condition` holds for the item that is there."""

    key: Item
    changes: Item
    condition: str
    values: Item = field(default_factory=dict[str, Any])
    operation: ClassVar[str] = "Update"

    def write(self, writer: Item) -> Item:
        changes = {**self.changes, "writer": writer}
        setting = "SET " + ", ".join(f"#{name} = :{name}" for name in changes)
        values = {**changes, **self.values}
        write = _expressions(values, UpdateExpression=setting, ConditionExpression=self.condition)
        return {"Key": self.key, **write, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


@dataclass(frozen=True, slots=True)
class Change:
    """An update by expressions of one's own, if `condition` holds; always, if it is empty. `names` are those of
    attributes that are not a plain word, by what the expressions call them.
    """

    key: Item
    expression: str
    condition: str = ""
    values: Item = field(default_factory=dict[str, Any])
    names: dict[str, str] = field(default_factory=dict[str, str])
    operation: ClassVar[str] = "Update"

    def write(self, writer: Item) -> Item:
        setting, rest = "SET #writer = :writer", self.expression
        expression = rest.replace("SET ", f"{setting}, ", 1) if "SET " in rest else f"{setting} {rest}"
        conditions = {"ConditionExpression": self.condition} if self.condition else {}
        written = _expressions({**self.values, "writer": writer}, UpdateExpression=expression, **conditions)
        written["ExpressionAttributeNames"] |= {f"#{short}": name for short, name in self.names.items()}
        return {"Key": self.key, **written, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


@dataclass(frozen=True, slots=True)
class Check:
    """No write, but a condition on the item of this key."""

    key: Item
    condition: str
    values: Item

    def write(self) -> Item:
        return {"Key": self.key, **_expressions(self.values, ConditionExpression=self.condition)}


class Table:
    """Reads are strongly consistent: a response is often continued milliseconds after it ended."""

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws, self._name = aws, name

    async def put(self, item: Item, condition: str = ABSENT, values: Item | None = None) -> None:
        """Raises ConditionFailed."""
        writer = {"S": secrets.token_hex(8)}
        put = Put(item, condition, values or {}).write(writer)
        await self._guarded("put_item", {"TableName": self._name, **put}, writer)

    async def update(
        self, key: Item, changes: Item, condition: str, values: Item | None = None, returns: str = "NONE"
    ) -> Item:
        """Set attributes. `returns` says which to return, as DynamoDB's ReturnValues does. Raises ConditionFailed."""
        writer = {"S": secrets.token_hex(8)}
        update = Update(key, changes, condition, values or {}).write(writer)
        fixed = {"TableName": self._name, "ReturnValues": returns}
        answer = await self._guarded("update_item", {**fixed, **update}, writer)
        return answer.get("Attributes", {})

    async def change(self, key: Item, expression: str, condition: str, values: Item) -> Item:
        """Update by an expression of one's own that begins with SET. Returns the item as it was.

        Raises ConditionFailed, also where there is no item.
        """
        writer = {"S": secrets.token_hex(8)}
        write = _expressions(
            {**values, "writer": writer},
            UpdateExpression=expression.replace("SET ", "SET #writer = :writer, ", 1),
            ConditionExpression=f"{PRESENT} AND ({condition})",
        )
        fixed = {"TableName": self._name, "ReturnValuesOnConditionCheckFailure": "ALL_OLD", "ReturnValues": "ALL_OLD"}
        answer = await self._guarded("update_item", {**fixed, "Key": key, **write}, writer)
        return answer.get("Attributes", {})

    async def apply(self, change: Change) -> Item:
        """The item as it is then. Raises ConditionFailed."""
        writer = {"S": secrets.token_hex(8)}
        fixed = {"TableName": self._name, "ReturnValues": "ALL_NEW"}
        answer = await self._guarded("update_item", {**fixed, **change.write(writer)}, writer)
        return answer.get("Attributes") or await self.get(change.key)

    async def transact(self, changes: Sequence[Put | Update | Change], checks: Sequence[Check] = ()) -> None:
        """Write all items or none. Raises ConditionFailed for the first one whose condition does not hold."""
        writer = {"S": secrets.token_hex(8)}
        writes = [{each.operation: {"TableName": self._name, **each.write(writer)}} for each in changes]
        writes += [{"ConditionCheck": {"TableName": self._name, **check.write()}} for check in checks]
        await self._guarded("transact_write_items", {"TransactItems": writes}, writer)

    async def get(self, key: Item) -> Item:
        """The item; empty if there is none."""
        answer = await self._aws.call("dynamodb", "get_item", TableName=self._name, Key=key, ConsistentRead=True)
        return answer.get("Item", {})

    async def get_all(self, keys: Sequence[Item], within: Allowance | None = None) -> dict[tuple[str, str], Item]:
        """The items that are there, by pk and sk, few calls at once. The keys must differ.

        Raises ContextTooLong if their values, compressed as they are, have more bytes than `within` has left.
        """
        within, fetched = within or unlimited(), list[Item]()
        calls, size = asyncio.Semaphore(_READS_AT_ONCE), 0

        async def get_chunk(chunk: Sequence[Item]) -> None:
            nonlocal size
            async with calls:
                async for items in self._get_chunk(chunk):
                    fetched.extend(items)
                    size += sum(len(value.get("B", b"")) for item in items for value in item.values())
                    within.check(size)

        chunks = [keys[start : start + _READ_CHUNK] for start in range(0, len(keys), _READ_CHUNK)]
        await asyncio.gather(*map(get_chunk, chunks))
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in fetched}

    async def query(
        self,
        pk: str,
        first: str = " ",
        last: str = "~",
        *,
        keys_only: bool = False,
        page: int | None = None,
        backward: bool = False,
    ) -> AsyncGenerator[Item]:
        """The items of a partition, in order, between two sort keys. A call brings 1 MB at most, and `page` items."""
        values = {":pk": {"S": pk}, ":first": {"S": first}, ":last": {"S": last}}
        query: Item = {
            "TableName": self._name,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
            "ScanIndexForward": not backward,
            **({"ProjectionExpression": "pk, sk"} if keys_only else {}),
            **({"Limit": page} if page else {}),
        }
        while True:
            answer = await self._aws.call("dynamodb", "query", **query)
            for item in answer["Items"]:
                yield item
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def query_index(self, pk: str, *, beyond: str | None, forward: bool, most: int) -> tuple[list[Item], bool]:
        """Items of one partition of the index `by-time`, in order, and whether there may be more.

        They are those on the far side of the sort key `beyond`. An index can't be read strongly consistently.
        """
        condition, values = "list_pk = :pk", {":pk": {"S": pk}}
        if beyond is not None:
            condition += f" AND list_sk {'>' if forward else '<'} :beyond"
            values[":beyond"] = {"S": beyond}
        query: Item = {
            "TableName": self._name,
            "IndexName": _BY_TIME,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": forward,
            "Limit": most,
        }
        answer = await self._aws.call("dynamodb", "query", **query)
        return answer["Items"], "LastEvaluatedKey" in answer

    async def write_all(self, puts: Sequence[Item], deletes: Sequence[Item]) -> None:
        """Write without conditions, in any order."""
        writes = [{"PutRequest": {"Item": item}} for item in puts] + [
            {"DeleteRequest": {"Key": key}} for key in deletes
        ]
        chunks = [writes[start : start + _WRITE_CHUNK] for start in range(0, len(writes), _WRITE_CHUNK)]
        await asyncio.gather(*map(self._write_chunk, chunks))

    async def _get_chunk(self, keys: Sequence[Item]) -> AsyncIterator[list[Item]]:
        fruitless = 0
        while keys:
            request = {self._name: {"Keys": keys, "ConsistentRead": True}}
            answer = await self._aws.call("dynamodb", "batch_get_item", RequestItems=request)
            got = answer["Responses"].get(self._name, [])
            yield got
            keys = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            fruitless = 0 if got else fruitless + 1
            if keys:
                await _back_off(fruitless)

    async def _write_chunk(self, writes: list[Item]) -> None:
        fruitless = 0
        while writes:
            answer = await self._aws.call("dynamodb", "batch_write_item", RequestItems={self._name: writes})
            left = answer.get("UnprocessedItems", {}).get(self._name, [])
            fruitless = fruitless + 1 if len(left) == len(writes) else 0
            writes = left
            if writes:
                await _back_off(fruitless)

    async def _guarded(self, operation: str, parameters: Item, writer: Item) -> Item:
        """A write whose answer was lost is tried again, and then fails on its own item: that is a success."""
        try:
            return await self._written(operation, parameters)
        except Refused as refused:
            if refused.code != "ConditionalCheckFailedException":
                raise
            if refused.item.get("writer") == writer:
                return {}
            raise ConditionFailed(refused.item) from None

    async def _written(self, operation: str, parameters: Item) -> Item:
        """A write that meets a transaction waits for its end. A transaction is its caller's to try again."""
        for attempt in range(_MEETINGS):
            try:
                return await self._aws.call("dynamodb", operation, **parameters)
            except StorageUnavailable as error:
                if not error.nothing_done or operation == "transact_write_items":
                    raise
            await _back_off(attempt)
        return await self._aws.call("dynamodb", operation, **parameters)


def _expressions(values: Item, **expressions: str) -> Item:
    """Attributes are written as "#name": DynamoDB reserves many plain words."""
    names = {f"#{name}": name for text in expressions.values() for name in re.findall(r"#(\w+)", text)}
    return {
        **expressions,
        **({"ExpressionAttributeNames": names} if names else {}),
        **({"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}),
    }


async def _back_off(fruitless: int) -> None:
    if fruitless > _FRUITLESS:
        raise StorageUnavailable("Storage is busy: try again")
    await asyncio.sleep(random.random() * 0.05 * 2**fruitless)
