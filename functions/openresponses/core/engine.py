"""The loop. One driver serves the inline function and the state machine; only `pause` differs."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain

from ..schema import events as ev
from ..schema.items import REJECTED_CALL, ExtensionItem, FunctionCall, HostedToolCall, Item, Message, Reasoning
from ..schema.response import IncompleteDetails, Response
from . import deltas as d
from .assembler import Assembler
from .errors import ProviderUnavailable
from .ids import item_ids
from .ports import Emit, Pause, Ports, ToolOutput
from .run import ReasoningShown, Run, add_usage
from .steps import Act, Step, Stop, Think, next_step
from .turn import callable_tools, turn_of


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
    assembler = Assembler(
        start,
        item_ids(run.response.id),
        callable_tools(run),
        parallel_calls=run.request.parallel_tool_calls is not False,
    )
    events: Iterator[ev.Event] = iter(())
    try:
        async with ports.models.ask(turn_of(run, run.request.model), run.served) as answer:
            run.served = answer.target
            async for delta in answer.deltas:
                events = assembler.feed(visible(delta, run.reasoning))
                for event in events:
                    await emit(event)
        if assembler.finish is None:
            raise ProviderUnavailable("The provider's stream ended before its turn did")
    except BaseException:
        run.dead_usage = add_usage(run.dead_usage, assembler.usage)
        for event in chain(events, assembler.abandon()):  # an emit that was cancelled left some of its delta
            await emit(event)
        run.discarded += [item.id for item in run.response.output[start:]]
        raise
    run.usage = add_usage(run.usage, assembler.usage)
    run.turns += 1
    run.turn_start = start
    run.finish = assembler.finish
    calls = run.calls(start)
    refused = bool(calls) and all(call.type == REJECTED_CALL for call in calls)
    run.refused_turns = run.refused_turns + 1 if refused else 0


def visible(delta: d.Delta, shown: ReasoningShown) -> d.Delta:
    """What a client may see of `delta`. Reasoning that it may not see still opens its item, which carries the state
    that the provider wants echoed.
    """
    if isinstance(delta, d.Reasoning) and (shown == "encrypted" or (shown == "summary" and delta.summary is None)):
        return d.Reasoning(delta.key)
    return delta


async def act(run: Run, ports: Ports, calls: tuple[HostedToolCall, ...], emit: Emit) -> None:
    """Run the calls at once, and absorb their outputs in the order in which the model made them."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ports.tools.call(call)) for call in calls]
        for call, task in zip(calls, tasks, strict=True):
            await absorb(run, call, await task, emit)


async def absorb(run: Run, call: HostedToolCall, output: ToolOutput, emit: Emit) -> None:
    """Close a call's item with its tool's output."""
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
            "model": run.served or run.response.model,
            "usage": run.used(),
            "error": stop.error,
            "incomplete_details": IncompleteDetails(reason=stop.reason, message=stop.message) if stop.reason else None,
            "completed_at": int(now()) if stop.status == "completed" else None,
        }
    )
    await emit(terminal(final))


def is_open(item: Item) -> bool:
    return (
        isinstance(item, Message | FunctionCall | HostedToolCall | Reasoning | ExtensionItem)
        and item.status == "in_progress"
    )


def terminal(final: Response) -> ev.Event:
    """The event that ends a response in its final state."""
    if final.status == "completed":
        return ev.ResponseCompleted(response=final)
    if final.status == "failed":
        return ev.ResponseFailed(response=final)
    # The specification has no event for a response that was cancelled: its status says so.
    return ev.ResponseIncomplete(response=final)
