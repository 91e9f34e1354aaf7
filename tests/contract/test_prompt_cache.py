"""What is read from the provider's cache. `uv run python -m tests.bench cache` prints the shares."""

import json

import pytest

from tests.bench.cached import MODELS, conversation


@pytest.mark.parametrize("dialect", MODELS)
async def test_most_of_a_conversation_is_read_from_the_cache(dialect: str) -> None:
    steady = await conversation(dialect)
    assert steady.read > 0.9
    assert steady.read > 0.95 * steady.most
    assert len(steady.tools) == 20
    assert dialect == "bedrock" or len({json.dumps(each) for each in steady.tools}) == 1


@pytest.mark.parametrize("dialect", MODELS)
async def test_what_can_be_is_read_where_the_instructions_change(dialect: str) -> None:
    """The tools, which stand before the instructions, and within a turn all that was said."""
    dated = await conversation(dialect, dated=True)
    assert dated.read > 0.6
    assert dated.read > 0.95 * dated.most


@pytest.mark.parametrize("dialect", MODELS)
async def test_nothing_is_cached_where_it_is_turned_off(dialect: str) -> None:
    off = False if dialect == "anthropic" else "off"
    assert (await conversation(dialect, cache=off)).read == 0
