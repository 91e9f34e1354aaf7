"""The loop. One driver serves the inline function and the state machine; only `pause` differs."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain

from ..schema import events as ev
from ..schema.items import Compaction, ExtensionItem, FunctionCall, Item, Message, Reasoning
from ..schema.response import IncompleteDetails, Response, Usage
from ..schema.server_items import REJECTED_CALL, ServerCall
from . import deltas as d
from .assembler import Assembler
from .bill import cost_of, shown_cost, used_by
from .blocks import NewRequestId
from .citations import sources_of
from .compaction import begun, compacting
from .errors import CompactionFailed, LimitReached, ProviderError, ProviderUnavailable, RequestError
from .ids import item_ids
from .opening import opening
from .ports import Emit, Keep, Pause, Ports, ToolOutput, TurnStream
from .room import MAX_RESPONSE, Room, size_of
from .run import ReasoningShown, Run
from .server_calls import answered, may_be_repeated
from .spans import within
from .steps import BUDGET, Act, Compact, Open, Park, Step, Stop, Think, next_step
from .timeline import TurnWatch
from .truncation import asked, next_turn
from .turn import Turn, callable_tools
from .usage import add_usage

MAX_TRIES = 2
"""How often a call is begun whose worker dies."""
NO_ANSWER = ToolOutput("The tool did not answer. You may try again, or go on without it.", failed=True)
OUTCOME_UNKNOWN = ToolOutput(
    "The call was interrupted, and its outcome is unknown: it may have had its effect. It was not made again. Find out "
    "what came of it before you repeat it.",
    failed=True,
)


async def begin(run: Run, emit: Emit) -> None:
    await emit(ev.ResponseCreated(response=run.response))
    await emit(ev.ResponseInProgress(response=run.response))


async def unkept(_: Run) -> None:
    """Keeps nothing of a run that is not stored."""


async def drive(run: Run, ports: Ports, emit: Emit, pause: Pause, keep: Keep = unkept, *, heard: bool = True) -> Step:
    """Take steps until the run stops, waits, or `pause` asks for it back. Returns the step not taken.

    `keep` makes the run durable, once a turn: before its calls begin. Raises ProviderError when a turn dies: its items
    are then closed, and discarded for the model. `heard`: somebody reads the events of each piece of text.
    """
    try:
        return await _driven(run, ports, emit, pause, keep, heard=heard)
    finally:
        if run.servers:
            await ports.tools.leave(run)


async def _driven(run: Run, ports: Ports, emit: Emit, pause: Pause, keep: Keep, *, heard: bool) -> Step:
    while not isinstance(step := next_step(run), Park | Stop) and not pause(step):
        if isinstance(step, Think | Compact) and (stop := await _hold(run, ports, step)):
            return stop
        match step:
            case Open():
                await tell(run, emit)
            case Think():
                with within(ports.traces.turn(run) if ports.traces else None):
                    await think(run, ports, emit, heard=heard)
            case Act():
                await act(run, ports, step.calls, emit, keep)
            case Compact():
                with within(ports.traces.turn(run, "compact") if ports.traces else None):
                    await compact(run, ports, emit, keep)
    return step


async def _hold(run: Run, ports: Ports, step: Step) -> Stop | None:
    """Hold what the limits are to have for the next turn. Why the response is over, if they leave nothing."""
    try:
        if ports.budget is not None:
            await ports.budget.hold(run, turn_for(step))
    except LimitReached as error:
        return Stop("incomplete", BUDGET, error.message)
    return None


def turn_for(step: Step) -> Callable[[Run], Turn]:
    """How the turn is made of a run that a step asks a model for."""
    return compacting if isinstance(step, Compact) else next_turn


async def tell(run: Run, emit: Emit) -> None:
    """Tell what needs no model. Whatever interrupts it, no item stays half told."""
    events = opening(run)
    try:
        for event in events:
            await emit(event)
    except BaseException:
        for event in events:
            await emit(event)
        raise


async def think(run: Run, ports: Ports, emit: Emit, *, heard: bool = True) -> None:
    """One turn of the model. A turn that dies, for whatever reason, leaves no item open."""
    run.began = start = len(run.response.output)
    new_request_id = await _new_request_id(run, ports)
    assembler = Assembler(
        start,
        item_ids(run.response.id),
        callable_tools(run),
        parallel_calls=run.request.parallel_tool_calls is not False,
        heard=heard,
        room=Room(MAX_RESPONSE - run.said),
        sources=sources_of(run.all_items()),
        new_request_id=new_request_id,
    )
    events: Iterator[ev.Event] = iter(())
    run.held = "lost"
    answer: TurnStream | None = None
    watch = TurnWatch(ports.now)
    try:
        async with asked(run, ports.models, attempts=watch.attempts) as answer:
            watch.answered()
            run.served = answer.target
            async for delta in answer.deltas:
                events = assembler.feed(visible(delta, run.reasoning))
                for event in events:
                    await emit(event)
        if assembler.finish is None:
            raise ProviderUnavailable("The provider's stream ended before its turn did")
    except BaseException as error:
        run.dead_usage = add_usage(run.dead_usage, assembler.usage)
        _charge(run, watch, answer, assembler.usage, error)
        for event in chain(events, assembler.abandon()):  # an emit that was cancelled left some of its delta
            await emit(event)
        run.discarded += [item.id for item in run.response.output[start:]]
        raise
    finally:
        run.said += size_of(run.response.output[start:])
    run.usage = add_usage(run.usage, assembler.usage)
    _charge(run, watch, answer, assembler.usage)
    run.rendered = assembler.usage.input_tokens + assembler.usage.output_tokens
    run.turns += 1
    run.turn_start = start
    run.finish = assembler.finish
    calls = run.calls(start)
    refused = bool(calls) and all(call.type == REJECTED_CALL for call in calls)
    run.refused_turns = run.refused_turns + 1 if refused else 0


def _charge(
    run: Run, watch: TurnWatch, answer: TurnStream | None, usage: Usage, error: BaseException | None = None
) -> None:
    """Count what a turn, or a summary, took of the target that began to answer, if one did, and record it.

    A provider that fails has told what it took. One that was cut off tells it later, to nobody: else a client could
    cancel each response just before its end, and use up nothing.
    """
    if error is None or isinstance(error, ProviderError | RequestError):
        run.held = ""
    if answer is None:
        run.timeline.add_turn(watch, None, usage, None, error)
        return
    cost = answer.pricing(usage)
    used_by(run.by_target, answer.target, usage, cost)
    run.timeline.add_turn(watch, answer.target, usage, cost, error, instead=answer.instead)


async def _new_request_id(run: Run, ports: Ports) -> NewRequestId | None:
    """None where no tool needs an approval, or nothing could prove that one was asked for."""
    if ports.marks is None or not any(tool.needs_approval for tool in run.tools):
        return None
    from .approvals import request_ids  # few requests need it

    mark = (await ports.marks.marks())[0]
    return request_ids(mark, run.servers, ports.now())


async def compact(run: Run, ports: Ports, emit: Emit, keep: Keep = unkept) -> None:
    """Have the model summarise the conversation. The item that holds the summary is kept at once: it is not made twice.

    The item begins as the model does: a target that refuses leaves nothing. One that dies leaves an item that is
    incomplete, and discarded.
    """
    run.began = start = len(run.response.output)
    item = begun(run, item_ids(run.response.id)("cmp", start))
    sealed, usage = "", Usage()
    run.held = "lost"
    answer: TurnStream | None = None
    watch = TurnWatch(ports.now, compacts=True)
    try:
        async with asked(run, ports.models, compacting, watch.attempts) as answer:
            watch.answered()
            run.served = answer.target
            await emit(ev.OutputItemAdded(output_index=start, item=item))
            await emit(ev.CompactionCompacting(item_id=item.id, output_index=start))
            async for delta in answer.deltas:
                if isinstance(delta, d.Usage):
                    usage = delta.usage
                elif isinstance(delta, d.Compacted):
                    sealed = delta.data
        if not sealed:
            raise CompactionFailed("The model wrote no summary of the conversation")
    except BaseException as error:
        run.dead_usage = add_usage(run.dead_usage, usage)
        _charge(run, watch, answer, usage, error)
        if len(run.response.output) > start:
            run.discarded.append(item.id)
            await emit(ev.OutputItemDone(output_index=start, item=item.model_copy(update={"status": "incomplete"})))
        raise
    item = item.model_copy(update={"encrypted_content": sealed, "status": None})
    await emit(ev.OutputItemDone(output_index=start, item=item))
    run.summary_usage = add_usage(run.summary_usage, usage)
    _charge(run, watch, answer, usage)
    run.said += size_of([item])
    run.rendered = run.cut = 0
    await keep(run)


def visible(delta: d.Delta, shown: ReasoningShown) -> d.Delta:
    """What a client may see of `delta`. Reasoning that it may not see still opens its item, which carries the state
    that the provider wants echoed.
    """
    if isinstance(delta, d.Reasoning) and (shown == "encrypted" or (shown == "summary" and delta.summary is None)):
        return d.Reasoning(delta.key)
    return delta


async def act(run: Run, ports: Ports, calls: tuple[ServerCall, ...], emit: Emit, keep: Keep = unkept) -> None:
    """Run the calls side by side. The output of each is absorbed when it comes.

    Each call is counted before it begins. If a worker died meanwhile, the calls without an answer run again, but one
    at a time, so that only the one that kills its worker is given up. One that may not be repeated is given up at once.
    """
    if given_up := [(call, why) for call in calls if (why := _why_given_up(run, call))]:
        for call, why in given_up:
            await ports.called(call, run, None)
            await absorb(run, call, why, emit)
        return
    if any(call.id in run.tried for call in calls):
        calls = calls[:1]
    before = {**run.tried}
    for call in calls:
        run.tried[call.id] = run.tried.get(call.id, 0) + 1
    try:
        await keep(run)
    except BaseException:
        run.tried = before  # none began
        raise
    one_at_a_time = asyncio.Lock()

    async def answer(call: ServerCall) -> None:
        output = await ports.call(call, run)
        async with one_at_a_time:
            await absorb(run, call, output, emit)

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(answer(call))


def _why_given_up(run: Run, call: ServerCall) -> ToolOutput | None:
    tries = run.tried.get(call.id, 0)
    if tries and not may_be_repeated(call, run):
        return OUTCOME_UNKNOWN
    return NO_ANSWER if tries >= MAX_TRIES else None


async def absorb(run: Run, call: ServerCall, output: ToolOutput, emit: Emit) -> None:
    """Close a call's item with its tool's output."""
    run.tried.pop(call.id, None)
    index = next(i for i, item in enumerate(run.response.output) if item.id == call.id)
    for event in answered(call, output, index):
        await emit(event)


async def finish(run: Run, stop: Stop, emit: Emit, now: Callable[[], float]) -> None:
    """Close what is open, and end the response with its one terminal event. The response leaves out what a turn that
    died has said, if another turn took its place: both would answer the same.
    """
    for index, item in enumerate(run.response.output):
        if is_open(item) and item.id not in run.discarded:
            closed = item.model_copy(update={"status": "incomplete"})
            await emit(ev.OutputItemDone(output_index=index, item=closed))
    replaced = {item.id for item in run.response.output[: run.began]} & {*run.discarded}
    replaced |= {item.id for item in run.response.output if isinstance(item, Compaction) and not item.encrypted_content}
    final = run.response.model_copy(
        update={
            "output": [item for item in run.response.output if item.id not in replaced],
            "status": stop.status,
            "model": run.served or run.response.model,
            "usage": run.used(),
            "cost": shown_cost(cost_of(run.by_target)),
            "error": stop.error,
            "incomplete_details": IncompleteDetails(reason=stop.reason, message=stop.message) if stop.reason else None,
            "completed_at": int(now()) if stop.status == "completed" else None,
        }
    )
    await emit(terminal(final))


def is_open(item: Item) -> bool:
    return (
        isinstance(item, Message | FunctionCall | ServerCall | Reasoning | ExtensionItem | Compaction)
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
