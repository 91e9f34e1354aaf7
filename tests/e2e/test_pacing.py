"""Events arrive one by one, when the provider makes them."""

import asyncio
import statistics
from itertools import pairwise
from time import monotonic

from openai import AsyncOpenAI

from tests.e2e.conftest import Endpoint


async def test_arrivals_follow_the_providers_pace(cloud: Endpoint) -> None:
    """A provider that paces 50 ms a word: the gaps follow it, and no two words arrive together."""
    async with AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0) as client:
        warm = await client.responses.create(model="offline/demo", input="Warm the client up.", stream=True)
        assert [event.type async for event in warm][-1] == "response.completed"
        stream = await client.responses.create(
            model="offline/demo", input="[[slow 50ms]] [[words 20]] Go.", stream=True
        )
        arrivals: list[tuple[str, float]] = [(event.type, monotonic()) async for event in stream]
    deltas = [at for kind, at in arrivals if kind == "response.output_text.delta"]
    gaps = [b - a for a, b in pairwise(deltas)]
    assert len(deltas) >= 20
    assert 0.6 < statistics.median(gaps) / 0.050 < 1.6
    assert sum(gap > 0.025 for gap in gaps) >= 0.8 * len(gaps)
    assert arrivals[-1][0] == "response.completed"


async def test_two_streams_interleave(cloud: Endpoint) -> None:
    async with AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0) as client:
        seen: list[int] = []

        async def one(n: int) -> None:
            body = "[[slow 30ms]] [[words 15]] Go."
            stream = await client.responses.create(model="offline/demo", input=body, stream=True)
            async for event in stream:
                seen.extend([n] if event.type == "response.output_text.delta" else [])

        await asyncio.gather(one(0), one(1))  # two sandboxes are warm now
        seen.clear()
        await asyncio.gather(one(0), one(1))
    switches = sum(a != b for a, b in pairwise(seen))
    assert switches > len(seen) / 4
