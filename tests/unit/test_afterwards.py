"""What waits until the last byte of an answer is out."""

from __future__ import annotations

import asyncio

import pytest

from openresponses.core.afterwards import afterwards, later


async def test_a_chore_waits_for_the_end_of_its_own_block() -> None:
    done: list[str] = []

    async def chore(name: str) -> None:
        done.append(name)

    async def answered(name: str, last_byte: asyncio.Event) -> None:
        async with afterwards(lambda _: None):
            await later(lambda: chore(name))
            await later(lambda: chore(f"{name} again"))
            assert name not in done
            await last_byte.wait()
        assert name in done

    first, second = asyncio.Event(), asyncio.Event()
    both = asyncio.gather(answered("first", first), answered("second", second))
    second.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert done == ["second", "second again"]
    first.set()
    await both
    assert done == ["second", "second again", "first", "first again"]


async def test_a_task_of_the_block_puts_its_chores_off_too() -> None:
    done = list[int]()

    async def chore() -> None:
        done.append(1)

    async with afterwards(lambda _: None):
        await asyncio.create_task(later(chore))
        assert done == []
    assert done == [1]


async def test_without_a_block_a_chore_is_done_at_once() -> None:
    done = list[int]()

    async def chore() -> None:
        done.append(1)

    await later(chore)
    assert done == [1]


async def test_no_chore_stops_another_one_nor_hides_the_error_of_the_block() -> None:
    failures, done = list[Exception](), list[int]()

    async def fails() -> None:
        raise ValueError("of a chore")

    async def chore() -> None:
        done.append(1)

    async def block() -> None:
        async with afterwards(failures.append):
            await later(fails)
            await later(chore)
            raise KeyError("of the block")

    with pytest.raises(KeyError):
        await block()
    assert [*map(str, failures)] == ["of a chore"]
    assert done == [1]
