"""The presets, against the dialects that they name."""

import json
from importlib.util import find_spec

import pytest

from openresponses_dev.manage.presets import PRESETS
from openresponses_dev.manage.provider_options import settings_of
from tests.manage.conftest import run


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_a_provider(name: str) -> None:
    preset = PRESETS[name]
    assert find_spec(f"openresponses.dialects.{preset.dialect}")
    document = {"dialect": preset.dialect, "base_url": preset.base_url, "options": dict(preset.options)}
    assert settings_of(name, json.dumps(document)).name == name


def test_they_are_printed_ready_to_choose() -> None:
    rows = {row[0]: row[1:] for row in run("providers", "presets").rows()}
    assert rows.keys() == PRESETS.keys()
    assert rows["groq"] == ["Groq", "chat_completions", "https://api.groq.com/openai/v1", "yes"]
