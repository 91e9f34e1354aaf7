"""The keys of clients in the table. The caller passes a botocore client of DynamoDB.

The authorizer and the command line share this module: it imports nothing but the standard library.

    pk          sk      attributes
    key#<id>    key     hash, tenant, name, models, mcp, reasoning, created_at, expires_at, revoked_at
                        ttl if it expires
    keys        <id>    ttl if it expires; for the list, which would otherwise scan every tenant's responses
    names       <tenant>/<name>
                        key_id, ttl if that key expires; of a key that is known by its name, so that no two are made

A tenant's items have a slash in their `pk`, these never. Each key has a partition of its own, so that a flood of
invented keys throttles no real one.
"""

from collections.abc import Sequence
from typing import Any

from ...client_keys import ClientKey

Item = dict[str, Any]

_KEPT_DAYS = 30
"""An expired key is still listed for so many days."""
_CHUNK = 100
_CHANGING = ("models", "mcp", "reasoning", "expires_at")
_EXISTS = "attribute_exists(pk)"
_NEW = "attribute_not_exists(pk)"


class UnknownKey(LookupError):
    """No key has this id."""


class KeyChanged(Exception):
    """A key, or whose a name is, is not as it was."""


def find_key(client: Any, table: str, key_id: str) -> ClientKey | None:
    """Strongly consistent: a key that was revoked is refused at once. Raises botocore's errors."""
    answer: Item = client.get_item(TableName=table, Key=_key(key_id), ConsistentRead=True)
    return _from_item(answer["Item"]) if "Item" in answer else None


def find_named(client: Any, table: str, tenant: str, name: str) -> str | None:
    """The id of the key that was the last to be known by this name. Raises botocore's errors."""
    answer: Item = client.get_item(TableName=table, Key=_named(tenant, name), ConsistentRead=True)
    return answer["Item"]["key_id"]["S"] if "Item" in answer else None


def name_update(key: ClientKey, before: str | None) -> Item:
    """For `store_key`: the new key is the one that is known by its name, if none was but the key `before`."""
    condition = _NEW if before is None else "key_id = :before"
    values = {":id": {"S": key.id}} | ({} if before is None else {":before": {"S": before}})
    expression, ttl = _ttl_expression(key, ["key_id = :id"])
    return {
        "Key": _named(key.tenant, key.name),
        "UpdateExpression": expression,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {"#ttl": "ttl"},
        "ExpressionAttributeValues": values | ttl,
    }


def change_key(client: Any, table: str, before: ClientKey, after: ClientKey, updates: Sequence[Item] = ()) -> None:
    """Change what a key may, and when it ends, and with it what `updates` change: all or nothing. Its id, its secret,
    its tenant and its name stay. It takes effect when the gateway's cached decision about the key expires.

    Raises KeyChanged unless it is as `before`, and not revoked; and botocore's errors.
    """
    old, new = _item(before), _item(after)
    setting, removing, conditions = list[str](), list[str](), ["#hash = :hash", "attribute_not_exists(revoked_at)"]
    values: Item = {":hash": old["hash"]}
    for name in _CHANGING:
        if name in new:
            setting.append(f"#{name} = :{name}")
            values[f":{name}"] = new[name]
        else:
            removing.append(f"#{name}")
        if name in old:
            conditions.append(f"#{name} = :old_{name}")
            values[f":old_{name}"] = old[name]
        else:
            conditions.append(f"attribute_not_exists(#{name})")
    expression, ttl = _ttl_expression(after, setting, removing)
    key_change = {
        "TableName": table,
        "Key": _key(before.id),
        "UpdateExpression": expression,
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": {f"#{name}": name for name in (*_CHANGING, "hash", "ttl")},
        "ExpressionAttributeValues": values | ttl,
    }
    expression, ttl = _ttl_expression(after)
    listed = {
        "TableName": table,
        "Key": {"pk": {"S": "keys"}, "sk": {"S": before.id}},
        "UpdateExpression": expression,
        "ExpressionAttributeNames": {"#ttl": "ttl"},
        **({"ExpressionAttributeValues": ttl} if ttl else {}),
    }
    writes = [
        {"Update": key_change},
        {"Update": listed},
        *({"Update": {"TableName": table, **each}} for each in updates),
    ]
    try:
        client.transact_write_items(TransactItems=writes)
    except client.exceptions.TransactionCanceledException as error:
        if any(each["Code"] == "ConditionalCheckFailed" for each in error.response["CancellationReasons"]):
            raise KeyChanged(before.id) from None
        raise


def store_key(client: Any, table: str, key: ClientKey, updates: Sequence[Item] = ()) -> None:
    """Store a new key, and with it what `updates` change, such as its limits: all or nothing. Raises botocore's errors:
    TransactionCanceledException among them, if the id is taken.
    """
    kept_until = end_of(key)
    ttl: Item = {} if kept_until is None else {"ttl": _number(kept_until)}
    listed: Item = {"pk": {"S": "keys"}, "sk": {"S": key.id}, **ttl}
    puts = [
        {"Put": {"TableName": table, "Item": {**_item(key), **ttl}, "ConditionExpression": _NEW}},
        {"Put": {"TableName": table, "Item": listed}},
        *({"Update": {"TableName": table, **update}} for update in updates),
    ]
    client.transact_write_items(TransactItems=puts)


def end_of(key: ClientKey) -> int | None:
    """Until when it is kept, in Unix seconds; None if it never expires."""
    return None if key.expires_at is None else key.expires_at + _KEPT_DAYS * 86_400


def list_keys(client: Any, table: str) -> list[ClientKey]:
    """All keys, the newest first. Raises botocore's errors."""
    ids: list[str] = []
    query: Item = {
        "TableName": table,
        "KeyConditionExpression": "pk = :keys",
        "ExpressionAttributeValues": {":keys": {"S": "keys"}},
        "ConsistentRead": True,
    }
    while True:
        page: Item = client.query(**query)
        ids += [item["sk"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    chunks = [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
    found = [key for chunk in chunks for key in _get_all(client, table, chunk)]
    return sorted(found, key=lambda key: (-key.created_at, key.id))


def revoke_key(client: Any, table: str, key_id: str, now: float) -> None:
    """Takes effect when the gateway's cached decision about the key expires. To revoke a key twice changes nothing.

    Raises UnknownKey, and botocore's errors.
    """
    try:
        client.update_item(
            TableName=table,
            Key=_key(key_id),
            UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :now)",
            ConditionExpression=_EXISTS,
            ExpressionAttributeValues={":now": _number(int(now))},
        )
    except client.exceptions.ConditionalCheckFailedException:
        raise UnknownKey(key_id) from None


def _get_all(client: Any, table: str, ids: list[str]) -> list[ClientKey]:
    request: Item = {table: {"Keys": [_key(key_id) for key_id in ids], "ConsistentRead": True}}
    found: list[ClientKey] = []
    while request:
        answer: Item = client.batch_get_item(RequestItems=request)
        found += map(_from_item, answer["Responses"].get(table, []))
        request = answer.get("UnprocessedKeys", {})
    return found


def _ttl_expression(key: ClientKey, setting: Sequence[str] = (), removing: Sequence[str] = ()) -> tuple[str, Item]:
    """An update's expression that also sets until when an item is kept, `#ttl`, and its values."""
    kept_until = end_of(key)
    if kept_until is None:
        removing = (*removing, "#ttl")
    else:
        setting = (*setting, "#ttl = :ttl")
    clauses = (f"{clause} {', '.join(each)}" for clause, each in (("SET", setting), ("REMOVE", removing)) if each)
    return " ".join(clauses), {} if kept_until is None else {":ttl": _number(kept_until)}


def _named(tenant: str, name: str) -> Item:
    return {"pk": {"S": "names"}, "sk": {"S": f"{tenant}/{name}"}}


def _key(key_id: str) -> Item:
    return {"pk": {"S": f"key#{key_id}"}, "sk": {"S": "key"}}


def _item(key: ClientKey) -> Item:
    texts = {"hash": key.hash, "tenant": key.tenant, "name": key.name, "reasoning": key.reasoning}
    limits = {"models": key.models, "mcp": key.mcp}
    times = {"created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at}
    return {
        **_key(key.id),
        **{name: {"S": text} for name, text in texts.items() if text},
        **{name: _number(time) for name, time in times.items() if time is not None},
        **{name: {"L": [{"S": each} for each in patterns]} for name, patterns in limits.items() if patterns},
    }


def _from_item(item: Item) -> ClientKey:
    def text(name: str) -> Any:
        return item.get(name, {}).get("S", "")

    def time(name: str) -> int | None:
        return int(item[name]["N"]) if name in item else None

    def patterns(name: str) -> tuple[str, ...]:
        return tuple(each["S"] for each in item.get(name, {}).get("L", []))

    return ClientKey(
        id=item["pk"]["S"].removeprefix("key#"),
        hash=text("hash"),
        tenant=text("tenant"),
        name=text("name"),
        models=patterns("models"),
        mcp=patterns("mcp"),
        reasoning=text("reasoning"),
        created_at=time("created_at") or 0,
        expires_at=time("expires_at"),
        revoked_at=time("revoked_at"),
    )


def _number(value: int) -> Item:
    return {"N": str(value)}
