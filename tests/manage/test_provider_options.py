"""What `providers set` takes, in words and from standard input: what is wrong is named, and no secret is quoted."""

import io
import json
from typing import Any

import pytest
from cyclopts import CycloptsError

from openresponses_dev.cli.cli import app
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.provider_options import ProviderOptions, document_of


def options(*words: str) -> tuple[str, ProviderOptions]:
    """The name and the options that these words of `providers set` stand for."""
    _, bound, _ = app.parse_args(["providers", "set", *words], exit_on_error=False, print_error=False)
    bound.apply_defaults()
    return bound.arguments["name"], bound.arguments["options"]


def document(monkeypatch: pytest.MonkeyPatch, *words: str, stdin: str = "") -> Any:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    return json.loads(document_of(*options(*words)))


def test_options_make_a_document_of_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("qwen", "--model", "qwen-plus", "--option", "reasoning_echo=never", "--option", "think_tags=true")
    made = document(monkeypatch, *words, "--header", "x-team", "--idle-timeout", "5", stdin="the-key\nthe-team\n")
    assert made == {
        "dialect": "chat_completions",
        "base_url": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "models": ["qwen-plus"],
        "options": {"reasoning_echo": "never", "think_tags": True},
        "idle_timeout": 5.0,
        "api_key": "the-key",
        "headers": {"x-team": "the-team"},
    }


def test_prices_are_said_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    made = document(monkeypatch, "vllm", "--price", "big=1.25,10,0.125,1.5", "--price", "*=0,0")
    assert made["prices"] == {
        "big": {"input": "1.25", "output": "10", "cached": "0.125", "cache_write": "1.5"},
        "*": {"input": "0", "output": "0"},
    }


def test_a_key_is_read_where_the_preset_has_one_or_the_user_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "api_key" not in document(monkeypatch, "vllm", stdin="ignored")
    assert document(monkeypatch, "vllm", "--key", stdin="the-key")["api_key"] == "the-key"
    assert "api_key" not in document(monkeypatch, "groq", "--no-key", stdin="ignored")


WRONG = {
    "a name that no model could carry": (("a/b", "--dialect", "offline"), "", "'a/b' is no provider's name"),
    "the built-in provider": (("offline", "--dialect", "offline"), "", "offline is built in"),
    "neither a preset nor a dialect": (("mine",), "", "there is no preset mine"),
    "an unknown preset": (("mine", "--preset", "none"), "", "there is no preset none"),
    "an unknown dialect": (("mine", "--dialect", "morse", "--no-key"), "", "--dialect: there is no 'morse'"),
    "no address": (("mine", "--dialect", "chat_completions", "--no-key"), "", "needs the provider's address"),
    "an unknown option": (("groq", "--option", "louder=1"), "k", "--option louder: there is no such field"),
    "a path that is no list": (("groq", "--option", "allow_options=tools"), "k", "--option allow_options"),
    "neither true nor false": (("groq", "--option", "shared_files=yes"), "k", "--option shared_files"),
    "an option without a value": (("groq", "--option", "louder"), "k", "--option louder: not NAME=VALUE"),
    "a price without an output": (("vllm", "--price", "big=1"), "", "--price big=1: not MODEL=INPUT,OUTPUT"),
    "a price of no model": (("vllm", "--price", "1,2"), "", "--price 1,2: not MODEL=INPUT,OUTPUT"),
    "a price below nothing": (("vllm", "--price", "big=1,-2"), "", "--price big output"),
    "a price in another currency": (("vllm", "--price", "big=1,2\u20ac"), "", "--price big output"),
    "a timeout of nothing": (("groq", "--idle-timeout", "0"), "k", "--idle-timeout"),
    "no key on standard input": (("groq",), "", "API key of groq is missing"),
    "a header without a value": (("groq", "--header", "x-team"), "k\n", "Header x-team of groq is missing"),
    "an option beside a document": (("mine", "--json", "--base-url", "x"), "{}", "--base-url would have no effect"),
    "no document": (("mine", "--json"), " \n", "nothing came on standard input"),
    "a document that isn't JSON": (("mine", "--json"), '{"api_key": "hidden', "Invalid JSON"),
    "an unknown field": (("mine", "--json"), '{"dialect": "offline", "apikey": "hidden"}', "apikey"),
    "a key that is no text": (("mine", "--json"), '{"dialect": "offline", "api_key": ["hidden"]}', "api_key"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    words, stdin, why = WRONG[what]
    with pytest.raises(Problem) as raised:
        document(monkeypatch, *words, stdin=stdin)
    assert why in str(raised.value)
    assert "hidden" not in f"{raised.value} {raised.value.mend}"


def test_no_argument_takes_a_secret() -> None:
    with pytest.raises(CycloptsError, match="Unknown option"):
        options("mine", "--api-key", "hidden")
