"""A provider that never stops: the invocation ends before its time is up, and the provider is told to stop."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.vendors import DIALECTS, vendors
from tests.conversations import folded, text_of, user

ALMOST = 1.5
"""Seconds: one is kept back, so that the end of the stream gets out."""


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_without_end_is_incomplete_in_time(dialect: str, stream: bool) -> None:
    async with vendors([dialect]) as at, at.client(seconds=ALMOST) as client:
        asked = {"model": at.model(dialect), "store": False, "stream": stream}
        await at.ask(**{**asked, "input": [user("/fake text")]})  # what is loaded at first use is loaded
        answer = await client.post("/responses", json={**asked, "input": [user("/fake endless;delay_ms=5")]})
        response = folded(answer.text) if stream else answer.json()
        assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_duration"})
        assert {*text_of(response).split()} <= {"token"}, "a slow machine may have heard nothing yet"
        assert {item["status"] for item in response["output"]} <= {"incomplete"}
        async with asyncio.timeout(10):
            while at.upstreams[dialect].writers:
                await asyncio.sleep(0.01)
        assert text_of(await at.ask(**{**asked, "input": [user("/fake text;say=the next")]})).strip() == "the next"
