"""Each field of the newest OpenAI SDK's `responses.create` is served, refused by its name, or listed as ignored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import BaseModel

from openresponses.api.body import parse_create
from openresponses.parsing.habits import MOVED
from openresponses.responses.intake import UNSUPPORTED
from openresponses.schema.items import ConfigurationUpdate
from openresponses.schema.request import CreateResponse, ReasoningSettings, StreamOptions, TextSettings

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
SETTINGS: dict[str, type[BaseModel]] = {
    "reasoning": ReasoningSettings,
    "text": TextSettings,
    "stream_options": StreamOptions,
}
"""Fields with fields of their own."""


def section(title: str) -> str:
    return PAGE.split(f"\n### {title}\n")[1].split("\n#")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def members(hint: Any) -> dict[str, Any]:
    """The fields of a TypedDict, which may be one of a union."""
    typed = next(each for each in (hint, *get_args(hint)) if hasattr(each, "__required_keys__"))
    return get_type_hints(typed)


def unserved() -> set[str]:
    of_sdk = get_type_hints(ResponseCreateParamsStreaming)
    found = set(of_sdk) - set(CreateResponse.model_fields)
    for name, settings in SETTINGS.items():
        found |= {f"{name}.{each}" for each in set(members(of_sdk[name])) - set(settings.model_fields)}
    return found


def listed() -> set[str]:
    return {name for row in rows("Ignored fields") for name in names(row[0])}


def test_the_page_lists_what_is_ignored_of_the_sdks_fields() -> None:
    assert listed() == unserved()


def test_what_is_refused_is_a_field_of_the_sdk() -> None:
    assert set(UNSUPPORTED) <= set(get_type_hints(ResponseCreateParamsStreaming))
    limits = (Path(__file__).parents[2] / "docs/limits.md").read_text()
    assert set(UNSUPPORTED) <= set(names(limits.split("## Refused")[1].split("\n## ")[0]))


@pytest.mark.parametrize("field", sorted(listed()))
def test_an_ignored_field_changes_nothing(field: str) -> None:
    name, _, member = field.partition(".")
    body = '{"model": "m", "input": "x", %s}'
    value = f'"{name}": {{"{member}": "v"}}' if member else f'"{name}": {{"any": ["v"]}}'
    empty = f'"{name}": {{}}' if member else '"x": 1'
    assert parse_create((body % value).encode()) == parse_create((body % empty).encode())


def test_the_page_lists_the_item_that_is_ignored() -> None:
    assert f"`{ConfigurationUpdate().type}` items are ignored" in section("Ignored fields")


def test_the_page_tells_each_name_of_chat_completions() -> None:
    table = {tuple(names(row[0])): names(row[1]) for row in rows("Names of Chat Completions")}
    assert {names[0]: here[0] for names, here in table.items() if names[0] in MOVED} == MOVED
