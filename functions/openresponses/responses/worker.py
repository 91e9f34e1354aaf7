"""The state machine's side: one turn, one tool call, or the end of a response that can't go on."""

import json
from contextlib import suppress
from typing import Literal, TypedDict

from ..core import errors
from ..core.engine import absorb, drive, finish
from ..core.ports import Pause, Ports, Storage, ToolOutput
from ..core.records import Batch
from ..core.run import Run
from ..core.settings import Settings
from ..core.steps import Act, Stop
from ..durable.journal import Journal, Recorder, nowhere
from ..durable.tail import require
from ..durable.takeover import bury, catch_up, resume
from ..schema.events import ResponseInProgress
from ..schema.items import HostedToolCall
from ..schema.response import ResponseError

FLUSH_SECONDS = 0.1
"""A handed-off response's clients read its log, so a delta must not wait long."""
HISTORY_PER_TURN, HISTORY_PER_CALL = 16, 14
"""Upper bounds of the events that one turn, and one tool call, add to an execution's history."""
NO_ANSWER = ToolOutput("The tool did not answer. You may try again, or go on without it.", failed=True)


class TurnResult(TypedDict):
    """What the state machine needs to choose the next state. `calls` are item ids."""

    response_id: str
    generation: int
    step: Literal["think", "act", "stop", "renewed"]
    calls: list[str]


class Worker:
    def __init__(self, ports: Ports, settings: Settings) -> None:
        assert ports.storage is not None, "a worker needs storage"
        self._ports, self._settings = ports, settings
        self._storage: Storage = ports.storage

    async def turn(self, response_id: str, generation: int, attempt: int = 0) -> TurnResult:
        """Absorb what the tools answered, then take one turn. Raises ProviderError: the turn can be retried.

        `attempt` counts the retries of this turn: an earlier attempt may have saved the run and died before the state
        machine heard of its calls.
        """
        run = await self._run(response_id)
        if run is None:
            return self._result(response_id, generation, "stop")
        if run.generation > generation:
            await self._storage.launcher.start(response_id, run.generation)
            return self._result(response_id, run.generation, "renewed")
        recorder = self._recorder(run)
        journal = Journal(run, nowhere, recorder, self._ports.account)
        served, dead_usage = run.served, run.dead_usage
        try:
            remains = await catch_up(run, self._storage)
            async with recorder:
                await bury(run, journal, remains)
                if run.response.status == "queued":
                    going = run.response.model_copy(update={"status": "in_progress"})
                    await journal(ResponseInProgress(response=going))
                if unasked := await self._unasked(run, attempt):
                    step = Act(unasked)
                else:
                    await self._absorb(run, journal)
                    step = await drive(run, self._ports, journal, _one_turn(run))
        except errors.Cancelled:
            step = Stop("cancelled")
        except errors.Superseded:
            return self._result(response_id, generation, "stop")
        except errors.ProviderError:
            if run.dead_usage != dead_usage and recorder.error is None:
                run.served = served
                await self._save_dead_turn(run)
            raise
        if isinstance(step, Stop):
            await finish(run, step, journal, self._ports.now)
            return self._result(response_id, generation, "stop")
        calls = step.calls if isinstance(step, Act) else ()
        return await self._go_on(run, calls)

    async def tool(self, response_id: str, item_id: str) -> None:
        """Run one call, unless it was answered before; its output waits for the next turn."""
        run = await self._storage.runs.load(response_id)
        call = next((call for call in run.pending() if call.id == item_id), None) if run else None
        if call is None or (await self._storage.runs.outputs([call]))[0] is not None:
            return
        await self._storage.runs.put_output(call, await self._ports.tools.call(call))

    async def settle(self, response_id: str, error: str, cause: str) -> None:
        """End a response that the state machine gave up."""
        run = await self._run(response_id)
        if run is None:
            return
        journal = Journal(run, nowhere, self._recorder(run), self._ports.account)
        remains = await catch_up(run, self._storage)
        await bury(run, journal, remains)
        await finish(run, Stop("failed", error=readable(error, cause)), journal, self._ports.now)

    async def _run(self, response_id: str) -> Run | None:
        """None if there is nothing left to do."""
        try:
            record = await require(self._storage, response_id)
        except errors.NotFound:
            return None
        return None if record.over else await resume(self._storage, record)

    def _recorder(self, run: Run) -> Recorder:
        return Recorder(run, self._storage, self._ports.now, seconds=FLUSH_SECONDS, inline=False)

    async def _save_dead_turn(self, run: Run) -> None:
        """Keep the tokens that a turn used before it died. The next attempt goes on from this run, whose items are
        closed in the log. If another worker has fenced the log meanwhile, the run is that worker's.
        """
        with suppress(errors.KitError):
            await self._storage.log.append(run.response.id, Batch(run.next_batch, []))
            run.next_batch += 1
            await self._storage.runs.save(run)

    async def _unasked(self, run: Run, attempt: int) -> tuple[HostedToolCall, ...]:
        """Calls that no tool task has run yet: the inline worker handed off before it ran them, or the turn that made
        them died before the state machine heard of them.
        """
        pending = run.pending()
        if not attempt:
            return tuple(call for call in pending if call.id not in run.asked)
        outputs = await self._storage.runs.outputs(pending)
        return tuple(call for call, output in zip(pending, outputs, strict=True) if output is None)

    async def _absorb(self, run: Run, journal: Journal) -> None:
        pending = run.pending()
        for call, output in zip(pending, await self._storage.runs.outputs(pending), strict=True):
            await absorb(run, call, output or NO_ANSWER, journal)

    async def _go_on(self, run: Run, calls: tuple[HostedToolCall, ...]) -> TurnResult:
        """Save the run, and say what is next. Another execution goes on before this one's history is full."""
        run.history += HISTORY_PER_TURN + HISTORY_PER_CALL * len(calls)
        renew = run.history >= self._settings.history_events
        if renew:
            run.history, run.generation = 0, run.generation + 1
        else:
            run.asked += [call.id for call in calls if call.id not in run.asked]
        await self._storage.runs.save(run)
        if renew:
            await self._storage.launcher.start(run.response.id, run.generation)
            return self._result(run.response.id, run.generation, "renewed")
        return self._result(run.response.id, run.generation, "act" if calls else "think", calls)

    @staticmethod
    def _result(
        response_id: str,
        generation: int,
        step: Literal["think", "act", "stop", "renewed"],
        calls: tuple[HostedToolCall, ...] = (),
    ) -> TurnResult:
        return {"response_id": response_id, "generation": generation, "step": step, "calls": [c.id for c in calls]}


def _one_turn(run: Run) -> Pause:
    """Stop before any tool, and after one turn."""
    turns = run.turns
    return lambda step: isinstance(step, Act) or run.turns > turns


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
    return ResponseError(code=errors.KitError.code, message="The server had an error while making the response")
