"""A provider that says 100 MB: the response ends as failed, and what it takes of memory is bounded, and printed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable

import pytest

from openresponses.core.room import MAX_TURN
from tests.contract.long_answer import SAID
from tests.recordings.recordings import DIALECTS
from tests.sweeps import Sweep

BIG = [(dialect, 60_000) for dialect in DIALECTS]
SMALL = [("chat_completions", 4)]
"""As many characters in an event as a token has: this takes 20 seconds."""
MOST = 256
"""MB. A function of 1 GB has to have room for it; it took 957 MB before an answer had an end."""


@pytest.mark.timeout(600)
async def test_100_mb_of_answer_take_a_bounded_part_of_the_memory(
    sweep: Sweep, record_property: Callable[[str, object], None]
) -> None:
    for dialect, size in sweep.sample(BIG, 1) + (SMALL if sweep.full else []):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.contract.long_answer", dialect, str(size), stdout=asyncio.subprocess.PIPE
        )
        took = json.loads((await child.communicate())[0])
        print(f"{SAID:,} characters of {dialect} in pieces of {size:,}: {took['megabytes']:.0f} MB of memory")
        record_property("memory", f"{dialect} {size}: {took}")
        assert took["error"] == f"The provider's answer is too long: a turn may have {MAX_TURN:,} characters"
        assert took["kept"] <= MAX_TURN
        assert took["megabytes"] < MOST
