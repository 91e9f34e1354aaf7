"""The tables of facts about hosts and models: how they are read, and that each fact says where it comes from."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from openresponses.dialects._shared.facts import UNSOURCED, Fact, Source, facts_of

DIALECTS = ("anthropic", "bedrock", "chat_completions", "gemini", "openai_responses")
PAGE = Source("https://vendor.test/models", "2026-11")
TABLE = (
    Fact("", {"knob": False, "limit": 1}, PAGE),
    Fact("big", {"limit": 9}, PAGE),
    Fact("", {"knob": True}, PAGE, since=(4, 5)),
    Fact("small|tiny", {"knob": False}, PAGE, since=(5, 0), before=(5, 1)),
)
READ = {
    ("big-2", (2, 0)): {"knob": False, "limit": 9},
    ("big-4.10", (4, 10)): {"knob": True, "limit": 9},
    ("small-4.5", (4, 5)): {"knob": True, "limit": 1},
    ("small-5", (5, 0)): {"knob": False, "limit": 1},
    ("small-5.1", (5, 1)): {"knob": True, "limit": 1},
}


@pytest.mark.parametrize(("name", "version"), READ)
def test_a_later_row_wins_over_an_earlier_one(name: str, version: tuple[int, int]) -> None:
    assert facts_of(TABLE, name, version) == READ[name, version]


@pytest.mark.parametrize(
    "table",
    ["_shared.vendors", "_shared.rules", *(f"{each}.{name}" for each in DIALECTS for name in ("models", "allowed"))],
)
def test_each_fact_has_its_source_and_its_date(table: str) -> None:
    module = import_module(f"openresponses.dialects.{table}")
    facts: list[Fact] = [fact for each in ("HOSTS", "MODELS", "FACTS", "ALLOWED") for fact in getattr(module, each, ())]
    assert facts
    for fact in facts:
        assert fact.source == UNSOURCED or fact.source.address.startswith("https://"), fact
        assert re.fullmatch(r"20\d\d-\d\d", fact.source.date), fact
        re.compile(fact.pattern)
