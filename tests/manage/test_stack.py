"""The same commands on AWS: found by its stack, with one's own permissions."""

from pathlib import Path

import pytest
import yaml

from openresponses_dev.local.template.yaml_tree import parse
from tests.manage.aws_stack import template
from tests.manage.conftest import Aws

pytestmark = pytest.mark.xdist_group("manage")


def test_the_stand_in_has_the_names_of_the_real_template() -> None:
    real, ours = (
        parse(Path("template.yaml").read_text(), "template.yaml"),
        yaml.safe_load(template("http://x/v1", "api")),
    )
    assert ours["Outputs"].keys() <= real["Outputs"].keys()
    assert ours["Parameters"].keys() <= real["Parameters"].keys()
    for name in ("ResponsesTableName", "ResponsesBucketName", "LoopStateMachineArn"):
        assert ours["Outputs"][name]["Value"] == real["Outputs"][name]["Value"]


def test_providers_aliases_and_keys_are_the_stacks(aws: Aws) -> None:
    put = aws.run("providers", "set", "groq", "--model", "m", stdin="sk-groq-secret")
    assert put.status == 0, put.err
    assert "groq is set in stack openresponses in eu-west-1, in force within 30 s" in put.out
    assert aws.run("models", "alias", "fast", "groq/m").status == 0
    assert ["groq", "chat_completions", "https://api.groq.com/openai/v1", "yes", "m"] in aws.run(
        "providers", "list"
    ).rows()
    assert aws.run("models", "list").rows() == [["fast", "groq/m"]]
    made = aws.run("keys", "create", "--tenant", "acme")
    assert made.out.startswith("or_")
    made_id = made.out.split("_")[1]
    assert [row[1] for row in aws.run("keys", "list").rows() if row[0] == made_id] == ["acme"]
    assert aws.run("keys", "revoke", made.out.split("_")[1]).status == 0
    assert aws.run("models", "remove", "fast").status == 0
    assert aws.run("providers", "remove", "groq").status == 0


def test_an_address_that_only_this_machine_has_is_warned_of(aws: Aws) -> None:
    put = aws.run("providers", "set", "ollama")
    assert "functions on AWS can't reach it" in put.err
    assert aws.run("providers", "remove", "ollama").status == 0


@pytest.mark.parametrize(
    ("user", "words", "why"),
    [
        ("reader", ("providers", "set", "groq"), "you may not ssm:PutParameter"),
        ("reader", ("keys", "create", "--tenant", "acme"), "you may not dynamodb:PutItem"),
        ("outsider", ("providers", "list"), "you may not cloudformation:DescribeStacks"),
        ("nobody", ("keys", "list"), "no AWS credentials"),
        ("admin", ("keys", "list", "--stack", "other"), "there is no stack other in eu-west-1"),
        ("admin", ("keys", "list", "--profile", "other"), "The config profile (other) could not be found"),
    ],
)
def test_what_aws_refuses_is_told(aws: Aws, user: str, words: tuple[str, ...], why: str) -> None:
    done = aws.run(*words, user=user, stdin="sk-groq-secret")
    assert (done.status, done.out) == (1, "")
    assert why in done.err


def test_a_projects_stack_leads_to_the_one_that_is_nested_in_it(aws: Aws) -> None:
    made = aws.run("keys", "create", "--tenant", "acme", "--stack", "mine")
    assert made.status == 0, made.err
    key = made.out.split("_")[1]
    assert [row[:2] for row in aws.run("keys", "list", "--stack", "mine").rows()] == [[key, "acme"]]
    assert key not in aws.run("keys", "list").out
    put = aws.run("providers", "set", "groq", "--model", "m", "--stack", "mine", stdin="sk-groq-secret")
    assert "groq is set in stack mine in eu-west-1, in force within 45 s" in put.out
    assert aws.run("providers", "remove", "groq", "--stack", "mine").status == 0
    told = aws.run("doctor", "--stack", "mine").out
    assert "stack mine in eu-west-1" in told
    assert {line.split()[-1] for line in told.splitlines() if line.startswith("ok       function ")} == {
        "ApiFunction",
        "SocketWorkerFunction",
    }
    assert aws.run("keys", "revoke", key, "--stack", "mine").status == 0
