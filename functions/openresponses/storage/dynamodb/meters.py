"""What keys and tenants may take, and have taken, on DynamoDB."""

from ...core.bill import Bill
from ...core.storage import Limits, Meter, UsageRow, Want
from .layout import TenantLayout


class DynamoMeters:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def read(self, key_id: str, now: float) -> tuple[Meter, Meter]:
        return Meter(), Meter()

    async def limit(self, key_id: str | None, limits: Limits) -> None: ...

    async def hold(self, want: Want, key: Limits, tenant: Limits) -> tuple[Meter, Meter]:
        return Meter(), Meter()

    async def settle(self, bill: Bill, *, stored: bool) -> bool:
        return True

    async def usage(self, first_day: str, last_day: str, key_id: str | None = None) -> list[UsageRow]:
        return []
