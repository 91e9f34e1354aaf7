"""What is held for the input of a turn, against what vendors counted of recorded requests: never less."""

from __future__ import annotations

import json
import math

import pytest

from openresponses.core.estimate import tokens_in
from openresponses.limits.policy import FLAT, MARGIN
from tests.recordings.asked import turn_of
from tests.recordings.recordings import DIALECTS, found, recordings
from tests.recordings.summary import LEFT_OUT

pytestmark = pytest.mark.skipif(not found(), reason=LEFT_OUT)

_RUN_BY_THE_VENDOR = (
    *("mcp_servers", "code_execution", "web_search", "web_fetch", "file_search", "code_interpreter", "googleSearch"),
    *("urlContext", "tool_search", "plugins", "compound", '"codeExecution', "advisor"),
)
"""Words of requests in which the vendor itself reads more, and tells of it when it is over."""


def test_more_is_held_than_any_vendor_counted_that_ran_no_tool_of_its_own() -> None:
    shares = list[float]()
    for recording in (each for dialect in DIALECTS for each in recordings(dialect)):
        counted, turn = (recording.means["usage"] or {}).get("input") or 0, turn_of(recording)
        asked = json.dumps(recording.request)
        if counted >= 10 and not turn.upstream_tools and not any(word in asked for word in _RUN_BY_THE_VENDOR):
            shares.append(counted / (math.ceil(MARGIN * tokens_in(turn)) + FLAT))
    assert len(shares) >= 100
    assert 0.3 < max(shares) < 0.9
