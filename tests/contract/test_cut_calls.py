"""Calls whose arguments are cut, at each reason that a vendor stops for: Anthropic's, and Amazon Bedrock's.

Sources of the reasons: "Stop reasons" at platform.claude.com/docs, and botocore's model of `bedrock-runtime`, 1.44.8.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.turns import SCHEMA
from tests.contract.vendors import vendors
from tests.conversations import Json, folded, text_of, user

TOOLS = [{"type": "function", "name": "look", "parameters": SCHEMA}]
CUT = '/fake tools;args={"zone": "no;stop='
WHOLE = ["tool_use", "end_turn", "stop_sequence"]
"""Reasons of a turn that is whole, as the vendor says."""
TOO_LONG = ["max_tokens", "model_context_window_exceeded"]
REASONS: dict[str, dict[str, list[str]]] = {
    "anthropic": {
        "serverless:call_cut_off": WHOLE,
        "max_output_tokens": [*TOO_LONG, "pause_turn"],
        "content_filter": ["refusal"],
    },
    "bedrock": {
        "serverless:call_cut_off": WHOLE,
        "max_output_tokens": TOO_LONG,
        "content_filter": ["content_filtered", "guardrail_intervened"],
    },
}
CASES = [
    (dialect, stop, reason)
    for dialect, reasons in REASONS.items()
    for reason, stops in reasons.items()
    for stop in stops
]
MALFORMED = ["malformed_tool_use", "malformed_model_output"]


async def asked(dialect: str, directive: str, **request: Any) -> Json:
    async with vendors([dialect], more={"retries": 0}) as at, at.client() as client:
        body = {"model": at.model(dialect), "input": [user(directive)], "tools": TOOLS, "stream": True, **request}
        answer = await client.post("/responses", json=body)
        assert at.refused == []
    return folded(answer.text)


@pytest.mark.parametrize(("dialect", "stop", "reason"), CASES)
async def test_a_call_that_is_cut_is_incomplete_and_so_is_its_response(dialect: str, stop: str, reason: str) -> None:
    response = await asked(dialect, f"{CUT}{stop}")
    (call,) = response["output"]
    assert (call["type"], call["status"], call["arguments"]) == ("function_call", "incomplete", '{"zone": "no')
    assert (response["status"], response["incomplete_details"]["reason"]) == ("incomplete", reason)


@pytest.mark.parametrize("reason", MALFORMED)
async def test_a_call_that_bedrock_calls_malformed_fails_a_stream_that_has_begun(reason: str) -> None:
    response = await asked("bedrock", f"{CUT}{reason}")
    assert [call["status"] for call in response["output"]] == ["incomplete"]
    assert (response["status"], response["error"]["code"]) == ("failed", "provider_unavailable")


@pytest.mark.parametrize("reason", MALFORMED)
async def test_a_malformed_turn_is_tried_again_where_it_can_be(reason: str) -> None:
    """As Groq's `tool_use_failed` is: the model may do better."""
    async with vendors(["bedrock"]) as at:
        tried = f"{at.model('bedrock')}!tools;args={{}};stop={reason};fails=1"
        response = await at.ask(model=tried, input="Look.", tools=TOOLS, background=True)
    assert text_of(response).strip() == "token0 token1 token2 token3 token4"
    assert [each["status"] for each in response["output"]] == ["completed"]
