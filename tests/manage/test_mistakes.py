"""Mistakes at the command line: each error names its cause, and what mends it can be pasted."""

import json
import shlex

import pytest

from tests.manage.conftest import Cloud, Ran, run

pytestmark = pytest.mark.xdist_group("manage")
CHAT = ("providers", "set", "mine", "--dialect", "chat_completions")
SECRET = "planted-secret"


@pytest.mark.parametrize(
    ("words", "stdin", "why", "mend"),
    [
        (("providers", "set", "opnai"), "", "there is no preset opnai: did you mean openai?", "--preset"),
        (("providers", "test", "ofline"), "", "did you mean offline?", "providers list"),
        (("providers", "test", "zzz"), "", "there is no provider zzz", "providers list"),
        (
            ("providers", "set", "mine", "--dialect", "antropic"),
            "",
            "--dialect: there is no 'antropic'; did you mean 'anthropic'?",
            "set --help",
        ),
        (CHAT, "", "the dialect chat_completions needs the provider's address", "--base-url https://"),
        (
            (*CHAT, "--base-url", "https://api.example.com/v1/chat/completions/"),
            "",
            "adds /chat/completions itself: did you mean https://api.example.com/v1?",
            "--base-url https://",
        ),
        (
            ("providers", "set", "openai", "--base-url", "https://api.example.com/v1/responses"),
            "",
            "the dialect openai_responses adds /responses itself: did you mean https://api.example.com/v1?",
            "--base-url https://",
        ),
        (
            ("providers", "set", "anthropic", "--base-url", "https://api.example.com/v1/messages"),
            "",
            "adds /messages itself: did you mean https://api.example.com/v1?",
            "--base-url https://",
        ),
        (
            ("providers", "set", "openai"),
            f"{SECRET} two\n",
            "the API key: HTTP can't carry it in a key: it has a space",
            "copy it once more",
        ),
        (("providers", "set", "openai"), f"{SECRET}\u00fc\n", "what is not ASCII", "copy it once more"),
        (
            ("providers", "set", "openai", "--header", "x-a"),
            f"sk\n{SECRET}\u00fc\n",
            "--header x-a: HTTP can't carry it",
            "in one line where it is asked for",
        ),
        (
            ("providers", "set", "openai", "--header", f"x-a: {SECRET}"),
            "sk\n",
            "'x-a' is no name of a header",
            "where it is asked for",
        ),
        (
            ("mcp", "set", "docs", "https://mcp.example.com/", "--header", "x-b"),
            f"{SECRET}\x07\n",
            "--header x-b: HTTP can't carry it",
            "in one line",
        ),
        (("traces", "set", "x-c"), f"{SECRET}\u00e9\n", "--header x-c: HTTP can't carry it", "in one line"),
        (("models", "remove", "gone"), "", "there is no alias gone", "models list --local"),
        (("mcp", "test", "gone"), "", "there is no MCP server gone", "mcp list --local"),
        (("keys", "revoke", "or_gone"), "", "there is no key gone", "keys list --local"),
        (("prompts", "remove", "gone", "--tenant", "acme"), "", "has no prompt gone", "prompts list --tenant acme"),
        (("tools", "remove", "gone"), "", "there is no tool gone", "tools list --local"),
        (("tools", "test", "calculater"), "", "did you mean calculator?", "tools list --local"),
    ],
)
def test_a_mistake_is_told_with_what_mends_it(
    cloud: Cloud, words: tuple[str, ...], stdin: str, why: str, mend: str
) -> None:
    done = cloud.run(*words, stdin=stdin)
    assert done.status == 1
    assert why in done.err
    assert mend in tries(done)
    assert SECRET not in done.out + done.err
    if tries(done).startswith("openresponses "):
        pasted = run(*shlex.split(tries(done))[1:])
        assert pasted.status != 2, pasted.err


def tries(done: Ran) -> str:
    line = done.err.splitlines()[-1]
    assert line.startswith("  try: "), done.err
    return line.removeprefix("  try: ")


@pytest.mark.parametrize(
    ("words", "near", "mend"),
    [
        (("provders", "list"), 'Did you mean "providers"?', "openresponses --help"),
        (("keys", "creat"), 'Did you mean "create"?', "openresponses keys --help"),
        (
            ("keys", "create", "--tenant", "x", "--modls", "y"),
            "Did you mean --models?",
            "openresponses keys create --help",
        ),
    ],
)
def test_a_word_that_is_no_command_or_option_gets_the_nearest(words: tuple[str, ...], near: str, mend: str) -> None:
    done = run(*words)
    assert done.status == 2
    assert near in done.err
    assert tries(done) == mend
    assert run(*mend.split()[1:]).status == 0


def test_names_that_nobody_serves_are_told_and_set(cloud: Cloud) -> None:
    alias = cloud.run("models", "alias", "near", "ofline/demo")
    assert alias.status == 0
    assert f"did you mean offline? Otherwise openresponses providers set ofline {cloud.flags}" in alias.err
    key = cloud.run("keys", "create", "--tenant", "acme", "--models", "ofline/*", "nea", "--mcp", "dcos")
    assert key.status == 0, key.err
    warned = [line for line in key.err.splitlines() if line.startswith("warning: ")]
    assert [each.partition(" (")[0] for each in warned] == [
        "warning: no provider ofline is configured: did you mean offline?",
        "warning: no alias or model nea is configured: did you mean near?",
        "warning: no MCP server dcos is configured",
    ]
    found = json.loads(cloud.run("keys", "list", "--json").out)["data"]
    (made,) = [each for each in found if each["mcp"] == ["dcos"]]
    assert f"did you mean {made['id']}?" in cloud.run("keys", "revoke", f"{made['id'][:-1]}").err
    assert "did you mean near?" in cloud.run("models", "remove", "neer").err
    assert cloud.run("keys", "revoke", made["id"]).status == 0
    assert cloud.run("models", "remove", "near").status == 0
    served = cloud.run("keys", "create", "--tenant", "acme", "--models", "offline/*")
    assert "warning" not in served.err
    assert cloud.run("keys", "revoke", served.out.strip()).status == 0
