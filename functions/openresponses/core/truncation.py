"""Asking for a turn with less of the conversation where it is too long for the model (`truncation: "auto"`).

The run remembers its cut, so that no later turn is refused for the same items, whoever goes on with it.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

from ..schema.items import Item
from ..schema.timeline import Attempt
from .cut import Cut, cuts, left_after, stays
from .errors import InputTooLong
from .estimate import tokens_in, tokens_of
from .ports import Models, TurnStream
from .run import Run
from .turn import Turn, conversation, turn_of

MAX_CUTS = 4
"""Of one turn: each costs a round trip. The last one drops all that may be dropped."""
ROOM = 0.8
"""Of what fits, what is left has this part: so the next turns fit too, and the prompt's begin stays in its cache."""
HALF = 0.5
"""What is left where the provider tells no numbers."""


def next_turn(run: Run) -> Turn:
    return turn_of(run, run.request.model)


@asynccontextmanager
async def asked(
    run: Run, models: Models, made: Callable[[Run], Turn] = next_turn, attempts: list[Attempt] | None = None
) -> AsyncGenerator[TurnStream, None]:
    """A turn that is `made` of the run, which a target has begun to answer. `attempts` gets those of the targets that
    did not. Raises InputTooLong if too little can be dropped.

    Nothing is dropped before every target was asked: one with a larger context reads it all.
    """
    async with AsyncExitStack() as stack:
        for left in reversed(range(MAX_CUTS + 1)):
            turn = made(run)
            if attempts is not None:
                turn = replace(turn, attempts=attempts)
            try:
                answer = await stack.enter_async_context(models.ask(turn, run.served))
            except InputTooLong as error:
                cut = _next_cut(run, turn, error, last=left == 1) if left and run.request.truncation == "auto" else None
                if cut is None:
                    raise
                run.cut = cut
            else:
                yield answer
                return


def _next_cut(run: Run, turn: Turn, error: InputTooLong, *, last: bool) -> int | None:
    """None if there is nothing left to drop. The provider's numbers are a share of ours, since it counts otherwise."""
    fixed = tokens_in(replace(turn, items=()))
    share = ROOM * error.most / error.tokens if error.tokens else HALF
    fits = share * (fixed + sum(map(_tokens, turn.items))) - fixed
    said = conversation(run)
    shown = len(left_after(said, run.cut)) if run.cut else len(said)
    ways = _less(_ways(said, cuts(said)), run.cut, shown) or _less(
        _ways(said, cuts(said, amid_turns=True)), run.cut, shown
    )
    enough = (way.cut for way in ways if way.tokens <= fits and not last)
    return next(enough, ways[-1].cut if ways else None)


class _Way(NamedTuple):
    """A cut, how many items it leaves, and their tokens."""

    cut: int
    items: int
    tokens: int


def _less(ways: Iterable[_Way], cut: int, shown: int) -> list[_Way]:
    """Those that leave less than what is shown now."""
    return [way for way in ways if way.cut > cut and way.items < shown]


def _ways(items: Sequence[Item], places: Iterable[Cut]) -> Iterator[_Way]:
    costs = [_tokens(item) for item in items]
    left, kept, kept_tokens, at = sum(costs), 0, 0, 0
    for place, question in places:
        for passed in range(at, place):
            left -= costs[passed]
            if stays(items[passed]):
                kept, kept_tokens = kept + 1, kept_tokens + costs[passed]
        at = place
        asked, asked_tokens = (0, 0) if question is None else (1, costs[question])
        yield _Way(place, len(items) - place + kept + asked, left + kept_tokens + asked_tokens)


def _tokens(item: Item) -> int:
    return tokens_of([item])
