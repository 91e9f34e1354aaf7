"""The composition roots: what an environment becomes, what is imported for it, and how tasks are run and told."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from openresponses.core.errors import ProviderThrottled, StorageUnavailable
from openresponses.entry.api import build
from openresponses.entry.compose import Deployment
from openresponses.entry.local_aws import use_local_aws
from openresponses.entry.runner import Crashed, TaskEvent, perform, workers_from
from openresponses.entry.settings import aws_settings_from, settings_from
from tests.contract.authorized import authorized

STORED = {"OPENRESPONSES_TABLE": "table", "OPENRESPONSES_BUCKET": "bucket", "OPENRESPONSES_SSM_PREFIX": "/kit"}


def test_an_empty_environment_is_a_server_that_stores_nothing() -> None:
    settings, aws = settings_from({}), aws_settings_from({})
    assert (settings.store, settings.inline_turns, settings.inline_seconds, settings.turn_seconds) == (
        True,
        10,
        120,
        300,
    )
    assert settings.flush_seconds == 0.5
    assert (aws.table, aws.ssm_prefix, aws.config_seconds, aws.response_days, aws.log_days) == ("", "", 60, 30, 7)


def test_every_variable_is_read() -> None:
    settings = settings_from(
        {
            "OPENRESPONSES_STORE": "false",
            "OPENRESPONSES_INLINE_TURNS": "2",
            "OPENRESPONSES_INLINE_SECONDS": "3",
            "OPENRESPONSES_TURN_SECONDS": "4",
            "OPENRESPONSES_FLUSH_MILLISECONDS": "50",
        }
    )
    assert (settings.store, settings.inline_turns, settings.inline_seconds, settings.turn_seconds) == (False, 2, 3, 4)
    assert settings.flush_seconds == 0.05
    aws = aws_settings_from(
        {
            **STORED,
            "AWS_REGION": "eu-north-1",
            "OPENRESPONSES_STATE_MACHINE_ARN": "arn",
            "OPENRESPONSES_CONFIG_SECONDS": "5",
            "OPENRESPONSES_RESPONSE_DAYS": "1",
            "OPENRESPONSES_LOG_DAYS": "2",
        }
    )
    assert (aws.region, aws.table, aws.bucket, aws.state_machine_arn) == ("eu-north-1", "table", "bucket", "arn")
    assert (aws.config_seconds, aws.response_days, aws.log_days, aws.ssm_prefix) == (5, 1, 2, "/kit")


HOSTS: dict[str, tuple[str, ...]] = {
    "*": ("*",),
    "none": (),
    "": (),
    "mcp.example.com": ("mcp.example.com",),
    "*.Example.com,docs.test": ("*.example.com", "docs.test"),
    "a.test, b.test": ("a.test", "b.test"),
}


@pytest.mark.parametrize(("text", "hosts"), HOSTS.items(), ids=lambda each: str(each))
def test_the_hosts_of_mcp_servers_are_a_list_of_patterns(text: str, hosts: tuple[str, ...]) -> None:
    assert settings_from({"OPENRESPONSES_MCP_HOSTS": text}).mcp_hosts == hosts


def test_a_request_may_name_any_host_and_none_on_this_machine_unless_the_environment_says_otherwise() -> None:
    settings = settings_from({})
    assert (settings.mcp_hosts, settings.loopback) == (("*",), False)
    assert settings_from({"OPENRESPONSES_LOOPBACK": "true"}).loopback


@pytest.mark.parametrize(
    "text", ["https://a.test", "a.test/x", "a.*", "a*.test", "*.*", "a test.*", "none,a.test:443", "[::1]", "*a.test"]
)
def test_what_is_no_pattern_of_hosts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^OPENRESPONSES_MCP_HOSTS: must be"):
        settings_from({"OPENRESPONSES_MCP_HOSTS": text})


@pytest.mark.parametrize(
    ("name", "value"),
    [("OPENRESPONSES_STORE", "yes"), ("OPENRESPONSES_INLINE_TURNS", "0"), ("OPENRESPONSES_LOG_DAYS", "x")],
)
def test_a_wrong_value_is_named_but_not_quoted(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: must be [^{value}]"):
        (settings_from({name: value}), aws_settings_from({name: value}))


def imported(entry: str, environment: dict[str, str]) -> set[str]:
    """Every module that a composition root imports."""
    code = f"import sys, openresponses.entry.{entry}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    return set(result.stdout.split())


def sdk(modules: set[str]) -> set[str]:
    """Of the SDK. Powertools imports the bare package `botocore`, which costs nothing."""
    return {name for name in modules if name.startswith(("boto3", "botocore."))}


def test_a_server_that_stores_nothing_imports_nothing_of_aws() -> None:
    modules = imported("api", {})
    assert {name for name in modules if name.startswith("openresponses.aws")} | sdk(modules) == set()


@pytest.mark.parametrize("entry", ["api", "tasks"])
def test_the_sdk_is_not_imported_before_it_is_needed(entry: str) -> None:
    modules = imported(entry, STORED)
    assert "openresponses.storage.dynamodb.storage" in modules
    assert sdk(modules) == set()


@pytest.mark.parametrize("entry", ["api", "tasks"])
def test_no_dialect_and_no_cipher_is_imported_before_a_request_needs_it(entry: str) -> None:
    modules = imported(entry, STORED)
    assert "openresponses.dialects" in modules
    assert {name for name in modules if name.startswith(("openresponses.dialects.", "nacl", "httpx2"))} == set()


@pytest.mark.parametrize("entry", ["api", "tasks"])
def test_nothing_of_mcp_is_imported_before_a_request_names_a_server(entry: str) -> None:
    modules = imported(entry, STORED)
    assert "openresponses.toolbox.mcp" in modules
    assert {name for name in modules if name.startswith(("openresponses.toolbox.mcp.", "mcp"))} == set()


def test_an_mcp_server_is_asked_with_what_a_provider_is_asked_with() -> None:
    code = """
import sys
import openresponses.entry.api, openresponses.dialects
openresponses.dialects.prepare()
import openresponses.dialects.chat_completions
ready = set(sys.modules)
import openresponses.toolbox.mcp.source
print(*(set(sys.modules) - ready))
"""
    result = subprocess.run([sys.executable, "-c", code], env=STORED, check=True, capture_output=True, text=True)
    assert {name for name in result.stdout.split() if not name.startswith("openresponses.toolbox.mcp.")} == set()


@pytest.mark.parametrize("entry", ["api", "tasks"])
def test_nothing_of_approvals_is_imported_before_a_request_gives_one(entry: str) -> None:
    found = imported(entry, STORED)
    assert not {name for name in found if name.endswith((".approvals", ".spending", ".memory.spent"))}


async def test_a_server_without_storage_remembers_for_each_tenant_which_approvals_were_spent() -> None:
    deployment = Deployment({})
    assert await deployment.ports("acme").spent.spend(["mcpr_1"], "resp_1") is None
    assert await deployment.ports("acme").spent.spend(["mcpr_1"], "resp_2") == "mcpr_1"
    assert await deployment.ports("other").spent.spend(["mcpr_1"], "resp_2") is None
    first, again, other = [await marked(deployment, tenant) for tenant in ("acme", "acme", "other")]
    assert first == again != other


async def marked(deployment: Deployment, tenant: str) -> str:
    marks = deployment.ports(tenant).marks
    assert marks is not None
    return (await marks.marks())[0]("text")


def test_fastapi_is_imported_for_its_document_alone() -> None:
    assert "fastapi" not in imported("api", {})
    code = """
import asyncio, sys, httpx2
from openresponses.entry.api import app

async def main():
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client:
        for path in ("/health", "/openapi.json"):
            print((await client.get(path)).status_code, "fastapi" in sys.modules)

asyncio.run(main())
"""
    result = subprocess.run([sys.executable, "-c", code], env={}, check=True, capture_output=True, text=True)
    assert result.stdout.splitlines() == ["200 False", "200 True"]


def test_the_http_client_is_ready_when_a_providers_settings_were_read() -> None:
    code = """
import sys
from openresponses.dialects import prepare
prepare()
ready = set(sys.modules)
import openresponses.dialects.chat_completions
from openresponses.transport.http import tls
print(tls.cache_info().currsize, *(set(sys.modules) - ready))
"""
    result = subprocess.run([sys.executable, "-c", code], env={}, check=True, capture_output=True, text=True)
    made, *later = result.stdout.split()
    assert made == "1"
    assert [name for name in later if name.startswith(("openresponses.transport", "httptools", "ssl"))] == []


@pytest.mark.parametrize("entry", ["tasks"])
def test_the_state_machines_function_serves_no_http(entry: str) -> None:
    assert imported(entry, STORED) & {"fastapi", "starlette", "mangum", "openresponses.api.app"} == set()


def test_a_worker_needs_a_table() -> None:
    with pytest.raises(ValueError, match=r"^OPENRESPONSES_TABLE"):
        workers_from({})


RESPONSE: TaskEvent = {"tenant": "acme", "response_id": "resp_1"}


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records]


async def answer(result: object) -> object:
    await asyncio.sleep(0)
    if isinstance(result, Exception):
        raise result
    return result


def test_a_task_leaves_one_line(caplog: pytest.LogCaptureFixture) -> None:
    assert perform("work", RESPONSE, answer(7), lambda result: {"step": result}) == 7
    (line,) = told(caplog)
    assert (line["msg"], line["levelname"], line["response_id"], line["step"]) == ("work", "INFO", "resp_1", 7)
    assert line["duration_ms"] >= 0
    assert "error" not in line


def test_tasks_share_a_loop() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert perform("work", RESPONSE, loop()) is perform("work", RESPONSE, loop())


@pytest.mark.parametrize("error", [ProviderThrottled("slow down"), StorageUnavailable("try again")])
def test_an_error_of_ours_passes_as_it_is(
    error: Exception, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(error)) as raised:
        perform("work", RESPONSE, answer(error))
    assert raised.value is error
    (line,) = told(caplog)
    metric = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["msg"], line["levelname"], line["error"]) == ("work", "WARNING", type(error).__name__)
    assert (metric["task_error"], metric["TaskErrors"]) == (type(error).__name__, [1.0])


def test_what_a_bug_says_is_kept_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Crashed, match=r"^KeyError in work$") as raised:
        perform("work", RESPONSE, answer(KeyError("a prompt")))
    assert raised.value.__suppress_context__
    crashed, line = told(caplog)
    assert (crashed["msg"], crashed["error"]) == ("crashed", "KeyError")
    assert any("test_entry.py" in place for place in crashed["where"])
    assert (line["msg"], line["error"]) == ("work", "KeyError")
    assert "a prompt" not in f"{crashed} {line}"


async def models_of(environment: dict[str, str]) -> list[str]:
    """What /v1/models of a server lists, and which of two models answer."""
    app = authorized(build(environment))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api/v1") as client:
        listed = [each["id"] for each in (await client.get("/models")).json()["data"]]
        for model in ("offline/demo", "demo"):
            answer = await client.post("/responses", json={"model": model, "input": "Hello", "store": False})
            listed.append(f"{model}: {answer.status_code} {(answer.json()['error'] or {}).get('code', '')}".strip())
        return listed


async def test_the_offline_model_is_there_only_where_it_is_the_default() -> None:
    assert await models_of({}) == ["offline/demo", "offline/demo: 200", "demo: 200"]
    elsewhere = {"OPENRESPONSES_DEFAULT_PROVIDER": "openai"}
    assert await models_of(elsewhere) == ["offline/demo: 404 model_not_found", "demo: 404 model_not_found"]


@pytest.mark.parametrize("given", [{}, {"OPENRESPONSES_LOCAL_AWS": ""}])
def test_a_deployment_keeps_its_own_credentials(given: dict[str, str]) -> None:
    environment = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "of the role", **given}
    before = dict(environment)
    use_local_aws(environment)
    assert environment == before


def test_under_sam_local_those_of_the_local_cloud_are_used() -> None:
    local = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    environment = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "mine", "OPENRESPONSES_LOCAL_AWS": json.dumps(local)}
    use_local_aws(environment)
    assert environment.items() >= local.items()
