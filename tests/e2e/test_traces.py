"""A response in the local cloud, made by two functions, is one trace at a collector."""

from __future__ import annotations

import time

import httpx2
import pytest
from opentelemetry.proto.trace.v1 import trace_pb2 as trace

from tests.contract.collector import attributes
from tests.e2e.conftest import Endpoint

TRACE, CLIENT = "5ccf92f3577b34da6a3ce929d0e0e473", "00f067aa0ba902b7"


def trace_of(cloud: Endpoint, trace_id: str) -> list[trace.Span]:
    """Once its response's span is there, which is the last to be sent."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        spans = [span for span in cloud.collector.spans if span.trace_id.hex() == trace_id]
        if any(span.name == "invoke_agent" for span in spans):
            return spans
        time.sleep(0.1)
    raise AssertionError("no such trace came")


@pytest.mark.parametrize("background", [False, True])
def test_a_loop_is_one_trace_whoever_makes_it(cloud: Endpoint, background: bool) -> None:
    asked = {
        "model": "offline/demo",
        "input": "What is 6 * 7, and what time is it? planted-prompt",
        "background": background,
        "tools": [{"type": "serverless:calculator"}, {"type": "serverless:clock"}],
    }
    trace_id = f"{TRACE[:-1]}{int(background)}"
    headers = {"authorization": f"Bearer {cloud.api_key}", "traceparent": f"00-{trace_id}-{CLIENT}-01"}
    answer = httpx2.post(f"{cloud.base_url}/responses", json=asked, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    spans = trace_of(cloud, trace_id)
    (root,) = (span for span in spans if span.parent_span_id.hex() == CLIENT)
    assert attributes(root)["gen_ai.response.id"] == answer.json()["id"]
    by_id = {span.span_id: span for span in spans}
    parents = {span.name: by_id[span.parent_span_id].name for span in spans if span is not root}
    assert parents.pop("chat demo") == "turn"
    assert {"turn"} <= parents.keys()
    assert {*parents.values()} == {"invoke_agent"}
    calls = [span.name for span in spans if span.name.startswith("execute_tool")]
    assert len(calls) == attributes(root)["openresponses.tool_calls"] > 0
