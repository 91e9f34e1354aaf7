"""Writes that meet at one item, as DynamoDB refuses them. No emulator does that: they answer one call after the other.

The rules, from "Transaction conflict handling in DynamoDB":
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
A write of an item conflicts with an ongoing transaction that includes it, and so does another transaction. A plain
write is refused with TransactionConflictException then, a transaction with TransactionCanceledException. SDKs try
neither again. Plain writes do not conflict with each other.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from tests.contract.test_aws_faults import refusal

_TRANSACTION = "TransactWriteItems"
_PLAIN = ("PutItem", "UpdateItem", "DeleteItem")


@dataclass
class Meeting:
    """A fault of `WatchedAws`. A transaction is ongoing for so many `seconds`. Writes are counted by operation."""

    seconds: float = 0.01
    made: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    _until: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(
        self, index: int, attempt: int, request: AWSPreparedRequest, answer: Callable[[], AWSResponse]
    ) -> AWSResponse:
        target = request.headers.get("x-amz-target", b"")
        operation = (target if isinstance(target, str) else target.decode()).rpartition(".")[2]
        if operation != _TRANSACTION and operation not in _PLAIN:
            return answer()
        items, now = _written(json.loads(request.body or b"{}")), time.monotonic()
        with self._lock:
            self.made[operation] += 1
            if any(self._until.get(item, 0.0) > now for item in items):
                self.refused[operation] += 1
                return refusal(request, 400, json.dumps(_conflict(operation, len(items))))
            if operation == _TRANSACTION:
                self._until |= dict.fromkeys(items, now + self.seconds)
        return answer()


def _written(body: dict[str, Any]) -> set[tuple[str, str]]:
    writes = [each for part in body.get("TransactItems", [{"": body}]) for each in part.values()]
    keys = [each.get("Key") or each["Item"] for each in writes]
    return {(key["pk"]["S"], key["sk"]["S"]) for key in keys}


def _conflict(operation: str, items: int) -> dict[str, Any]:
    if operation in _PLAIN:
        return {"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "message": "ongoing"}
    reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}] * items
    name = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
    return {"__type": name, "Message": "Transaction cancelled", "CancellationReasons": reasons}
