"""The event logs of responses, in memory."""

from ...core.loading import MAX_LOG_READ
from ...core.records import Batch
from .shelf import Shelf, events_adapter


class MemoryEventLog:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def append(self, response_id: str, batch: Batch) -> None:
        self._shelf.entry(response_id).append(batch)

    async def read(self, response_id: str, after_batch: int) -> list[Batch]:
        entry = self._shelf.responses.get(response_id)
        log = sorted(entry.log.items()) if entry is not None else []
        batches, size = list[Batch](), 0
        for number, events in log:
            if number > after_batch and size < MAX_LOG_READ:
                batches.append(Batch(number, events_adapter().validate_json(events)))
                size += len(events)
        return batches
