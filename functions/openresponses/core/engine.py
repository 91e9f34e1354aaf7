"""The loop. One driver serves the inline function and the state machine; only `pause` differs."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from itertools import chain

from ..schema import events as ev
from ..schema.items import FunctionCall, HostedToolCall, Item, Message, Reasoning
from ..schema.response import IncompleteDetails, Response
from .assembler import Assembler
from .errors import ProviderUnavailable
from .ports import Emit, Pause, Ports, ToolOutput
from .reducer import apply
from .run import Run, add_usage
from .steps import Act, Step, Stop, Think, next_step
from .turn import callable_tools, turn_of


class Journal:
    """Stamps, applies and forwards every event. The only writer of a run's response."""

    def __init__(self, run: Run, sink: Emit) -> None:
        self._run, self._sink = run, sink

    async def __call__(self, event: ev.Event) -> None:
        run = self._run
        event.sequence_number = run.next_sequence
        run.next_sequence += 1
        response = apply(run.response, event)
        if response is not run.response:  # a delta leaves it as it is, and pydantic's assignment is slow
            run.response = response
        await self._sink(event)


def item_ids(response_id: str) -> Callable[[str, int], str]:
    """Item ids that embed their response's id: a reference to an item needs no index to find it."""
    token = response_id.removeprefix("resp_")
    return lambda prefix, index: f"{prefix}_{token}{index:04x}"


async def begin(run: Run, emit: Emit) -> None:
    await emit(ev.ResponseCreated(response=run.response))
    await emit(ev.ResponseInProgress(response=run.response))


async def drive(run: Run, ports: Ports, emit: Emit, pause: Pause) -> Step:
    """Take steps until the run stops or `pause` asks for it back. Returns the step not taken.

    Raises ProviderError when a turn dies: its items are then closed, and discarded for the model.
    """
    while not isinstance(step := next_step(run), Stop) and not pause(step):
        match step:
            case Think():
                await think(run, ports, emit)
            case Act():
                await act(run, ports, step.calls, emit)
    return step


async def think(run: Run, ports: Ports, emit: Emit) -> None:
    """One turn of the model. A turn that dies, for whatever reason, leaves no item open."""
    start = len(run.response.output)
    provider, model = ports.models.resolve(run.response.model)
    assembler = Assembler(
        start,
        item_ids(run.response.id),
        callable_tools(run),
        parallel_calls=run.request.parallel_tool_calls is not False,
    )
    events: Iterator[ev.Event] = iter(())
    try:
        async with aclosing(provider.stream(turn_of(run, model))) as deltas:
            async for delta in deltas:
                events = assembler.feed(delta)
                for event in events:
                    await emit(event)
        if assembler.finish is None:
            raise ProviderUnavailable("The provider's stream ended before its turn did")
    except BaseException:
        for event in chain(events, assembler.abandon()):  # an emit that was cancelled left some of its delta
            await emit(event)
        run.discarded += [item.id for item in run.response.output[start:]]
        raise
    finally:
        run.usage = add_usage(run.usage, assembler.usage)
    run.turns += 1
    run.turn_start = start
    run.finish = assembler.finish


async def act(run: Run, ports: Ports, calls: tuple[HostedToolCall, ...], emit: Emit) -> None:
    """Run the calls at once, and absorb their outputs in the order in which the model made them."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ports.tools.call(call)) for call in calls]
        for call, task in zip(calls, tasks, strict=True):
            await absorb(run, call, await task, emit)


async def absorb(run: Run, call: HostedToolCall, output: ToolOutput, emit: Emit) -> None:
    """Close a call's item with what its tool answered."""
    index = next(i for i, item in enumerate(run.response.output) if item.id == call.id)
    status = "failed" if output.failed else "completed"
    item = call.model_copy(update={"status": status, "output": output.text})
    await emit(ev.OutputItemDone(output_index=index, item=item))


async def finish(run: Run, stop: Stop, emit: Emit, now: Callable[[], float]) -> None:
    """Close what is open, and end the response with its one terminal event."""
    for index, item in enumerate(run.response.output):
        if is_open(item):
            closed = item.model_copy(update={"status": "incomplete"})
            await emit(ev.OutputItemDone(output_index=index, item=closed))
    final = run.response.model_copy(
        update={
            "status": stop.status,
            "usage": run.usage,
            "error": stop.error,
            "incomplete_details": IncompleteDetails(reason=stop.reason) if stop.reason else None,
            "completed_at": int(now()) if stop.status == "completed" else None,
        }
    )
    await emit(_terminal(stop, final))


def is_open(item: Item) -> bool:
    return isinstance(item, Message | FunctionCall | HostedToolCall | Reasoning) and item.status == "in_progress"


def _terminal(stop: Stop, final: Response) -> ev.Event:
    match stop.status:
        case "completed":
            return ev.ResponseCompleted(response=final)
        case "incomplete":
            return ev.ResponseIncomplete(response=final)
        case "failed":
            return ev.ResponseFailed(response=final)
