"""`openresponses.toml` is read: what it says, and all that is wrong with it; its schema says the same."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from openresponses.core.prompts import SETTINGS
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.project.document import Prompt
from openresponses_dev.manage.project.entries import Ends, Id
from openresponses_dev.manage.project.environment import variables_of
from openresponses_dev.manage.project.reading import Wanted, read_file
from openresponses_dev.manage.project.schema import PATH, text
from tests.manage.project_examples import FILES, MEANINGS, SHAPES, VARIABLES, WHOLE

NOW = 1_800_000_000.0
SCHEMA = Draft7Validator(json.loads(PATH.read_text()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def read(folder: Path, toml: str, variables: dict[str, str] = VARIABLES, *, leave_out: bool = False) -> Wanted:
    file = folder / "openresponses.toml"
    file.write_text(toml)
    return read_file(file, variables, NOW, leave_out=leave_out)


def refused(folder: Path, toml: str) -> tuple[str, ...]:
    """What is told, the file's name taken away."""
    with pytest.raises(Problem) as raised:
        read(folder, toml)
    return raised.value.details or (str(raised.value).removeprefix("openresponses.toml: "),)


def test_a_whole_file_says_what_the_functions_read(folder: Path) -> None:
    wanted = read(folder, WHOLE)
    assert {str(entry): wish.document for entry, wish in wanted.wishes.items()} == {
        "providers.openai": {
            "dialect": "openai_responses",
            "base_url": "https://api.openai.com/v1",
            "api_key": "sk-planted-1",
            "models": ["gpt-5-mini"],
        },
        "providers.mine": {
            "dialect": "chat_completions",
            "base_url": "http://127.0.0.1:9/v1",
            "headers": {"Authorization": "Bearer planted-2", "x-team": "blue"},
            "idle_timeout": 30.0,
            "retries": 1,
            "prices": {"*": {"input": "1.25", "output": "2.50"}},
        },
        "providers.gateway": {
            "dialect": "chat_completions",
            "base_url": "https://gateway.example.com/v1",
            "options": {"vendor": "openrouter", "allow_options": ["seed"]},
        },
        "aliases.fast": {"targets": ["openai/gpt-5-mini", "mine/small"]},
        'aliases."gpt-5.1"': {"targets": ["openai/gpt-5.1"]},
        "prompts.greet": {"instructions": "You answer for {{company}}. It costs $5.", "temperature": 0.5},
        "prompts.welcome": {"instructions": "Welcome to {{place}}."},
        "mcp.docs": {
            "url": "https://mcp.example.com/mcp",
            "approval": "never",
            "allow": ["search"],
            "headers": {"Authorization": "Bearer planted-3"},
        },
        "tools.web_search": {"backend": "brave", "key": "planted-4"},
        "tools.weather": {
            "function": "weather",
            "description": "Tells the weather",
            "timeout": 20.0,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
        "keys.app": {
            "models": ["fast", "openai/*"],
            "mcp": ["docs"],
            "reasoning": "summary",
            "usd_per_day": "2.5",
            "concurrent": 3,
        },
        "keys.partner": {},
        "tenants.acme": {"usd_per_month": "100", "requests_per_minute": 60},
    }
    assert {str(entry): wish.ends for entry, wish in wanted.wishes.items() if wish.ends != Ends()} == {
        "keys.app": Ends(seconds=90 * 86_400),
        "keys.partner": Ends(at=7_242_134_400),  # 2199-06-30T00:00:00Z
    }
    assert {entry.tenant for entry in wanted.wishes if entry.section in ("prompts", "keys")} == {"default", "acme"}
    assert wanted.sections == {"providers", "aliases", "prompts", "mcp", "tools", "keys", "tenants"}


@pytest.mark.parametrize(
    ("data", "why", "mend"),
    [
        (
            b'[aliases]\nfast = ["offline/d\xe9mo"]',
            "openresponses.toml: it is not UTF-8 (at line 2)",
            "save it as UTF-8",
        ),
        (b"[aliases", "openresponses.toml: Expected ']'", ""),
        (None, "openresponses.toml: Is a directory", "name the project's file, openresponses.toml"),
    ],
)
def test_what_is_no_toml_is_told(tmp_path: Path, data: bytes | None, why: str, mend: str) -> None:
    file = tmp_path / "openresponses.toml"
    if data is None:
        file.mkdir()
    else:
        file.write_bytes(data)
    with pytest.raises(Problem) as raised:
        read_file(file, {}, NOW)
    assert str(raised.value).startswith(why)
    assert raised.value.mend == mend


def test_a_file_that_is_not_there_is_told_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="there is no file ") as raised:
        read_file(tmp_path / "openresponses.toml", {}, NOW)
    assert raised.value.mend.endswith("openresponses init DIR")


def test_a_byte_order_mark_and_windows_line_ends_say_nothing(tmp_path: Path) -> None:
    file = tmp_path / "openresponses.toml"
    file.write_bytes(b'\xef\xbb\xbf[aliases]\r\nfast = ["offline/demo"]\r\n')
    wanted = read_file(file, {}, NOW)
    assert [wish.document for wish in wanted.wishes.values()] == [{"targets": ["offline/demo"]}]


def test_a_section_is_there_also_if_it_is_empty(folder: Path) -> None:
    wanted = read(folder, "[aliases]\n[keys]\n")
    assert (wanted.sections, wanted.wishes) == ({"aliases", "keys"}, {})
    assert read(folder, "").sections == frozenset()


@pytest.mark.parametrize(("toml", "told"), [*SHAPES.items(), *MEANINGS.items()])
def test_what_is_wrong_is_told_by_its_place(folder: Path, toml: str, told: str) -> None:
    mistakes = refused(folder, toml)
    assert [each for each in mistakes if each.startswith(told)], mistakes
    assert "literal" not in "".join(mistakes), "a secret is quoted nowhere"


def test_all_that_is_wrong_is_told_at_once_in_the_files_order(folder: Path) -> None:
    toml = """\
[provders.openai]
[providers.a]
preset = "opnai"
retries = 99
api_key = "sk-literal"
[providers.anthropic]
api_key = "$UNSET_KEY"
[aliases]
fast = ["nothing"]
[keys.app]
usd_per_day = "much"
tenant = "A"
[mcp.docs]
url = "http://mcp.example.com"
[prompts.greet]
[tools.weather]
"""
    told = refused(folder, toml)
    assert [each.partition(": ")[0] for each in told] == [
        "provders",
        "providers.a.preset",
        "providers.a.retries",
        "providers.a.api_key",
        "providers.anthropic.api_key",
        "aliases.fast.0",
        "keys.app",
        "keys.app.usd_per_day",
        "mcp.docs.url",
        "prompts.greet",
        "tools.weather.function",
    ]
    with pytest.raises(Problem, match=r"^openresponses\.toml: 11 mistakes$"):
        read(folder, toml)
    assert "sk-literal" not in "".join(told)


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("[aliases\n", "at line 1, column 9"),
        ("[aliases]\nfast = ['a/b'\n\n[keys]\n", "at line 4"),
        ("[aliases]\nfast = ['a/b']\nfast = ['a/b']\n", "at line 3"),
    ],
)
def test_what_is_no_toml_is_told_with_line_and_column(folder: Path, toml: str, told: str) -> None:
    (only,) = refused(folder, toml)
    assert told in only


def test_variables_are_those_of_the_process_and_then_those_beside_the_file(folder: Path) -> None:
    (folder / ".env").write_text("# secrets\nexport ONE=1\nTWO='from the file'\nTHREE=3\nFOUR=\n")
    variables = variables_of(folder, {"TWO": "from the process", "THREE": "", "FIVE": "5"})
    assert variables == {"ONE": "1", "TWO": "from the process", "THREE": "3", "FIVE": "5"}
    (folder / ".env").write_text("not a variable\n")
    with pytest.raises(Problem, match=r"\.env:1: not NAME=VALUE"):
        variables_of(folder)


def test_references_are_filled_in_wherever_they_stand(folder: Path) -> None:
    toml = '[prompts.p]\ninstructions = "$A-${B}c, $$A, $5, $, ${A}$A"\ninput = [{role = "user", content = "$B"}]\n'
    (wish,) = read(folder, toml, {"A": "1", "B": "$A"}).wishes.values()
    assert wish.document["instructions"] == "1-$Ac, $A, $5, $, 11", "what is filled in is not looked through again"
    assert "$A" in json.dumps(wish.document["input"])


def test_an_entry_whose_variable_is_missing_can_be_left_out(folder: Path) -> None:
    wanted = read(folder, WHOLE, {"MINE": "m", "DOCS_TOKN": "d", "BRAVE_API_KEY": "b"}, leave_out=True)
    assert wanted.left_out == {
        Id("providers", "openai"): "$OPENAI_API_KEY is set neither in the environment nor in .env",
        Id("mcp", "docs"): "$DOCS_TOKEN is set neither in the environment nor in .env (did you mean $DOCS_TOKN?)",
    }
    assert Id("aliases", "fast") in wanted.wishes
    with pytest.raises(Problem, match="there is no such section"):
        read(folder, '[nothing]\n[providers.openai]\napi_key = "$UNSET"\n', leave_out=True)


def test_the_schema_that_is_committed_is_the_models() -> None:
    assert PATH.read_text() == text(), "python -m openresponses_dev.manage.project.schema"


def test_a_prompt_has_the_fields_that_a_prompt_may_have() -> None:
    assert {*Prompt.model_fields} == {*SETTINGS, "input", "tenant", "file"}


def fits(toml: str) -> bool:
    document = tomllib.loads(toml)
    return SCHEMA.is_valid(json.loads(json.dumps(document, default=str)))  # Taplo takes dates for texts, too


def test_the_schema_takes_what_the_model_takes(folder: Path) -> None:
    Draft7Validator.check_schema(SCHEMA.schema)
    for toml in (WHOLE, "", "[aliases]\n", *MEANINGS):
        assert fits(toml), [each.message for each in SCHEMA.iter_errors(tomllib.loads(toml))]


@pytest.mark.parametrize("toml", SHAPES)
def test_the_schema_refuses_what_the_model_refuses(toml: str) -> None:
    assert not fits(toml)


def test_every_field_says_what_it_is_for() -> None:
    def undescribed(schema: object, place: str) -> list[str]:
        if not isinstance(schema, dict):
            return []
        fields = schema.get("properties", {})
        here = [f"{place}.{name}" for name, each in fields.items() if not each.get("description")]
        inside = [*fields.items(), ("*", schema.get("additionalProperties"))]
        return here + [each for name, inner in inside for each in undescribed(inner, f"{place}.{name}")]

    assert undescribed(SCHEMA.schema, "") == []
