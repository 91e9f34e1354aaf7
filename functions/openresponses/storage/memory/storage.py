"""The storage ports of one tenant, in memory."""

from ...core.storage import Storage
from .answers import MemoryAnswers
from .claims import MemoryClaims
from .conversations import MemoryConversations
from .endpoints import MemoryEndpoints
from .event_log import MemoryEventLog
from .launcher import MemoryLauncher, Started
from .meters import MemoryMeters
from .prompts import MemoryPrompts
from .runs import MemoryRuns
from .shelf import Shelf
from .spent import MemorySpent
from .store import MemoryStore


def memory_storage(shelf: Shelf | None = None, on_start: Started | None = None) -> Storage:
    """The storage ports over `shelf`. `on_start` is awaited once for each execution that is started."""
    shelf = Shelf() if shelf is None else shelf
    return Storage(
        store=MemoryStore(shelf),
        runs=MemoryRuns(shelf),
        log=MemoryEventLog(shelf),
        launcher=MemoryLauncher(shelf, on_start),
        claims=MemoryClaims(shelf),
        prompts=MemoryPrompts(shelf),
        conversations=MemoryConversations(shelf),
        answers=MemoryAnswers(shelf),
        spent=MemorySpent(shelf.spent),
        endpoints=MemoryEndpoints(shelf),
        meters=MemoryMeters(shelf),
    )
