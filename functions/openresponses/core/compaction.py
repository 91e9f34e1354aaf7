"""When a conversation is compacted, and what the model is asked then. Pure."""

from dataclasses import replace
from typing import Literal

from ..schema.content import InputText
from ..schema.items import Compaction, Item, Message
from .run import Run
from .turn import Turn, conversation, turn_of
from .window import BY_THRESHOLD, BY_TRIGGER, ends_what_was_before, instructs, open_calls, window

DEFAULT_THRESHOLD = 100_000
"""Tokens, where `context_management` says none."""
LEAST = 4
"""A conversation is compacted where that can take away one `LEAST`th of the threshold. Instructions and tools that are
longer than the threshold would have it compacted again before each turn, in vain."""
ASKS = """\
The conversation above is about to be replaced by a summary, because it has become long. Write that summary now. \
Another model, which sees nothing of the conversation, goes on from it: what you leave out is lost.

Write down, under headings of these names:
1. Asked: what the user asked for, as exactly as they said it, with every constraint and preference, and what they \
asked last.
2. Decided: what was decided, with the reasons, and what was tried and rejected.
3. Done: what was done and found out, in order, with the results of tool calls that still matter.
4. Open: what is left to do, what is in progress, and the very next step.
5. Facts: every name, id, number, date, path, file name, command, address, error message and piece of code that may be \
needed again, verbatim.

Where the conversation begins with an earlier summary, carry over all of it that still holds. State nothing that the \
conversation does not say. Call no tool, answer no question and speak to nobody: write the summary, and nothing else."""


def due(run: Run) -> bool:
    """Whether the run's next turn would be asked with more tokens than its request allows."""
    if not run.request.context_management:
        return False
    from .estimate import tokens_in, tokens_of  # no other request needs it

    threshold = _threshold(run)
    goes = (item for item in conversation(run) if not instructs(item) and not ends_what_was_before(item))
    if tokens_of(goes) * LEAST < threshold:
        return False
    return max(run.rendered, tokens_in(turn_of(run, run.request.model))) > threshold


def _threshold(run: Run) -> int:
    """The least of those that were given."""
    given = [each.compact_threshold or DEFAULT_THRESHOLD for each in run.request.context_management or ()]
    return min(given, default=DEFAULT_THRESHOLD)


def compacting(run: Run) -> Turn:
    """The turn in which the model is asked for a summary. It is offered no tool, and its answer has no form."""
    turn = turn_of(run, run.request.model)
    asks = Message(id="", role="user", content=[InputText(text=ASKS)])
    plain = {"text": None, "include": None, "top_logprobs": None, "tool_choice": None}
    return replace(
        turn,
        items=(*turn.items, asks),
        tools=(),
        upstream_tools=(),
        tool_choice="none",
        must_call=None,
        max_output_tokens=run.cap,
        request=run.request.model_copy(update=plain),
        keeps=tuple(_kept(run)),
    )


def begun(run: Run, item_id: str) -> Compaction:
    """The item of a compaction, before there is a summary."""
    by: dict[Literal["trigger", "request"] | None, str | None] = {None: BY_THRESHOLD, "trigger": BY_TRIGGER}
    return Compaction(id=item_id, encrypted_content="", created_by=by.get(run.compacts), status="in_progress")


def _kept(run: Run) -> list[Item]:
    """What the item carries beside the summary: calls that wait for their outputs, and what the user said last, unless
    it is long. `/responses/compact` shows both behind and before the item.
    """
    if run.compacts == "request":
        return []
    items, _ = window(run.context, run.settled())
    asked = [] if run.compacts else _asked_last(run)
    return [*asked, *open_calls(items)]


def _asked_last(run: Run) -> list[Item]:
    from .estimate import tokens_of

    said = [item for item in run.context if isinstance(item, Message) and item.role == "user"]
    return [*said[-1:]] if said and tokens_of(said[-1:]) * LEAST <= _threshold(run) else []
