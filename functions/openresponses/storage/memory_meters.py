"""What keys and tenants may take, and have taken, in memory."""

from ..core.bill import Bill
from ..core.storage import Limits, Meter, UsageRow, Want
from .memory_shelf import Shelf


class MemoryMeters:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def read(self, key_id: str, now: float) -> tuple[Meter, Meter]:
        return Meter(), Meter()

    async def limit(self, key_id: str | None, limits: Limits) -> None: ...

    async def hold(self, want: Want, key: Limits, tenant: Limits) -> tuple[Meter, Meter]:
        return Meter(), Meter()

    async def settle(self, bill: Bill, *, stored: bool) -> bool:
        return True

    async def usage(self, first_day: str, last_day: str, key_id: str | None = None) -> list[UsageRow]:
        return []
