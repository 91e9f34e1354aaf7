"""`openresponses prompts`: kept in versions, and named by requests."""

import json
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest

from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.prompts import read_prompt
from tests.manage.conftest import Aws, Cloud

pytestmark = pytest.mark.xdist_group("manage")
GREET = """\
model: offline/demo
instructions: You are {{who}}.
input:
  - {role: user, content: "{{who}}, how much is 15 * 37?"}
tools:
  - type: serverless:calculator
"""


def asked(cloud: Cloud, **body: Any) -> httpx2.Response:
    headers = {"authorization": f"Bearer {cloud.api_key}"}
    return httpx2.post(f"{cloud.base_url}/responses", json=body, headers=headers, timeout=60)


def test_a_request_names_a_prompt_from_the_moment_that_it_is_set_until_it_is_removed(cloud: Cloud) -> None:
    made = cloud.run("prompts", "set", "greet", "--tenant", "default", stdin=GREET)
    assert (made.status, made.err) == (0, "")
    assert "prompt greet of tenant default, version 1, in" in made.out
    assert made.out.endswith("variables: who\n")
    prompt = {"id": "greet", "variables": {"who": "a clerk"}}
    answer = asked(cloud, prompt=prompt).raise_for_status().json()
    assert (answer["instructions"], answer["prompt"]["version"]) == ("You are a clerk.", "1")
    assert "serverless:calculator" in [item["type"] for item in answer["output"]]
    cloud.run("prompts", "set", "greet", "--tenant", "default", stdin=GREET.replace("You are", "Be"))
    assert asked(cloud, prompt=prompt).json()["instructions"] == "Be a clerk."
    assert asked(cloud, prompt={**prompt, "version": "1"}).json()["instructions"] == "You are a clerk."
    assert cloud.run("prompts", "remove", "greet", "--tenant", "default").status == 0
    error = asked(cloud, prompt=prompt).json()["error"]
    assert (error["param"], error["code"]) == ("prompt.id", "prompt_not_found")
    again = cloud.run("prompts", "remove", "greet", "--tenant", "default")
    assert (again.status, again.err.splitlines()[1]) == (
        1,
        f"  try: openresponses prompts list --tenant default {cloud.flags}",
    )


def test_a_prompt_is_its_tenants_own(cloud: Cloud) -> None:
    cloud.run("prompts", "set", "secret", "--tenant", "acme", stdin=GREET)
    assert [row[:2] for row in cloud.run("prompts", "list", "--tenant", "acme").rows()] == [["secret", "1"]]
    assert "secret" not in cloud.run("prompts", "list", "--tenant", "default").out
    ours = asked(cloud, prompt={"id": "secret", "variables": {"who": "x"}})
    missing = asked(cloud, prompt={"id": "absent", "variables": {"who": "x"}})
    assert ours.status_code == missing.status_code == 400
    assert ours.text.replace("secret", "absent") == missing.text


def test_a_large_one_is_read_from_a_file_on_aws(aws: Aws, tmp_path: Path) -> None:
    (file := tmp_path / "prompt.json").write_text(json.dumps({"instructions": Random(1).randbytes(300_000).hex()}))
    made = aws.run("prompts", "set", "large", str(file), "--tenant", "acme")
    assert (made.status, made.err) == (0, "")
    assert [row[:2] for row in aws.run("prompts", "list", "--tenant", "acme").rows()] == [["large", "1"]]
    assert aws.run("prompts", "remove", "large", "--tenant", "acme").status == 0
    assert aws.run("prompts", "list", "--tenant", "acme").rows() == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("just words", "a prompt is an object"),
        ("[1]", "a prompt is an object"),
        ("model: m", "a prompt has instructions, input, or both"),
        ("instructions: {{who}} is here", "a text that begins with {{ is quoted"),
        ("instruction: x", "'instruction' is no field of a prompt"),
        ("previous_response_id: x", "'previous_response_id' is no field of a prompt"),
        ("{instructions: x, temperature: 9}", "'temperature' must be at most 2; it is 9"),
        ("input: [{role: nobody, content: x}]", "'input[0].role' must be"),
        ("input: [{type: item_reference, id: x}]", "A prompt has messages and no other items"),
        (f"instructions: {'x' * 2**20}", "a prompt has at most 1 MiB"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, why: str) -> None:
    (file := tmp_path / "prompt.yaml").write_text(text)
    with pytest.raises(Problem) as raised:
        read_prompt(file)
    assert why in f"{raised.value} {raised.value.mend}"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("set", "two words", "--tenant", "acme"), "'two words' is no name of a prompt"),
        (("set", "greet", "nowhere.yaml", "--tenant", "acme"), "nowhere.yaml: "),
        (("set", "greet", "--tenant", "Not_A_Tenant"), "a tenant is"),
        (("list", "--tenant", "a/b"), "a tenant is"),
        (("remove", "absent", "--tenant", "acme"), "tenant acme has no prompt absent"),
    ],
)
def test_what_is_wrong_in_a_command_is_named(cloud: Cloud, words: tuple[str, ...], why: str) -> None:
    done = cloud.run("prompts", *words, stdin="instructions: x")
    assert done.status == 1
    assert why in done.err
