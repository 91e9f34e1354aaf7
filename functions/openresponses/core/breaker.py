"""Which targets have failed lately, in this sandbox. A target that keeps failing is asked last, and only once."""

from collections.abc import Callable
from dataclasses import dataclass

FAILURES = 5
OPEN_SECONDS = 30.0


@dataclass(slots=True)
class _State:
    failures: int = 0
    open_until: float = 0.0


class Breaker:
    """A circuit for each target: it opens after `FAILURES` in a row, and lets one try through after `OPEN_SECONDS`.

    An open circuit never refuses a request that has no other target: it only saves the retries.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._states: dict[str, _State] = {}

    def is_open(self, target: str) -> bool:
        state = self._states.get(target)
        return state is not None and self._now() < state.open_until

    def failed(self, target: str, *, busy_for: float | None = None) -> None:
        """`busy_for`: the target said itself for how many seconds it wants to be left alone."""
        state = self._states.setdefault(target, _State())
        state.failures += 1
        if busy_for:
            state.open_until = max(state.open_until, self._now() + min(busy_for, OPEN_SECONDS))
        if state.failures >= FAILURES:
            state.open_until = self._now() + OPEN_SECONDS

    def succeeded(self, target: str) -> None:
        self._states.pop(target, None)
