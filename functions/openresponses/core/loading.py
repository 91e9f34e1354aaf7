"""How much of what is stored is held in memory at once. A request is small, and what it leads to may be large."""

from threading import Lock

from .errors import ContextTooLong

MAX_CONTEXT = 24 * 2**20
"""Bytes of stored text that a request may bring along: the conversation that it goes on from, and what it refers to.
Two million tokens, as many as a model reads, are some 8 MB of text; the rest is for images, in base64. A function holds
it several times over, as values and as the provider's request: a third of 1 GB in the worst case."""
MAX_LOG_READ = 2 * 2**20
"""Bytes of a log that are enough for one read. Its events take ten times as much as values."""


class Allowance:
    """What a request may still load, in bytes of JSON. Several threads may take of it at once."""

    def __init__(self, size: float = MAX_CONTEXT) -> None:
        self._left, self._lock = size, Lock()

    def check(self, size: int) -> None:
        """Raises ContextTooLong if there is less than `size` left."""
        if size > self._left:
            raise ContextTooLong(
                f"The conversation is too long: a request brings along at most {MAX_CONTEXT >> 20} MiB that are stored"
            )

    def take(self, size: int) -> None:
        """Raises ContextTooLong if there is less than `size` left, and from then on for every size."""
        with self._lock:
            self._left -= size
        self.check(0)


def unlimited() -> Allowance:
    """For what was let in already: one response, or the conversation of one that is under way."""
    return Allowance(float("inf"))
