"""Spent approvals in memory: of tests, and of a process that has no storage."""

import time
from collections.abc import Callable, Sequence

DAY = 86_400


class MemorySpent:
    def __init__(self, spent: dict[str, tuple[str, float]], now: Callable[[], float] = time.time) -> None:
        """`spent` has, by the id of a request for approval, the response that it was spent for, and when. The oldest is
        the first.
        """
        self._spent, self._now = spent, now

    async def spend(self, request_ids: Sequence[str], response_id: str) -> str | None:
        self._forget()
        for each in request_ids:
            if each in self._spent and self._spent[each][0] != response_id:
                return each
        self._spent.update((each, (response_id, self._now())) for each in request_ids if each not in self._spent)
        return None

    async def give_back(self, request_ids: Sequence[str], response_id: str) -> None:
        for each in request_ids:
            if self._spent.get(each, ("",))[0] == response_id:
                del self._spent[each]

    def _forget(self) -> None:
        for each, (_, at) in list(self._spent.items()):
            if at > self._now() - DAY:
                return
            del self._spent[each]
