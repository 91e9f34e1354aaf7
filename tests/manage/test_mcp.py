"""`openresponses mcp`, on the local cloud: what is set is kept as a secret, and no secret is shown."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.mcp import with_headers
from openresponses_dev.manage.problems import Problem
from tests.manage.conftest import Aws, Cloud, Ran

pytestmark = pytest.mark.xdist_group("manage")
URL = "https://mcp.example.com/mcp"
HIDDEN = "hidden-token"


def stored(cloud: Cloud, label: str) -> parameters.Parameter:
    found = parameters.read(deployment_at(Where(local=cloud.origin)), "mcp", label)
    assert found
    return found


def test_a_server_is_kept_as_a_secret_and_listed_without_it(cloud: Cloud) -> None:
    words = ("--header", "Authorization", "--header", "x-team", "--approval", "never", "--allow", "search,fetch")
    done = cloud.run(
        *("mcp", "set", "docs", f"{URL}?key=hidden", *words, "--description", "Our handbook"),
        stdin=f"Bearer {HIDDEN}\nhidden-team\n",
    )
    assert done.status == 0, done.err
    assert "docs is set in the local cloud" in done.out
    kept = stored(cloud, "docs")
    assert kept.secure
    assert json.loads(kept.text) == {
        "url": f"{URL}?key=hidden",
        "approval": "never",
        "description": "Our handbook",
        "allow": ["search", "fetch"],
        "headers": {"Authorization": f"Bearer {HIDDEN}", "x-team": "hidden-team"},
    }
    deployment = deployment_at(Where(local=cloud.origin))
    parameters.write(deployment, "mcp", "byhand", json.dumps({"url": URL, "headres": {"x": "hidden"}}))
    shown, examined = cloud.run("mcp", "list"), cloud.run("doctor")
    assert "MCP server 'byhand': headres: there is no such field" in shown.out
    assert f"mcp set byhand URL {cloud.flags}" in examined.out
    assert re.search(f"^ok +MCP server docs +{URL}$", examined.out, re.MULTILINE)
    assert ["docs", URL, "Authorization x-team", "never", "search fetch", "Our handbook"] in shown.rows()
    for each in (done, shown, examined):
        assert "hidden" not in each.out + each.err
    for label in ("docs", "byhand"):
        assert parameters.delete(deployment, "mcp", label)


def test_a_server_without_options_wants_an_approval_of_each_call_and_offers_all_tools(cloud: Cloud) -> None:
    assert cloud.run("mcp", "set", "plain", URL).status == 0
    assert ["plain", URL, "-", "always", "all", "-"] in cloud.run("mcp", "list").rows()
    assert cloud.run("mcp", "remove", "plain").status == 0
    gone = cloud.run("mcp", "remove", "plain")
    assert gone.status == 1
    assert "there is no MCP server plain" in gone.err


@pytest.mark.parametrize(
    ("label", "url", "more", "stdin", "why"),
    [
        ("1st", URL, {}, "", "'1st' is no server's label"),
        ("odd", "http://mcp.example.com/mcp", {}, "", "the URL: it begins with https://"),
        ("odd", "https://hidden:pw@mcp.example.com", {}, "", "without a user"),
        ("odd", "https://hidden:port/", {}, "", "it is no URL"),
        ("odd", "https://", {}, "", "a URL with a host"),
        ("odd", URL, {"allow": ["search", ""]}, "", "--allow: String should have at least 1 character"),
        ("odd", URL, {"label": "other"}, "", "label: there is no such field"),
        ("odd", URL, {"headers": ["two words"]}, "", "'two words' is no name of a header"),
        ("odd", URL, {"headers": ["Host"]}, "", "Host is set by this server"),
        ("odd", URL, {"headers": ["x-key"]}, "", "Header x-key of odd is missing"),
        ("odd", URL, {"headers": ["x-key"]}, "hidden\u00e9\n", "--header x-key: HTTP can't carry it"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, label: str, url: str, more: dict[str, Any], stdin: str, why: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    document = {"url": url, **more}
    with pytest.raises(Problem) as raised:
        with_headers(label, document, document.pop("headers", []))
    assert why in str(raised.value)
    assert "hidden" not in f"{raised.value} {raised.value.mend}"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an MCP server that wants a token."""
    command = [sys.executable, "-m", "tests.fakes.mcp_server", "--token", HIDDEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


def test_a_test_lists_the_tools_or_says_what_the_server_answered(cloud: Cloud, server: str) -> None:
    words = ("mcp", "set", "tried", server, "--approval", "never", "--allow", "echo,gone", "--header", "Authorization")
    assert cloud.run(*words, stdin=f"Bearer {HIDDEN}\n").status == 0
    tried = cloud.run("mcp", "test", "tried")
    assert tried.status == 0, tried.err
    assert re.match(r"tried answered in \d+\.\d\d s: 11 tools\n", tried.out)
    rows = {row[0]: row[1:] for row in Ran(0, tried.out.partition("\n")[2], "").rows()}
    assert rows["echo"] == ["yes", "never", "yes", "The tool echo."]
    assert rows["fail"] == ["no", "never", "no", "The tool fail."]
    assert "it has no tool gone, which --allow names" in tried.err

    called = cloud.run("mcp", "test", "tried", "echo", '{"text": "hello"}')
    assert (called.status, "hello" in called.out) == (0, True), called.err
    assert re.match(r"the call took \d+\.\d\d s; the model reads:\n", called.err)
    no_json = cloud.run("mcp", "test", "tried", "echo", "{")
    assert (no_json.status, no_json.out.partition(":")[0]) == (1, "The arguments of echo are not JSON")
    kept_away = cloud.run("mcp", "test", "tried", "fail")
    assert (kept_away.status, "tried offers no tool fail" in kept_away.err) == (1, True)
    as_tool = cloud.run("tools", "test", "tried")
    assert f"try: openresponses mcp test tried TOOL JSON {cloud.flags}" in as_tool.err

    assert cloud.run(*words, stdin="Bearer hidden-other-token\n").status == 0
    refused = cloud.run("mcp", "test", "tried")
    assert (refused.status, refused.out) == (1, "")
    assert "401" in refused.err
    assert f"openresponses mcp set tried URL --header Authorization {cloud.flags}" in refused.err
    for each in (tried, refused):
        assert "hidden" not in each.out + each.err
    assert cloud.run("mcp", "test", "nobody").status == 1


def test_a_stack_on_aws_keeps_it_as_a_secret_too(aws: Aws) -> None:
    done = aws.run("mcp", "set", "docs", URL, "--header", "x-key", stdin=f"{HIDDEN}\n")
    assert (done.status, HIDDEN in done.out + done.err) == (0, False)
    near = aws.run("mcp", "set", "near", "http://127.0.0.1:9/mcp")
    assert "functions on AWS can't reach it" in near.err
    denied = aws.run("mcp", "set", "docs", URL, user="reader")
    assert "you may not ssm:PutParameter" in denied.err
    assert aws.run("mcp", "remove", "near").status == 0
