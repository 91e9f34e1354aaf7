"""One rule, one place: the same bad value is refused with the same words by every entrance that sets it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import cast

import pytest

from openresponses_dev.cli.options import BadOption, CloudOptions
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.project.reading import read_file
from tests.manage.conftest import Cloud

pytestmark = pytest.mark.xdist_group("manage")
Field = tuple[str, ...]
SECRET = "planted-secret"
BASE = "https://api.example.com/v1"
CHAT = {"dialect": "chat_completions", "base_url": BASE}
DOCS = {"url": "https://mcp.example.com/mcp"}
CARRIED, WORD = "HTTP can't carry it: it is empty, or has a control", "HTTP can't carry it in a key: it has a space"
TWICE = "the dialect chat_completions adds /chat/completions itself: did you mean https://api.example.com/v1?"

PROVIDERS: dict[str, tuple[dict[str, object], Field, str]] = {
    "no address": ({"dialect": "chat_completions"}, ("base_url",), "needs the provider's address"),
    "an address without a scheme": (
        {**CHAT, "base_url": "api.example.com/v1"},
        ("base_url",),
        "must be an http or https",
    ),
    "an address with a newline": ({**CHAT, "base_url": f"{BASE}\n"}, ("base_url",), "must be an http or https URL"),
    "a path twice": ({**CHAT, "base_url": f"{BASE}/chat/completions/"}, ("base_url",), TWICE),
    "a misspelt dialect": ({**CHAT, "dialect": "chat_completion"}, ("dialect",), "did you mean 'chat_completions'?"),
    "a key with a space": ({**CHAT, "api_key": f"{SECRET} x"}, ("api_key",), WORD),
    "a key with a newline": ({**CHAT, "api_key": f"{SECRET}\nx"}, ("api_key",), WORD),
    "a key that is not ASCII": ({**CHAT, "api_key": f"{SECRET}\u00e9"}, ("api_key",), WORD),
    "a header with a control character": ({**CHAT, "headers": {"x-a": f"{SECRET}\x07"}}, ("headers", "x-a"), CARRIED),
    "a header that is not ASCII": ({**CHAT, "headers": {"x-a": f"{SECRET}\u00e9"}}, ("headers", "x-a"), CARRIED),
    "a value in a header's name": (
        {**CHAT, "headers": {f"x-a: {SECRET}": "x"}},
        ("headers",),
        "'x-a' is no name of a header that HTTP can carry",
    ),
    "an unknown option": ({**CHAT, "options": {"louder": 1}}, ("options", "louder"), "there is no such field"),
    "a price below nothing": (
        {**CHAT, "prices": {"big": {"input": "-1", "output": "1"}}},
        ("prices", "big", "input"),
        "must be US dollars for a million tokens, such as 1.25",
    ),
    "no seconds": ({**CHAT, "idle_timeout": 0}, ("idle_timeout",), "Input should be greater than 0"),
    "eleven retries": ({**CHAT, "retries": 11}, ("retries",), "Input should be less than or equal to 10"),
}
ALIASES: dict[str, tuple[list[str], str]] = {
    "a model without a provider": (["small"], "a target is provider/model, such as openai/gpt-5-mini"),
    "a provider that can't be named": (["a b/small"], "a target is provider/model, such as openai/gpt-5-mini"),
    "a model with a newline": (["openai/sm\nall"], "a target is provider/model, such as openai/gpt-5-mini"),
}
SERVERS: dict[str, tuple[dict[str, object], Field, str]] = {
    "http": ({"url": "http://mcp.example.com"}, ("url",), "it begins with https://"),
    "a newline": ({"url": f"{DOCS['url']}\n"}, ("url",), "it is no URL"),
    "a password": ({"url": f"https://a:{SECRET}@mcp.example.com"}, ("url",), "without a user"),
    "a header with a control character": ({**DOCS, "headers": {"x-a": f"{SECRET}\x07"}}, ("headers", "x-a"), CARRIED),
    "a value in a header's name": (
        {**DOCS, "headers": {f"x-a: {SECRET}": "x"}},
        ("headers",),
        "'x-a' is no name of a header that HTTP can carry",
    ),
    "a header of ours": ({**DOCS, "headers": {"Host": "x"}}, ("headers",), "Host is set by this server"),
    "a tool without a name": ({**DOCS, "allow": [""]}, ("allow",), "String should have at least 1 character"),
}
SEARCH: dict[str, tuple[dict[str, object], Field, str]] = {
    "a key with a space": ({"backend": "brave", "key": f"{SECRET} x"}, ("key",), WORD),
    "no address": ({"backend": "searxng", "base_url": "nowhere"}, ("base_url",), "must be an http or https URL"),
    "an address with a newline": ({"backend": "searxng", "base_url": f"{BASE}\n"}, ("base_url",), "must be an http"),
}
FUNCTIONS: dict[str, tuple[dict[str, object], Field, str]] = {
    "no function's name": (
        {"function": "a function"},
        ("function",),
        "must be the name or the ARN of a Lambda function",
    ),
    "too long": ({"function": "f", "timeout": 301}, ("timeout",), "it is 300 seconds at most"),
    "no object": (
        {"function": "f", "parameters": {"type": "string"}},
        ("parameters",),
        "the schema of arguments is an",
    ),
}
OPTIONS = {
    "models": "--model",
    "options": "--option",
    "prices": "--price",
    "headers": "--header",
    "api_key": "the API key",
    "key": "the API key",
    "url": "the URL",
}


def option(field: Field) -> str:
    first, *rest = field
    return " ".join((OPTIONS.get(first, f"--{first.replace('_', '-')}"), *rest))


def headers_of(document: dict[str, object]) -> dict[str, str]:
    return cast("dict[str, str]", document.get("headers", {}))


def toml(section: str, document: dict[str, object], folder: Path) -> str:
    """What is told of the file. Secrets are in the environment, as they must be."""
    variables: dict[str, str] = {}

    def said(value: object, name: str = "") -> str:
        if isinstance(value, dict):
            fields = cast("dict[str, object]", value)
            return "{" + ", ".join(f"{json.dumps(key)} = {said(each, key)}" for key, each in fields.items()) + "}"
        if name in ("api_key", "key") or (isinstance(value, str) and SECRET in value):
            variables[f"SECRET_{len(variables)}"] = str(value)
            return f'"$SECRET_{len(variables) - 1}"'
        return json.dumps(value)

    file = folder / "openresponses.toml"
    file.write_text(f"[{section}]\n" + "".join(f"{name} = {said(each, name)}\n" for name, each in document.items()))
    with pytest.raises(Problem) as raised:
        read_file(file, variables, 0.0)
    return "\n".join((str(raised.value), *raised.value.details))


def flags(document: dict[str, object]) -> tuple[list[str], str]:
    """The words of `providers set`, and what is piped in."""
    words, piped = [] if "api_key" in document else ["--no-key"], list[str]()
    for name, value in document.items():
        match name, value:
            case "api_key", str():
                words += ["--key"]
                piped += [value]
            case "headers", _:
                for header, text in headers_of(document).items():
                    words += ["--header", header]
                    piped += [text]
            case "options", {"louder": 1}:
                words += ["--option", "louder=1"]
            case "prices", _:
                words += ["--price", "big=-1,1"]
            case _:
                words += [f"--{name.replace('_', '-')}", str(value)]
    return words, "".join(f"{each}\n" for each in piped)


@pytest.mark.parametrize("what", PROVIDERS)
def test_a_provider(cloud: Cloud, tmp_path: Path, what: str) -> None:
    document, field, why = PROVIDERS[what]
    place = ".".join(field)
    by_json = cloud.run("providers", "set", "mine", "--json", stdin=json.dumps(document))
    assert (by_json.status, f"provider 'mine': {place}: " in by_json.err, why in by_json.err) == (1, True, True), (
        by_json
    )
    by_file = toml("providers.mine", document, tmp_path)
    assert f"providers.mine.{place}: " in by_file
    assert why in by_file
    path = tmp_path / "providers.json"
    path.write_text(json.dumps({"mine": document}))
    with pytest.raises(BadOption) as by_dev:
        CloudOptions(providers=path).provider_settings()
    assert f"--providers {path}: provider 'mine': {place}: " in str(by_dev.value)
    assert why in str(by_dev.value)
    told = [by_json.err, by_file, str(by_dev.value)]
    words, piped = flags(document)
    if "\n" not in piped.removesuffix("\n").replace("\nx-", ""):  # a line that is piped ends at a newline
        by_flags = cloud.run("providers", "set", "mine", *words, stdin=piped)
        assert by_flags.status == 1
        assert f"openresponses: {option(field)}: " in by_flags.err
        assert why in by_flags.err
        assert "  try: " in by_flags.err
        told.append(by_flags.err)
    assert SECRET not in "".join(told)
    assert "mine" not in {row[0] for row in cloud.run("providers", "list").rows()}, "nothing is set"


@pytest.mark.parametrize("what", ALIASES)
def test_an_alias(cloud: Cloud, tmp_path: Path, what: str) -> None:
    words, why = ALIASES[what]
    by_command = cloud.run("models", "alias", "odd", *words)
    assert (by_command.status, f"alias 'odd': targets.0: {why}" in by_command.err) == (1, True), by_command.err
    assert f"aliases.odd.0: {why}" in toml("aliases", {"odd": words}, tmp_path)
    with pytest.raises(BadOption, match=r"--alias odd: alias 'odd': targets\.0: a target is provider/model"):
        CloudOptions(alias=(f"odd={words[0]}",)).aliases()


@pytest.mark.parametrize("what", SERVERS)
def test_an_mcp_server(cloud: Cloud, tmp_path: Path, what: str) -> None:
    document, field, why = SERVERS[what]
    by_file = toml("mcp.odd", document, tmp_path)
    assert f"mcp.odd.{'.'.join(field)}" in by_file
    assert why in by_file
    headers = headers_of(document)
    words = [word for name in headers for word in ("--header", name)] + (["--allow", ""] if "allow" in document else [])
    piped = "".join(f"{value}\n" for value in headers.values())
    by_flags = cloud.run("mcp", "set", "odd", str(document["url"]), *words, stdin=piped)
    assert by_flags.status == 1
    assert f"openresponses: {option(field)}: " in by_flags.err
    assert why in by_flags.err
    assert "  try: " in by_flags.err
    assert SECRET not in by_file + by_flags.err


@pytest.mark.parametrize("what", SEARCH)
def test_web_search(cloud: Cloud, tmp_path: Path, what: str) -> None:
    document, field, why = SEARCH[what]
    by_file = toml("tools.web_search", document, tmp_path)
    assert f"tools.web_search.{field[0]}: " in by_file
    assert why in by_file
    words = ("--backend", str(document["backend"]), "--base-url", str(document.get("base_url", "")))
    by_flags = cloud.run("tools", "set", "web_search", *words, stdin=str(document.get("key", "")))
    assert by_flags.status == 1
    assert f"openresponses: {option(field)}: " in by_flags.err
    assert why in by_flags.err
    assert SECRET not in by_file + by_flags.err


@pytest.mark.parametrize("what", FUNCTIONS)
def test_a_function(cloud: Cloud, tmp_path: Path, what: str) -> None:
    document, field, why = FUNCTIONS[what]
    by_file = toml("tools.odd", document, tmp_path)
    assert f"tools.odd.{field[0]}: " in by_file
    assert why in by_file
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(document.get("parameters", {"type": "object"})))
    words = ("--timeout", str(document["timeout"])) if "timeout" in document else ("--parameters", str(schema))
    by_flags = cloud.run("tools", "add", "odd", "--function", str(document["function"]), *words)
    assert by_flags.status == 1
    assert f"openresponses: --{field[0]}: " in by_flags.err
    assert why in by_flags.err


@pytest.mark.parametrize("ends", ["\n", "\r\n", "  "])
def test_what_a_paste_or_a_file_brings_around_a_key_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    from openresponses_dev.manage.provider_options import read_secret, settings_of

    document = json.dumps({**CHAT, "api_key": f"sk-1{ends}", "headers": {"x-a": f"b{ends}"}})
    settings = settings_of("mine", document)
    assert (settings.api_key, settings.headers) == ("sk-1", {"x-a": "b"})
    file = tmp_path / "openresponses.toml"
    file.write_text(f'[providers.mine]\ndialect = "chat_completions"\nbase_url = "{BASE}"\napi_key = "$K"\n')
    (wish,) = read_file(file, {"K": f"sk-1{ends}"}, 0.0).wishes.values()
    assert wish.document["api_key"] == "sk-1"
    monkeypatch.setattr("sys.stdin", io.StringIO(f"sk-1{ends}"))
    assert read_secret("key") == "sk-1"
