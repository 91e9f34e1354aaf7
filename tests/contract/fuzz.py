"""Streams that nobody documents: values of any shape in place of those that are known."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from openresponses.core import deltas as d
from openresponses.core.assembler import Assembler
from openresponses.core.errors import ProviderError
from openresponses.core.run import OfferedTool

junk = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=3),
    lambda each: st.lists(each, max_size=2) | st.dictionaries(st.text(max_size=3), each, max_size=2),
    max_leaves=4,
)


def mostly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 19).flatmap(lambda dice: junk if dice == 19 else strategy)


def shape(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return mostly(st.fixed_dictionaries({}, optional={name: mostly(value) for name, value in fields.items()}))


async def check_deltas(decoding: Awaitable[list[d.Delta]], tools: Iterable[OfferedTool]) -> None:
    """What is decoded is a provider's error, or a whole turn that the assembler takes and JSON can hold."""
    deltas: list[d.Delta] = []
    with suppress(ProviderError):
        deltas = await decoding
    assembler = Assembler(0, lambda prefix, index: f"{prefix}_{index}", {tool.name: tool for tool in tools})
    for delta in deltas:
        for event in assembler.feed(delta):
            event.model_dump_json().encode()
    assert not deltas or isinstance(deltas[-1], d.Finish)
