"""A model that insists on a tool that it may not call costs two upstream requests, not as many as turns are allowed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.vendors import DIALECTS, vendors
from tests.conversations import folded, user

WEATHER: dict[str, Any] = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
TIME: dict[str, Any] = {**WEATHER, "name": "time"}
ONLY_TIME: dict[str, Any] = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "time"}]}
INSISTS: dict[str, tuple[str, dict[str, Any]]] = {
    "no such tool": ("nope", {"tools": [WEATHER, {"type": "serverless:calculator"}]}),
    "no tool at all": ("nope", {}),
    "not among the allowed": ("weather", {"tools": [WEATHER, TIME], "tool_choice": ONLY_TIME}),
    "no tool is to be called": ("weather", {"tools": [WEATHER], "tool_choice": "none"}),
}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_model_that_insists_is_asked_twice(dialect: str, stream: bool) -> None:
    async with vendors([dialect]) as at, at.client() as client:
        for case, (name, offered) in INSISTS.items():
            upstream = at.upstreams[dialect]
            upstream.requests.clear()
            asked = {"model": at.model(dialect), "input": [user(f"/fake insists;name={name}")], "stream": stream}
            answer = await client.post("/responses", json={**asked, **offered, "store": False})
            response = folded(answer.text) if stream else answer.json()
            assert response["status"] == "incomplete", (case, at.refused, response)
            details = response["incomplete_details"]
            assert details["reason"] == "serverless:unknown_tool", case
            assert repr(name) in details["message"], case
            made = [item["type"] for item in response["output"] if item["type"] != "reasoning"]
            assert made == ["serverless:rejected_call"] * 2, case
            assert len(upstream.requests) == 2, case
