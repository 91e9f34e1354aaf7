"""How the limits of a key, or a tenant, are kept in its meter. The functions and the command line share this.

A meter's attributes: `limits` (JSON), `holds` (a map, by the id of their response: until when, and the hold's id), and
the counts, each by the name of its window (`tokens#29733120`, `pico#2026-11`).
"""

import json
from dataclasses import asdict

from ...core.storage import Limits
from .layout import meter_key
from .table import Change, Item, number, safe


def limits_change(tenant: str, key_id: str | None, limits: Limits, expires_at: int | None = None) -> Change:
    """Set the limits of a key, or (None) of the tenant. What was counted stays, and what is held. The meter of a key
    may expire with it, in Unix seconds.
    """
    values: Item = {"none": {"M": {}}}
    expression = "SET #holds = if_not_exists(#holds, :none)"
    if expires_at is not None:
        expression, values["ttl"] = f"{expression}, #ttl = :ttl", number(expires_at)
    if limits == Limits():
        expression += " REMOVE #limits"
    else:
        expression, values["limits"] = f"{expression}, #limits = :limits", pack_limits(limits)
    return Change(meter_key(safe(tenant), key_id), expression, values=values)


def pack_limits(limits: Limits) -> Item:
    return {"S": json.dumps({name: most for name, most in asdict(limits).items() if most is not None})}


def unpack_limits(item: Item) -> Limits:
    return Limits(**json.loads(item["limits"]["S"])) if "limits" in item else Limits()
