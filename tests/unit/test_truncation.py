"""What is dropped of a conversation that is too long: whole turns and calls, the oldest first, and never the newest."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from openresponses.core import deltas as d
from openresponses.core.cut import cuts, left_after, stays
from openresponses.core.errors import InputTooLong
from openresponses.core.estimate import tokens_of
from openresponses.core.ports import TurnStream
from openresponses.core.run import Run
from openresponses.core.truncation import MAX_CUTS, asked
from openresponses.core.turn import Turn, conversation, turn_of
from openresponses.schema.items import FunctionCall, FunctionCallOutput, Item, Message, Reasoning
from tests.unit.kit import new_run

_ITEMS = TypeAdapter[list[Item]](list[Item])
USER = {"role": "user", "content": "u" * 400}
SYSTEM = {"role": "developer", "content": "s" * 40}
SAID = {"role": "assistant", "content": "a" * 400}
THOUGHT = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t" * 40}]}
SUMMARY = {"type": "compaction", "encrypted_content": "c" * 40}
HOSTED = {"type": "serverless:clock", "call_id": "c", "name": "clock", "output": "o" * 400}


def call(name: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": name, "name": "f", "arguments": "{}"}


def answer(name: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": name, "output": "o" * 400}


def items_of(*values: dict[str, Any]) -> list[Item]:
    return [item.model_copy(update={"id": f"i{at}"}) for at, item in enumerate(_ITEMS.validate_python(values))]


TABLE = {
    "a turn is dropped whole": ([USER, SAID, USER, SAID, USER], [1, 2, 3, 4]),
    "no call is parted from its output": ([USER, call("a"), answer("a"), USER], [1, 3]),
    "parallel calls stay together": ([USER, call("a"), call("b"), answer("b"), answer("a"), USER], [1, 5]),
    "a call is not parted from a late output": ([call("a"), USER, SAID, answer("a"), USER], [4]),
    "an id that comes again is another call": (
        [call("a"), answer("a"), USER, call("a"), answer("a"), USER],
        [2, 3, 5],
    ),
    "reasoning stays with what follows": ([USER, THOUGHT, THOUGHT, HOSTED, THOUGHT, SAID, USER], [1, 4, 6]),
    "a call without an output": ([USER, call("a"), USER], [1, 2]),
    "turns of hosted calls": ([USER, HOSTED, HOSTED, HOSTED], [1, 2, 3]),
    "hosted calls after reasoning may be parallel": ([USER, THOUGHT, HOSTED, SAID, HOSTED, THOUGHT, HOSTED], [1, 5]),
    "instructions alone are no conversation": ([USER, HOSTED, SYSTEM, SYSTEM], [1]),
    "a client's answers end a turn": ([USER, THOUGHT, call("a"), answer("a"), call("b"), answer("b")], [1, 4]),
}


@pytest.mark.parametrize(("given", "places"), TABLE.values(), ids=TABLE)
def test_where_a_conversation_can_be_cut(given: list[dict[str, Any]], places: list[int]) -> None:
    assert [cut.place for cut in cuts(items_of(*given))] == places


LEFT = {
    "instructions and summaries stay": ([SYSTEM, USER, SUMMARY, SAID, SYSTEM, USER], 5, [0, 2, 4, 5]),
    "what is left begins with a question": ([USER, SAID, USER, SAID], 2, [2, 3]),
    "or with the question that it answers": ([USER, SAID, USER, HOSTED, HOSTED], 4, [2, 4]),
    "instructions come before a question": ([USER, SAID, SYSTEM, USER], 2, [2, 3]),
    "the newest question stays where nothing follows": ([USER, USER, SYSTEM], 2, [1, 2]),
    "nobody asked": ([SAID, SAID], 1, [1]),
}  # fmt: skip


@pytest.mark.parametrize(("given", "place", "left"), LEFT.values(), ids=LEFT)
def test_what_is_left_of_a_conversation(given: list[dict[str, Any]], place: int, left: list[int]) -> None:
    assert left_after(items_of(*given), place) == left


_ANY = st.lists(
    st.sampled_from([USER, SYSTEM, SAID, THOUGHT, SUMMARY, HOSTED])
    | st.builds(call, st.sampled_from("ab"))
    | st.builds(answer, st.sampled_from("ab")),
    max_size=12,
).map(lambda values: items_of(*values))


def pairs(items: Sequence[Item]) -> list[tuple[int, int]]:
    waiting: dict[str, int] = {}
    found = []
    for at, item in enumerate(items):
        if isinstance(item, FunctionCall):
            waiting[item.call_id] = at
        elif isinstance(item, FunctionCallOutput) and item.call_id in waiting:
            found.append((waiting.pop(item.call_id), at))
    return found


@given(_ANY)
def test_whatever_is_cut_is_whole(items: list[Item]) -> None:
    for place, question in cuts(items):
        left = left_after(items, place)
        assert left == sorted(set(left)), "in their order"
        assert all((a in left) == (b in left) for a, b in pairs(items)), "no half of a call"
        assert all(at in left for at, item in enumerate(items) if stays(item)), "instructions stay"
        assert all(at + 1 in left for at in left if isinstance(items[at], Reasoning) and at + 1 < len(items))
        users = [at for at, item in enumerate(items) if isinstance(item, Message) and item.role == "user"]
        assert not users or users[-1] in left, "the newest question stays"
        assert question is None or question in left
        if users and users[0] < place:
            first = next(at for at in left if not stays(items[at]))
            assert first in users, "what is left begins with a question"


class Small:
    """Models whose context holds `most` of our tokens, each of which they count as `factor` tokens."""

    def __init__(self, most: int, *, factor: float = 1.0, tells: bool = True) -> None:
        self.most, self.factor, self.tells = most, factor, tells
        self.asked: list[Turn] = []

    @asynccontextmanager
    async def ask(self, turn: Turn, served: str | None) -> AsyncGenerator[TurnStream, None]:
        self.asked.append(turn)
        tokens = sum(tokens_of([item]) for item in turn.items) * self.factor
        if tokens > self.most * self.factor:
            told = {"tokens": int(tokens), "most": int(self.most * self.factor)} if self.tells else {}
            raise InputTooLong("too long", **told)

        async def deltas() -> AsyncGenerator[d.Delta, None]:
            yield d.Finish("stop")

        yield TurnStream("p/m", deltas())


def run_of(*values: dict[str, Any], truncation: str | None = "auto") -> Run:
    run = new_run(tools=[], truncation=truncation)
    run.context = items_of(*values)
    return run


async def asked_of(run: Run, models: Any) -> list[str]:
    async with asked(run, models):
        return [item.id for item in models.asked[-1].items]


LONG = [SYSTEM, *[USER, SAID] * 50, USER]


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.4])
async def test_the_provider_s_numbers_say_how_much_is_dropped(factor: float) -> None:
    run, models = run_of(*LONG), Small(2_080, factor=factor)
    left = await asked_of(run, models)
    assert len(models.asked) == 2
    assert (left[0], left[-1]) == ("i0", f"i{len(LONG) - 1}")
    assert 0.7 * 2_080 <= sum(tokens_of([item]) for item in models.asked[-1].items) <= 0.8 * 2_080
    assert models.asked[-1].dropped == len(LONG) - len(left)
    assert models.asked[-1].made == len(left)


async def test_without_numbers_it_is_halved_until_it_fits() -> None:
    run, models = run_of(*LONG), Small(1_400, tells=False)
    await asked_of(run, models)
    sizes = [sum(tokens_of([item]) for item in turn.items) for turn in models.asked]
    assert len(sizes) == 4
    assert all(0.4 < after / before <= 0.5 for before, after in pairwise(sizes))


async def test_what_was_dropped_is_remembered() -> None:
    run, models = run_of(*LONG), Small(2_080)
    left = await asked_of(run, models)
    taken_over = Run.model_validate_json(run.at_rest())
    taken_over.context = run.context
    assert [item.id for item in turn_of(taken_over, "m").items] == left
    assert await asked_of(taken_over, models) == left
    assert len(models.asked) == 3, "nothing is tried again"


async def test_a_loop_that_grows_is_cut_again() -> None:
    run, models = run_of(USER), Small(5_000)
    for turn in range(200):
        run.response.output.append(items_of(HOSTED)[0].model_copy(update={"id": f"h{turn}"}))
        left = await asked_of(run, models)
        assert (left[0], left[-1]) == ("i0", f"h{turn}")
    assert len(models.asked) < 200 + 200 / 8, "few turns are asked twice"


async def test_a_model_that_reasons_only_once_is_cut_amid_its_calls_where_nothing_else_helps() -> None:
    run, models = run_of(USER, THOUGHT, *[HOSTED] * 40, SAID, USER), Small(2_000, tells=False)
    assert await asked_of(run, models) == ["i43"]
    run, models = run_of(USER, THOUGHT, *[HOSTED] * 40), Small(2_000)
    left = await asked_of(run, models)
    assert (left[0], left[-1]) == ("i0", "i41")
    assert 10 < len(left) < 20


async def test_the_newest_question_is_not_dropped() -> None:
    run, models = run_of(USER, SAID, {"role": "user", "content": "u" * 8_000}), Small(1_000, tells=False)
    with pytest.raises(InputTooLong) as raised:
        await asked_of(run, models)
    assert (raised.value.code, raised.value.param) == ("context_length_exceeded", "input")
    assert [[item.id for item in turn.items] for turn in models.asked] == [["i0", "i1", "i2"], ["i2"]]


async def test_few_tries_are_made_and_the_last_drops_all_that_may_be_dropped() -> None:
    run, models = run_of(*LONG), Small(120, tells=False)
    assert await asked_of(run, models) == ["i0", f"i{len(LONG) - 1}"]
    assert len(models.asked) == MAX_CUTS + 1


@pytest.mark.parametrize("truncation", ["disabled", None, "another"])
async def test_nothing_is_dropped_unasked(truncation: str | None) -> None:
    run, models = run_of(*LONG, truncation=truncation), Small(1_000)
    with pytest.raises(InputTooLong):
        await asked_of(run, models)
    assert (len(models.asked), run.cut) == (1, 0)


async def test_an_answer_that_breaks_off_is_no_reason_to_drop_anything() -> None:
    run, models = run_of(*LONG), Small(100_000)
    with pytest.raises(InputTooLong):
        async with asked(run, models):  # type: ignore[arg-type]
            raise InputTooLong("amid the answer")
    assert (len(models.asked), run.cut) == (1, 0)


def test_the_largest_conversation_is_cut_in_a_moment() -> None:
    run = run_of(USER, *[HOSTED] * 8_000, *[SYSTEM] * 100)
    assert len(left_after(conversation(run), 8_000)) == 102
    assert len(list(cuts(conversation(run)))) == 8_000
