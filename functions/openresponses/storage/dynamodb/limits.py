"""How the limits of a key, or a tenant, are kept in its meter. The functions and the command line share this; what the
command line calls takes a botocore client of DynamoDB, and raises botocore's errors.

A meter's attributes: `limits` (JSON), `holds` (a map, by the id of their response: until when, and the hold's id), and
the counts, each by the name of its window (`tokens#29733120`, `pico#2026-11`).
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...core.storage import Limits
from .layout import meter_key
from .table import Change, Item, number, safe

_CHUNK = 100


def limits_change(meter: Item, limits: Limits, expires_at: int | None = None, *, lasting: bool = False) -> Change:
    """Set the limits of the meter with this key. What was counted stays, and what is held. The meter of a client key
    may expire with that, in Unix seconds; a `lasting` one does so no longer.
    """
    values: Item = {"none": {"M": {}}}
    expression = "SET #holds = if_not_exists(#holds, :none)"
    if expires_at is not None:
        expression, values["ttl"] = f"{expression}, #ttl = :ttl", number(expires_at)
    if limits != Limits():
        expression, values["limits"] = f"{expression}, #limits = :limits", pack_limits(limits)
    removing = [name for name, gone in (("#limits", limits == Limits()), ("#ttl", lasting)) if gone]
    return Change(meter, " REMOVE ".join(filter(None, (expression, ", ".join(removing)))), values=values)


def limits_update(
    tenant: str, key_id: str | None, limits: Limits, expires_at: int | None = None, *, lasting: bool = False
) -> Item:
    """The parameters of an UpdateItem that sets them, but for the table: for `store_key` and `change_key`, too."""
    change = limits_change(meter_key(safe(tenant), key_id), limits, expires_at, lasting=lasting)
    return change.write({"S": secrets.token_hex(8)})


def change_limits(client: Any, table: str, tenant: str, key_id: str | None, limits: Limits) -> None:
    """Set the limits of a key, or (None) of the tenant."""
    client.update_item(TableName=table, **limits_update(tenant, key_id, limits))


def find_limits(client: Any, table: str, owners: Sequence[tuple[str, str | None]]) -> list[Limits]:
    """Of tenants (tenant, None), and of keys (tenant, id)."""
    keys = {owner: meter_key(safe(owner[0]), owner[1]) for owner in owners}
    left, found = [*keys.values()], list[Item]()
    while left:
        request = {"Keys": left[:_CHUNK], "ConsistentRead": True}
        answer: Item = client.batch_get_item(RequestItems={table: request})
        found += answer["Responses"].get(table, [])
        left = left[_CHUNK:] + answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
    by_key = {(item["pk"]["S"], item["sk"]["S"]): unpack_limits(item) for item in found}
    return [by_key.get((keys[owner]["pk"]["S"], keys[owner]["sk"]["S"]), Limits()) for owner in owners]


def pack_limits(limits: Limits) -> Item:
    return {"S": json.dumps({name: most for name, most in asdict(limits).items() if most is not None})}


def unpack_limits(item: Item) -> Limits:
    return Limits(**json.loads(item["limits"]["S"])) if "limits" in item else Limits()
