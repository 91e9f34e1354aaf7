"""The state machine's side: turn after turn of a response, or the end of one that can't go on."""

import asyncio
import json
from contextlib import suppress
from typing import Literal, TypedDict

from ..core import errors
from ..core.answers import Answer
from ..core.engine import absorb, begin, drive, finish
from ..core.ports import Pause, Ports, ToolOutput
from ..core.records import Batch, Record
from ..core.run import Run
from ..core.settings import Settings
from ..core.spans import telling
from ..core.steps import Act, Park, Step, Stop, next_step
from ..core.storage import Storage
from ..durable.journal import Journal, Recorder, nowhere
from ..durable.tail import folded
from ..durable.takeover import Remains, bury, resume, take_over
from ..schema.events import ResponseInProgress
from ..schema.response import ResponseError

FLUSH_SECONDS = 0.1
"""A handed-off response's clients read its log, so a delta must not wait long."""
HISTORY_PER_TASK = 128
"""An upper bound of the events that one task adds to an execution's history, with the retries of what failed in it."""
HISTORY_PER_RETRY = 4
"""The same for one retry. A task that Lambda refuses to begin is retried more often than the other bound allows for."""
HISTORY_PER_CALL = 176
"""The same for a call that is parked, with all that can be tried again for it."""
MAX_PARKED = 40
"""Calls that are parked at once, the others after them. A Map asks for no more at once, either:
https://docs.aws.amazon.com/step-functions/latest/dg/state-map-inline.html"""


class ParkedCall(TypedDict):
    """By its item's id, and how long its answer may take."""

    id: str
    seconds: float


class WorkResult(TypedDict):
    """What the state machine needs to choose the next state: another task (`again`), the answers of `calls` (`park`),
    or none. `turns` were taken.
    """

    response_id: str
    generation: int
    step: Literal["again", "park", "renewed", "over"]
    turns: int
    calls: list[ParkedCall]


class Worker:
    def __init__(self, ports: Ports, settings: Settings) -> None:
        assert ports.storage is not None, "a worker needs storage"
        self._ports, self._settings = ports, settings
        self._storage: Storage = ports.storage

    async def work(self, response_id: str, generation: int, ends: float, attempt: int = 0) -> WorkResult:
        """Take turn after turn until the response is over, or too little time is left for a turn or a tool.

        `ends`, in Unix seconds, is when this task has to be over. A turn that is not over by then is closed, and taken
        again. `attempt` counts the retries of this task: a retry takes one step, so that what fails next has all its
        retries. Raises ProviderError, TurnTimeout among them, and StorageUnavailable: the task can be retried.
        """
        try:
            return await self._work(response_id, generation, ends, attempt)
        finally:
            await self._ports.export()

    async def _work(self, response_id: str, generation: int, ends: float, attempt: int) -> WorkResult:
        found = await self._find(response_id)
        if found is None:
            return _result(response_id, generation, "over")
        record, run, log = found
        if run.generation > generation:
            await self._storage.launcher.start(response_id, run.generation)
            return _result(response_id, run.generation, "renewed")
        recorder = self._recorder(run)
        journal = Journal(run, nowhere, recorder, self._ports.account)
        turns = run.turns
        timer = asyncio.timeout(max(0.1, ends - self._ports.now()))
        step: Step
        try:
            remains = await take_over(run, log, self._storage, record)
            async with recorder:
                await self._pick_up(run, journal, remains)
                if await self._absorb_answers(run, journal):
                    await self._storage.store.prolong(record, 0)
                if run.approved:
                    await self._spend(run)
                async with timer:
                    step = await drive(run, self._ports, journal, self._pause(ends, attempt), recorder.keep)
        except errors.Cancelled:
            step = Stop("cancelled")
        except errors.Superseded:
            return _result(response_id, generation, "over")
        except (errors.ProviderError, TimeoutError) as error:
            if isinstance(error, TimeoutError) and not timer.expired():
                raise
            step = next_step(run)
            if not isinstance(step, Act):  # a turn died; the calls of one were counted before they began
                if recorder.error is None:
                    await self._save_dead_turn(run)
                if run.turns == turns:
                    raise _of(error) from None
        if isinstance(step, Stop):
            with suppress(errors.Superseded):  # whoever cancelled it ended it too, and was faster
                await finish(run, step, journal, self._ports.now)
            return _result(response_id, generation, "over", run.turns - turns)
        if isinstance(step, Park):
            return await self._park(run, record, recorder, step, run.turns - turns)
        return await self._go_on(run, recorder, run.turns - turns, attempt)

    async def ask(self, response_id: str, call_id: str, task_token: str) -> bool:
        """Begin a call whose tool answers later, by the token. False if it failed at once: that is its answer.

        A task that is tried again asks again. Raises StorageUnavailable, and Superseded if nobody waits for the call.
        """
        records, run = await asyncio.gather(
            self._storage.store.load([response_id]), self._storage.runs.load(response_id)
        )
        if (record := records[0]) is None or record.over or run is None:
            raise errors.Superseded("The response is over, or gone")
        run.response = await folded(self._storage, record)
        call = next((each for each in run.pending() if each.id == call_id), None)
        if call is None:
            raise errors.Superseded("The call waits for nobody")
        with telling(self._ports.traces.call(call, run) if self._ports.traces else None):
            failure = await self._ports.tools.ask(call, run, task_token)
        if failure is not None:
            await self.answer(response_id, Answer(call_id=call_id, text=failure.text, failed=True))
        return failure is None

    async def answer(self, response_id: str, answer: Answer) -> None:
        """Keep an answer until the call is closed with it. Raises StorageUnavailable."""
        await self._storage.answers.keep(response_id, answer)

    async def settle(self, response_id: str, error: str, cause: str) -> None:
        """End a response that the state machine gave up, unless another worker has it, or has ended it."""
        found = await self._find(response_id)
        if found is None:
            return
        record, run, log = found
        journal = Journal(run, nowhere, self._recorder(run), self._ports.account)
        with suppress(errors.Superseded):
            remains = await take_over(run, log, self._storage, record)
            await self._pick_up(run, journal, remains)
            await finish(run, Stop("failed", error=readable(error, cause)), journal, self._ports.now)

    async def _find(self, response_id: str) -> tuple[Record, Run, list[Batch]] | None:
        """None if there is nothing left to do."""
        records, resumed = await asyncio.gather(
            self._storage.store.load([response_id]), resume(self._storage, response_id)
        )
        record = records[0]
        return None if record is None or record.over or resumed is None else (record, *resumed)

    def _recorder(self, run: Run) -> Recorder:
        return Recorder(run, self._storage, self._ports.now, seconds=FLUSH_SECONDS, inline=False)

    async def _pick_up(self, run: Run, journal: Journal, remains: Remains) -> None:
        run.timeline.handed_off = True
        if not run.next_sequence:  # its worker died before it wrote anything
            run.response = run.response.model_copy(update={"status": "in_progress"})
            await begin(run, journal)
        await bury(run, journal, remains)
        run.streams = False
        if run.response.status == "queued":
            going = run.response.model_copy(update={"status": "in_progress"})
            await journal(ResponseInProgress(response=going))

    async def _absorb_answers(self, run: Run, journal: Journal) -> bool:
        """Close the calls that were answered meanwhile. Whether there are any."""
        waiting = {call.id: call for call in run.pending() if run.patience(call) is not None}
        answers = await self._storage.answers.of(run.response.id) if waiting else []
        here = [answer for answer in answers if answer.call_id in waiting]
        for answer in here:
            call, output = waiting[answer.call_id], ToolOutput(answer.text, answer.failed)
            await self._ports.called(call, run, output, run.parked)
            await absorb(run, call, output, journal)
        return bool(here)

    async def _spend(self, run: Run) -> None:
        """The worker that died may not have come so far. Raises ApprovalSpent."""
        from ..core.approvals import unused
        from ..durable.spending import spend

        if unused(run):
            await spend(run, self._storage.spent)

    def _pause(self, ends: float, attempt: int) -> Pause:
        """Stop when a worst-case turn or tool no longer fits, after one step at least; a retry after one step."""
        begun = False

        def pause(step: Step) -> bool:
            nonlocal begun
            done = begun and (attempt > 0 or ends - self._ports.now() < self._settings.turn_seconds)
            begun = True
            return done

        return pause

    async def _save_dead_turn(self, run: Run) -> None:
        """Keep what is held, what is told of a turn that died, and its tokens. The next attempt goes on from this run,
        whose items are closed in the log. If another worker has fenced the log meanwhile, the run is that worker's.
        """
        with suppress(errors.KitError):
            run.kept = len(run.response.output)
            await self._storage.runs.save(run, Batch(run.next_batch, []))
            run.next_batch += 1

    async def _go_on(self, run: Run, recorder: Recorder, turns: int, attempt: int) -> WorkResult:
        """Save the run for the next task. Another execution goes on before this one's history is full."""
        run.history += HISTORY_PER_TASK + HISTORY_PER_RETRY * attempt
        if run.history < self._settings.history_events:
            await recorder.keep(run)
            return _result(run.response.id, run.generation, "again", turns)
        return await self._renew(run, recorder, turns)

    async def _park(self, run: Run, record: Record, recorder: Recorder, step: Park, turns: int) -> WorkResult:
        """Let the state machine wait. It begins to in an execution that has waited for nothing yet: so none lasts for a
        year, which AWS ends it after, or fills its history.
        """
        if run.history:
            return await self._renew(run, recorder, turns)
        waiting = [(call.id, run.patience(call) or 1.0) for call in step.calls[:MAX_PARKED]]
        run.history, run.parked = HISTORY_PER_TASK + HISTORY_PER_CALL * len(waiting), self._ports.now()
        if self._ports.budget is not None:
            await self._ports.budget.rest(run)
        await recorder.keep(run)
        await self._storage.store.prolong(record, max(seconds for _, seconds in waiting))
        calls: list[ParkedCall] = [{"id": call_id, "seconds": seconds} for call_id, seconds in waiting]
        return {**_result(run.response.id, run.generation, "park", turns), "calls": calls}

    async def _renew(self, run: Run, recorder: Recorder, turns: int) -> WorkResult:
        run.history, run.generation = 0, run.generation + 1
        await recorder.keep(run)
        await self._storage.launcher.start(run.response.id, run.generation)
        return _result(run.response.id, run.generation, "renewed", turns)


def _result(
    response_id: str, generation: int, step: Literal["again", "park", "renewed", "over"], turns: int = 0
) -> WorkResult:
    return {"response_id": response_id, "generation": generation, "step": step, "turns": turns, "calls": []}


def _of(error: Exception) -> Exception:
    return errors.TurnTimeout("A turn took longer than its worker lives") if isinstance(error, TimeoutError) else error


def readable(error: str, cause: str) -> ResponseError:
    """What the client is told of an error that the state machine caught: nothing in detail, unless it is our own."""
    kind = getattr(errors, error, None)
    if isinstance(kind, type) and issubclass(kind, errors.KitError):
        try:
            message = json.loads(cause)["errorMessage"]
        except (ValueError, KeyError, TypeError):
            message = "The model provider failed"
        return ResponseError(code=kind.code, message=str(message))
    if error in ("States.Timeout", "Sandbox.Timedout", "TaskTimedOut"):
        return ResponseError(code="turn_timeout", message="A turn took longer than a turn may take")
    if error == "Lambda.TooManyRequestsException":
        return ResponseError(code="overloaded", message="The server was busy for too long: try again")
    return ResponseError(code=errors.KitError.code, message="The server had an error while making the response")
