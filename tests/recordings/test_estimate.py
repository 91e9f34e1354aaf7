"""The estimate of a turn's tokens, held to what vendors counted of recorded requests.

What a vendor adds is in its count and not in ours, so requests that let it add something are left out: thinking,
tools that it runs, formats; and Claude's words about tools, about 500 tokens. Images differ by their size.
"""

from __future__ import annotations

import json
import re

import pytest

from openresponses.core.estimate import tokens_in
from tests.recordings.asked import turn_of
from tests.recordings.asking import functions_of
from tests.recordings.recordings import DIALECTS, Recording, found, recordings
from tests.recordings.summary import LEFT_OUT

pytestmark = pytest.mark.skipif(not found(), reason=LEFT_OUT)

_ADDS_NOTHING = re.compile(r"api\.(anthropic|openai)\.com|us-east-1|googleapis\.com")
_ADDED = re.compile(
    r'thinking|reasoning|effort|schema"|json_object|mcp_servers|"(source|image_url|conversation|previous_response_id'
    r'|context_management|moderation|background|include)": ',
    re.IGNORECASE,
)
_LONG = "test_anthropic_compaction_usage_with_cache_streaming[0] of api.anthropic.com"
_READ_BEFORE_ITS_COMPACTION = 55_096 + 100


def _tools(recording: Recording) -> int:
    given = recording.request.get("tools") or recording.request.get("toolConfig", {}).get("tools") or []
    return len(given) if len(given) == len(functions_of(recording)) else -1


def _ratios(tools: bool) -> list[float]:
    """Ours to the vendor's, of requests of text with or without functions, which have at least 10 tokens."""
    made = []
    for recording in (each for dialect in DIALECTS for each in recordings(dialect)):
        counted = (recording.means["usage"] or {}).get("input") or 0
        added = _ADDED.search(json.dumps({**recording.request, "tools": None, "toolConfig": None}))
        number = _tools(recording)
        right_tools = number > 0 if tools else number == 0
        claude = tools and recording.dialect in ("anthropic", "bedrock")
        if counted >= 10 and right_tools and not added and not claude and _ADDS_NOTHING.search(recording.host):
            made.append(tokens_in(turn_of(recording)) / counted)
    return made


def test_a_long_text_is_a_few_percent_off() -> None:
    (recording,) = [each for each in recordings("anthropic") if each.name == _LONG]
    assert tokens_in(turn_of(recording)) / _READ_BEFORE_ITS_COMPACTION == pytest.approx(1.02, abs=0.02)


def test_a_short_text_is_off_by_less_than_half() -> None:
    """All but one, of a model whose server adds a preamble to each request (gpt-oss)."""
    ratios = sorted(_ratios(tools=False))
    assert len(ratios) >= 20
    assert ratios[1] > 0.7
    assert ratios[-1] < 1.5


def test_functions_are_counted_high_where_a_vendor_writes_them_in_fewer_words() -> None:
    """All but three of 21, to which OpenAI added 200 tokens."""
    ratios = sorted(_ratios(tools=True))
    assert len(ratios) >= 20
    assert ratios[3] > 0.9
    assert ratios[-1] < 2.4
