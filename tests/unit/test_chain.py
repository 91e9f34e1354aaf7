"""The odometer of a chain: whatever was joined or not, it names every response once, and each finds its chunks."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core.chain import FAN, Link, chunk_start, next_joint, response_link, shown
from openresponses.schema.items import Message


def rid(n: int) -> str:
    return f"resp_{n}"


def number(response_id: str) -> int:
    return int(response_id.removeprefix("resp_"))


def grow(chain: list[Link], n: int, succeeds: bool = True) -> list[Link]:
    """The chain of response n + 1, from that of n: what was loaded has a time, response n has none yet."""
    chain = [link.model_copy(update={"items": link.responses, "expires": number(link.first)}) for link in chain]
    chain = [*chain, response_link(rid(n), 1)]
    joint = next_joint(chain)
    if joint is None or not succeeds:
        return chain
    assert joint.members == chain[joint.start : joint.start + FAN]
    return [*chain[: joint.start], joint.chunk, *chain[joint.start + FAN :]]


def check(chain: list[Link], n: int) -> None:
    """It leads to the responses 0 to n - 1, the oldest first, those of a chunk from a multiple of its size on."""
    at = 0
    for link in chain:
        assert (link.first, link.last) == (rid(at), rid(at + link.responses - 1))
        assert at % link.responses == 0
        at += link.responses
    assert at == n
    levels = [link.level for link in chain]
    assert levels == sorted(levels, reverse=True)


def test_a_chain_has_few_links_however_long_it_is() -> None:
    chain, most = list[Link](), 0
    for n in range(5_000):
        check(chain, n)
        assert all(len([*group]) <= FAN for _, group in groupby(chain, key=lambda link: link.level))
        most = max(most, len(chain))
        chain = grow(chain, n)
    assert most <= 30


@given(st.lists(st.booleans(), max_size=300))
def test_a_chunk_that_could_not_be_made_is_made_later(succeed: list[bool]) -> None:
    chain, kept = list[Link](), {0: list[Link]()}
    for n, succeeds in enumerate(succeed):
        chain = grow(chain, n, succeeds)
        kept[n + 1] = chain
        check(chain, n + 1)
    for n, before in kept.items():
        for level in range(1, 5):
            assert chunk_start(before, rid(n), level) == rid(n - n % FAN**level)


def test_a_chain_of_single_responses_as_version_0_1_kept_them_is_shortened_with_each_response() -> None:
    chain = [response_link(rid(n), 1) for n in range(200)]
    for n in range(200, 240):
        chain = grow(chain, n)
        check(chain, n + 1)
    assert len(chain) < 25


def test_a_chunk_expires_with_the_first_of_its_responses_and_has_all_their_items() -> None:
    times = [50.0, 40.0, 10.5, 60.0, 70.0, 80.0, 90.0, 30.0]
    chain = [response_link(rid(n), n).model_copy(update={"expires": time}) for n, time in enumerate(times)]
    joint = next_joint(chain)
    assert joint is not None
    assert joint.chunk == Link(level=1, first=rid(0), last=rid(7), items=sum(range(8)), expires=10.5)


@pytest.mark.parametrize("discarded", [[], ["b"], ["a", "b", "c"]])
def test_items_of_dead_turns_are_not_shown_and_what_was_given_is(discarded: list[str]) -> None:
    given, *output = [Message.model_validate({"id": each, "role": "user", "content": each}) for each in "aabc"]
    assert [item.id for item in shown([given], output, discarded)] == ["a", *(i for i in "abc" if i not in discarded)]
