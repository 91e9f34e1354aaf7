"""`openresponses providers` and `models`, on the local cloud: what is set is served, and no secret is shown."""

import json
import time

import pytest
from openai import APIStatusError, NotFoundError, OpenAI

from tests.manage.conftest import UPSTREAM_KEY, Cloud, Ran, run

pytestmark = pytest.mark.xdist_group("manage")


def set_fake(cloud: Cloud, name: str, *more: str, key: str = UPSTREAM_KEY) -> None:
    words = ("providers", "set", name, "--dialect", "chat_completions", "--base-url", cloud.upstream, *more)
    done = cloud.run(*words, stdin=f"{key}\n")
    assert done.status == 0, done.err


def say(cloud: Cloud, model: str) -> str:
    with OpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0) as client:
        return client.responses.create(model=model, input="Hello", store=False).output_text.strip()


def test_a_provider_that_is_set_serves_at_once_and_one_that_is_removed_does_not(cloud: Cloud) -> None:
    with pytest.raises(NotFoundError):
        say(cloud, "served/echo")
    set_fake(cloud, "served", "--model", "echo")
    time.sleep(1.1)  # ConfigSeconds
    assert say(cloud, "served/echo") == "Hello"
    assert cloud.run("providers", "remove", "served").status == 0
    time.sleep(1.1)
    with pytest.raises(NotFoundError):
        say(cloud, "served/echo")


def test_a_providers_key_is_rotated_while_it_is_served(cloud: Cloud) -> None:
    set_fake(cloud, "rotated", key="sk-an-old-one")
    time.sleep(1.1)
    with pytest.raises(APIStatusError, match="refused our credentials"):
        say(cloud, "rotated/echo")
    set_fake(cloud, "rotated")
    time.sleep(1.1)
    assert say(cloud, "rotated/echo") == "Hello"


def test_an_alias_is_repointed_while_it_is_served(cloud: Cloud) -> None:
    set_fake(cloud, "first")
    assert cloud.run("models", "alias", "pointed", "first/echo").status == 0
    time.sleep(1.1)
    assert say(cloud, "pointed") == "Hello"
    assert cloud.run("models", "alias", "pointed", "offline/demo", "first/echo").status == 0
    time.sleep(1.1)
    assert "offline demo" in say(cloud, "pointed")
    assert ["pointed", "offline/demo, then first/echo"] in cloud.run("models", "list").rows()
    assert cloud.run("models", "remove", "pointed").status == 0
    assert "pointed" not in cloud.run("models", "list").out


def test_a_list_tells_of_keys_and_never_what_they_are(cloud: Cloud) -> None:
    cloud_url = "http://user:hidden-password@127.0.0.1:9/v1?key=hidden-query"
    words = (
        "providers",
        "set",
        "listed",
        "--dialect",
        "chat_completions",
        "--base-url",
        cloud_url,
        "--header",
        "x-team",
    )
    done = cloud.run(*words, "--model", "a", "--model", "b", stdin="hidden-key\nhidden-header\n")
    shown = cloud.run("providers", "list")
    assert ["listed", "chat_completions", "http://127.0.0.1:9/v1", "yes", "a, b"] in shown.rows()
    assert ["offline", "offline", "-", "no", "demo"] in shown.rows()
    for each in (done, shown, cloud.run("doctor")):
        assert "hidden" not in each.out + each.err


def test_a_document_is_set_as_it_is(cloud: Cloud) -> None:
    document = {"dialect": "chat_completions", "base_url": cloud.upstream, "api_key": UPSTREAM_KEY, "retries": 0}
    assert cloud.run("providers", "set", "whole", "--json", stdin=json.dumps(document)).status == 0
    assert cloud.run("providers", "test", "whole", "--model", "text").status == 0


def test_a_preset_fills_in_what_is_not_given(cloud: Cloud) -> None:
    words = ("--preset", "openrouter", "--dialect", "openai_responses", "--base-url", cloud.upstream)
    assert cloud.run("providers", "set", "router", *words, stdin=UPSTREAM_KEY).status == 0
    assert ["router", "openai_responses", cloud.upstream, "yes", "-"] in cloud.run("providers", "list").rows()
    assert cloud.run("providers", "set", "ollama").status == 0
    assert "give them a Bedrock API key" in cloud.run("providers", "set", "bedrock").err
    assert ["ollama", "chat_completions", "http://127.0.0.1:11434/v1", "no", "-"] in cloud.run(
        "providers", "list"
    ).rows()


def test_a_test_shows_the_first_words_or_what_mends_it(cloud: Cloud) -> None:
    set_fake(cloud, "tested", "--model", "text")
    answered = cloud.run("providers", "test", "tested")
    assert answered.status == 0
    assert answered.out.startswith("tested/text answered after ")
    assert '"token0 token1 token2 token3 token4"' in answered.out

    missing = cloud.run("providers", "test", "tested", "--model", "nobody")
    assert (missing.status, missing.out) == (1, "")
    assert "tested/nobody: The provider refused the request (HTTP 404)" in missing.err
    assert "try: name a model that it has, with --model" in missing.err

    set_fake(cloud, "tested", "--model", "text", key="sk-wrong-and-secret")
    refused = cloud.run("providers", "test", "tested")
    assert refused.status == 1
    assert "The provider refused our credentials (HTTP 401)" in refused.err
    assert f"openresponses providers set tested {cloud.flags}" in refused.err
    assert "sk-wrong" not in refused.err


def test_removing_a_provider_names_the_aliases_that_still_want_it(cloud: Cloud) -> None:
    set_fake(cloud, "wanted")
    aliased = cloud.run("models", "alias", "wanting", "wanted/text", "nowhere/text")
    assert aliased.status == 0
    assert "warning: the provider nowhere is not configured: openresponses providers set nowhere" in aliased.err
    removed = cloud.run("providers", "remove", "wanted")
    assert removed.status == 0
    assert "warning: the alias wanting still names it" in removed.err
    assert cloud.run("providers", "remove", "wanted").status == 1
    told = ["wanting", "wanted/text, then nowhere/text", "(no provider nowhere)", "(no provider wanted)"]
    assert told in cloud.run("models", "list").rows()
    assert cloud.run("models", "remove", "wanting").status == 0


@pytest.mark.parametrize(
    ("words", "stdin", "why"),
    [
        (("groq",), "", "API key of groq is missing"),
        (("mine", "--dialect", "morse", "--no-key"), "", "there is no 'morse'; have"),
        (("mine", "--json"), '{"api_key": "hidden', "Invalid JSON"),
        (("groq", "--model", "m" * 5000), "hidden", "a parameter holds 4096"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    cloud: Cloud, words: tuple[str, ...], stdin: str, why: str
) -> None:
    done = cloud.run("providers", "set", *words, stdin=stdin)
    assert (done.status, done.out) == (1, "")
    assert why in done.err
    assert "hidden" not in done.err
    names = {row[0] for row in cloud.run("providers", "list").rows()}
    assert not names & {"mine", "groq"}


@pytest.mark.parametrize("target", ["text", "/text", "groq/"])
def test_a_target_is_a_provider_and_a_model(cloud: Cloud, target: str) -> None:
    done = cloud.run("models", "alias", "odd", target)
    assert done.status == 1
    assert "name targets as provider/model" in done.err


def test_a_local_cloud_that_is_not_there_is_named() -> None:
    done = run("providers", "list", "--local", "http://127.0.0.1:9")
    assert done.status == 1
    assert "no local cloud answers at http://127.0.0.1:9" in done.err


def test_a_name_is_not_taken_for_the_local_clouds_address(cloud: Cloud) -> None:
    assert f"there is no provider mine in the local cloud at {cloud.origin}" in removed(cloud, "mine").err
    done = run("providers", "remove", "other", "--local", "mine")
    assert (done.status, "mine" in done.err) == (2, True)


def removed(cloud: Cloud, name: str) -> Ran:
    return run("providers", "remove", "--local", cloud.origin.rpartition(":")[2], name)
