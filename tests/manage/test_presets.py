"""The presets, against the dialects that they name."""

import json
from importlib.util import find_spec

import pytest

from openresponses.dialects._shared.vendors import VENDORS, vendor_at
from openresponses_dev.manage.presets import PRESETS
from openresponses_dev.manage.provider_options import ProviderOptions, document_of, settings_of
from tests.manage.conftest import run


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_a_provider(name: str) -> None:
    preset = PRESETS[name]
    assert find_spec(f"openresponses.dialects.{preset.dialect}")
    document = {"dialect": preset.dialect, "base_url": preset.base_url}
    assert settings_of(name, json.dumps(document)).name == name


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_name_is_its_vendors(name: str) -> None:
    """The address tells it, or else (a server of one's own, a proxy) the option does."""
    told = vendor_at(PRESETS[name].base_url)
    assert name in VENDORS
    assert told in (name, "")
    for words in (ProviderOptions(key=False), ProviderOptions(key=False, base_url="http://127.0.0.1:9/v1")):
        options = json.loads(document_of(name, words)).get("options", {})
        told = vendor_at(words.base_url or PRESETS[name].base_url)
        assert options == ({} if told == name or (name == "bedrock" and not words.base_url) else {"vendor": name})
    again = ProviderOptions(key=False, preset=name, dialect="openai_responses", base_url="http://127.0.0.1:9/v1")
    assert json.loads(document_of("other", again))["options"] == {"vendor": name}


def test_they_are_printed_ready_to_choose() -> None:
    rows = {row[0]: row[1:] for row in run("providers", "presets").rows()}
    assert rows.keys() == PRESETS.keys()
    assert rows["groq"] == ["Groq", "chat_completions", "https://api.groq.com/openai/v1", "yes"]
