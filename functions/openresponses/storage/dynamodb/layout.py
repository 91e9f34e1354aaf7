"""Where one tenant's responses are: the keys of their items, the values in them, and when they expire."""

from collections.abc import Callable
from dataclasses import dataclass

from .table import Item, Table, number, safe
from .values import Values

DAY = 86_400
LOG_START, LOG_END = "log#", "log#~"
DELETED = "deleted"
"""The status of a record that is being deleted."""


@dataclass(frozen=True, slots=True)
class TenantLayout:
    """`tenant` is safe in a key. A response and its log expire after so many days."""

    table: Table
    values: Values
    tenant: str
    now: Callable[[], float]
    response_days: float
    log_days: float

    def pk(self, response_id: str) -> str:
        return f"{self.tenant}/{safe(response_id)}"

    def key(self, response_id: str, sk: str) -> Item:
        return {"pk": {"S": self.pk(response_id)}, "sk": {"S": sk}}

    def claim_key(self, digest: str) -> Item:
        """No response has this key: `safe` leaves no slash in its id."""
        return {"pk": {"S": f"{self.tenant}/key/{digest}"}, "sk": {"S": "claim"}}

    def spent_key(self, digest: str) -> Item:
        return {"pk": {"S": f"{self.tenant}/spent/{digest}"}, "sk": {"S": "spent"}}

    def socket_key(self, connection_id: str, sk: str) -> Item:
        return {"pk": {"S": f"{self.tenant}/socket/{safe(connection_id)}"}, "sk": {"S": sk}}

    def meter_key(self, key_id: str | None) -> Item:
        return meter_key(self.tenant, key_id)

    def usage_key(self, month: str, sk: str) -> Item:
        return {"pk": {"S": f"{self.tenant}/usage/{month}"}, "sk": {"S": sk}}

    def ttl(self, days: float) -> Item:
        return number(int(self.now() + days * DAY))

    def alive(self, item: Item | None) -> bool:
        """Whether there is an item that has not expired. DynamoDB deletes an expired item within days, not at once."""
        return bool(item) and float(item["ttl"]["N"]) > self.now()


def meter_key(tenant: str, key_id: str | None) -> Item:
    """Of a client key; of the tenant, without one. Each has a partition of its own."""
    return {"pk": {"S": f"{tenant}/meter/{safe(key_id or '')}"}, "sk": {"S": "tenant" if key_id is None else "key"}}


def log_key(batch: int) -> str:
    return f"{LOG_START}{batch:010d}"
