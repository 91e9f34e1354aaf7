"""A counter as a hosted tool: an example of a Lambda function that models may call, and of doing each call once.

The server invokes it with {call_id, response_id, idempotency_token, name, arguments}. What it returns is what the
model reads: text as it is, anything else as JSON. An exception tells the model that the call failed, and why.

A call can come twice: a server that died before it kept the answer asks again, with the same token. A tool that
only reads need not care; this one changes something, so it keeps what it answered under the token, in the same
transaction as the change.
"""
# pyright: basic

import os
import time
from typing import Any

import boto3  # in Lambda's runtime

TOKEN_DAYS = 7
"""Longer than a call may wait to be made again."""
ATTEMPTS = 10

_dynamodb: Any = boto3.client("dynamodb")


def handler(event: dict[str, Any], context: object) -> dict[str, object]:
    name, by = event["arguments"]["name"], event["arguments"]["by"]
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise ValueError("name must be a text of 1 to 100 characters")
    if type(by) is not int or abs(by) > 1_000_000:
        raise ValueError("by must be a whole number, of a million at most")
    return {"name": name, "value": count(event["idempotency_token"], name, by)}


def count(token: str, name: str, by: int) -> int:
    """The counter after this call, however often it is made."""
    call, counter = f"call/{token}", f"counter/{name}"
    for attempt in range(ATTEMPTS):
        answered = _read(call)
        if answered is not None:
            return answered
        before = _read(counter)
        after = (before or 0) + by
        if _add(call, counter, before, after):
            return after
        time.sleep(0.01 * 2**attempt)  # another call came in between
    raise RuntimeError("the counter is in too much demand: try again")


def _read(key: str) -> int | None:
    item = _dynamodb.get_item(TableName=os.environ["TABLE"], Key={"id": {"S": key}}, ConsistentRead=True).get("Item")
    return int(item["value"]["N"]) if item else None


def _add(call: str, counter: str, before: int | None, after: int) -> bool:
    """Both writes, or none where either key changed since it was read."""
    table, value = os.environ["TABLE"], {"N": str(after)}
    record = {"id": {"S": call}, "value": value, "ttl": {"N": str(int(time.time()) + TOKEN_DAYS * 86_400)}}
    update: dict[str, Any] = {
        "TableName": table,
        "Key": {"id": {"S": counter}},
        "UpdateExpression": "SET #value = :after",
        "ConditionExpression": "attribute_not_exists(id)" if before is None else "#value = :before",
        "ExpressionAttributeNames": {"#value": "value"},
        "ExpressionAttributeValues": {
            ":after": value,
            **({} if before is None else {":before": {"N": str(before)}}),
        },
    }
    put = {"TableName": table, "Item": record, "ConditionExpression": "attribute_not_exists(id)"}
    try:
        _dynamodb.transact_write_items(TransactItems=[{"Put": put}, {"Update": update}])
    except _dynamodb.exceptions.TransactionCanceledException:
        return False
    return True
