"""Taking a run over from a worker that may be dead, or only slow."""

import asyncio
from dataclasses import dataclass, field

from ..core.accounts import CallOutcome, call_account_of, call_entry_of
from ..core.errors import StorageUnavailable, Superseded
from ..core.records import Batch, Record
from ..core.reducer import apply
from ..core.run import Run
from ..core.storage import Storage
from ..core.timeline import WORKER_DIED
from ..schema.events import Event, OutputItemAdded, OutputItemDone
from ..schema.server_items import ServerCall
from .closing import closing
from .conversation import before as context_before
from .journal import AHEAD, Journal

_OUTCOMES: dict[str, CallOutcome] = {"completed": "completed", "failed": "failed"}
"""Of a call, by its item's status."""


@dataclass
class Remains:
    """What was made since the run was saved, by workers that then died: their events in the log, and how many turns
    they began to tell of.
    """

    said: list[Event] = field(default_factory=list[Event])
    turns: int = 0


async def resume(storage: Storage, response_id: str) -> tuple[Run, list[Batch]] | None:
    """The run of a response that is not over, as it was last saved, and the begin of its log. None if it is gone."""
    run, log = await asyncio.gather(storage.runs.load(response_id), storage.log.read(response_id, -1))
    return None if run is None else (run, log)


async def take_over(run: Run, log: list[Batch], storage: Storage, record: Record) -> Remains:
    """Bring `run` up to its log, and fence the log, so that no earlier worker can write to it any more.

    The run gets its context. Raises Superseded if another worker was faster, or ended the response, and
    StorageUnavailable if the run was saved since it was loaded.
    """
    remains = Remains()
    if run.held == "next" and (run.response.status != "queued" or any(not batch.events for batch in log)):
        run.held = "lost"  # another worker may have asked for the turn
    run.response = run.response.model_copy(update={"output": []})  # version 0.1 stored its items with it
    before, _ = await asyncio.gather(context_before(storage, record), _catch_up(run, log, storage, remains))
    run.context, run.inherited = [*before, *record.input], len(before)
    if run.streams and run.next_sequence:
        run.next_sequence += AHEAD + 1  # the client may have seen so many events more, and one of an error
    return remains


async def _catch_up(run: Run, batches: list[Batch], storage: Storage, remains: Remains) -> None:
    refused = -1
    while True:
        while batches:
            _fold(run, batches, remains)
            batches = await storage.log.read(run.response.id, run.next_batch - 1)
        try:
            await storage.log.append(run.response.id, Batch(run.next_batch, []))
        except Superseded:
            (record,) = await storage.store.load([run.response.id])
            if record is None or record.over or run.next_batch == refused:  # the number is taken, yet no batch has it
                raise
            refused = run.next_batch
            batches = await storage.log.read(run.response.id, run.next_batch - 1)
        else:
            run.next_batch += 1
            break
    saved = await storage.runs.load(run.response.id)
    if saved is None or saved.version != run.version:  # a save needs a batch of the log, so none comes after the fence
        raise StorageUnavailable("The response was saved while it was taken over: try again")


def _fold(run: Run, batches: list[Batch], remains: Remains) -> None:
    fenced = False
    for batch in batches:
        run.next_batch = batch.number + 1
        fenced = fenced or not batch.events
        for event in batch.events:
            run.response = apply(run.response, event)
            run.next_sequence = event.sequence_number + 1
            index = getattr(event, "output_index", -1)
            if index < run.kept:
                continue
            remains.said.append(event)
            if isinstance(event, OutputItemAdded) and (fenced or index == run.kept):  # an attempt of the turn began
                run.began, fenced = index, False
                remains.turns += 1


async def bury(run: Run, journal: Journal, remains: Remains, error: str = WORKER_DIED) -> None:
    """Close the items of a dead turn, and discard them, so that the model is never shown them again. `error` is what
    its entry in the timeline says.
    """
    _record(run, remains, error)
    done = {event.output_index for event in remains.said if isinstance(event, OutputItemDone)}
    for index, item in enumerate(run.response.output[run.kept :], run.kept):
        if item.id not in run.discarded:
            run.discarded.append(item.id)
        if index not in done:
            for event in closing(item, index, remains.said):
                await journal(event)


def _record(run: Run, remains: Remains, error: str) -> None:
    """Record what died unrecorded: calls that were answered since the run was saved, and the turns after it."""
    timeline, answered = run.timeline, [item for item in run.settled() if item.id in run.tried]
    for call in answered:
        if isinstance(call, ServerCall) and call.status != "in_progress" and not timeline.has_call(call.id):
            account = call_account_of(run, call, _OUTCOMES.get(call.status, "unknown"))
            timeline.add_call(call_entry_of(account, timeline.end(run.created)))
    for _ in range(remains.turns):
        timeline.add_lost_turn(run.created, error)
