"""Taking a run over from a worker that may be dead, or only slow."""

from dataclasses import dataclass, field

from ..core.engine import is_open
from ..core.errors import Superseded
from ..core.ports import Storage
from ..core.records import Batch, Record
from ..core.reducer import apply
from ..core.run import Run
from ..schema.events import Event
from .closing import closing
from .history import inherited
from .journal import Journal


@dataclass
class Remains:
    """What a dead turn may have left: items from index `start` on, and its events in the log."""

    start: int
    said: list[Event] = field(default_factory=list[Event])


async def resume(storage: Storage, record: Record) -> Run | None:
    """The run of a response that is not over, as it was last saved, with its context. None if it is gone."""
    run = await storage.runs.load(record.response.id)
    if run is not None:
        run.context = [*await inherited(storage.store, record), *record.input]
    return run


async def catch_up(run: Run, storage: Storage) -> Remains:
    """Bring `run` up to its log, and fence the log, so that no earlier worker can write to it any more.

    Returns what is left of a turn that wrote to the log, but died before the run was saved.
    """
    remains, refused = Remains(len(run.response.output)), -1
    while True:
        for batch in await storage.log.read(run.response.id, run.next_batch - 1):
            run.next_batch = batch.number + 1
            remains.said += batch.events
            for event in batch.events:
                run.response = apply(run.response, event)
                run.next_sequence = event.sequence_number + 1
        fence = Batch(run.next_batch, [])
        try:
            await storage.log.append(run.response.id, fence)
        except Superseded:
            (record,) = await storage.store.load([run.response.id])
            if record is None or record.over or run.next_batch == refused:  # the number is taken, yet no batch has it
                raise
            refused = run.next_batch
        else:
            run.next_batch += 1
            return remains


async def bury(run: Run, journal: Journal, remains: Remains) -> None:
    """Close the items of a dead turn, and discard them, so that the model is never shown them again."""
    for index, item in enumerate(run.response.output[remains.start :], remains.start):
        if item.id not in run.discarded:
            run.discarded.append(item.id)
        if is_open(item):
            for event in closing(item, index, remains.said):
                await journal(event)
