"""The runs of responses, in memory."""

from ...core.errors import Superseded
from ...core.records import Batch
from ...core.run import Run
from .shelf import Shelf


class MemoryRuns:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def load(self, response_id: str) -> Run | None:
        entry = self._shelf.responses.get(response_id)
        return entry and Run.model_validate_json(entry.run)

    async def save(self, run: Run, batch: Batch | None = None) -> None:
        entry = self._shelf.entry(run.response.id)
        if entry.version != run.version:
            raise Superseded("The run was saved by another")
        if batch is not None:
            entry.append(batch)
        run.version = entry.version = run.version + 1
        entry.run = run.at_rest()
