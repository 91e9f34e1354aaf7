"""`openresponses doctor`: what it sees, what mends it, and that nothing stops it."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from openresponses_dev.local.address import DEV_URL
from tests.manage.aws_stack import REGION
from tests.manage.conftest import UPSTREAM_KEY, Aws, Cloud, run

pytestmark = pytest.mark.xdist_group("manage")


def findings(text: str) -> dict[str, tuple[str, str]]:
    """(state, detail) by what it is about."""
    lines = [line for line in text.splitlines()[:-1] if line[0] != " "]
    return {line[9:33].strip(): (line[:9].strip(), line[33:]) for line in lines}


def client(aws: Aws, service: str) -> Any:
    keys = aws.users["admin"]
    return boto3.client(
        service,
        endpoint_url=aws.endpoint,
        region_name=REGION,
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )


def test_a_local_cloud_is_well(cloud: Cloud) -> None:
    words = (
        "providers",
        "set",
        "well",
        "--dialect",
        "chat_completions",
        "--base-url",
        cloud.upstream,
        "--model",
        "text",
    )
    assert cloud.run(*words, stdin=UPSTREAM_KEY).status == 0
    done = cloud.run("doctor", "--live")
    found = findings(done.out)
    assert found["deployment"] == ("ok", f"the local cloud at {cloud.origin}")
    for about in ("table", "table's expiry", "bucket", "state machine", "default provider", "health", "without a key"):
        assert found[about][0] == "ok", done.out
    assert found["provider well"] == ("ok", f"chat_completions {cloud.upstream}")
    assert found["well answers"][0] == "ok"
    assert UPSTREAM_KEY not in done.out


def test_each_thing_that_is_wrong_is_found_with_what_mends_it(aws: Aws, cloud: Cloud) -> None:
    ssm = client(aws, "ssm")
    put = {
        "providers/open": ("String", {"dialect": "offline"}),
        "providers/typo": ("SecureString", {"dialect": "offline", "apikey": "hidden"}),
        "providers/mine": ("SecureString", {"dialect": "chat_completions", "base_url": "http://127.0.0.1:11434/v1"}),
        "models/odd": ("String", {"target": "open/demo"}),
        "models/lost": ("String", {"targets": ["nowhere/x", "open/demo"]}),
        "tools/odd": ("String", {"description": "It names no function."}),
        "tools/web_search": ("String", {"backend": "exa", "key": "hidden"}),
    }
    for name, (kind, document) in put.items():
        ssm.put_parameter(Name=f"/mine/{name}", Type=kind, Value=json.dumps(document))
    try:
        done = aws.run("doctor")
    finally:
        ssm.delete_parameters(Names=[f"/mine/{name}" for name in put])
    found = findings(done.out)
    assert done.status == 1
    assert {about for about, (state, _) in found.items() if state == "problem"} == {
        "table's expiry",  # the stand-in's stack has none
        "provider open",
        "provider typo",
        "default provider",
        "alias odd",
        "alias lost",
        "tool odd",
        "tool web_search",  # no SecureString
        "client keys",
    }
    assert found["credentials"] == ("ok", "arn:aws:iam::123456789012:user/admin")
    assert {line.split()[-1] for line in done.out.splitlines() if line.startswith("ok       function ")} == {
        "ApiFunction",
        "SocketWorkerFunction",
    }
    assert found["sealing key"][0] == "note"
    assert found["provider mine"][0] == "note"  # 127.0.0.1, from AWS
    for mend in ("providers set openai", "keys create --tenant default", "models alias odd TARGET..."):
        assert f"  try:                  openresponses {mend} --stack openresponses" in done.out
    assert done.out.splitlines()[-1] == "9 problems"
    assert "hidden" not in done.out


def test_a_websocket_that_is_well_is_told_and_what_is_wrong_with_it_is_found(aws: Aws, cloud: Cloud) -> None:
    gateway, functions = client(aws, "apigatewayv2"), client(aws, "lambda")
    (api,) = [each["ApiId"] for each in gateway.get_apis()["Items"]]
    url = cloud.base_url.replace("http", "ws", 1)
    well = {about: told for about, told in findings(aws.run("doctor").out).items() if "ocket" in about}
    assert well == {
        "WebSocket": ("ok", f"{url}/responses"),
        "WebSocket's routes": ("ok", "a key opens a socket"),
        "WebSocket's worker": ("ok", "answers a message once"),
        "a socket without a key": ("ok", "is not opened (401)"),
    }
    (connect,) = [each["RouteId"] for each in gateway.get_routes(ApiId=api)["Items"] if each["RouteKey"] == "$connect"]
    worker = "openresponses-socket"
    gateway.update_route(ApiId=api, RouteId=connect, AuthorizationType="NONE")
    gateway.delete_stage(ApiId=api, StageName="responses")
    functions.delete_function_event_invoke_config(FunctionName=worker)
    try:
        found = findings(aws.run("doctor").out)
    finally:
        gateway.update_route(ApiId=api, RouteId=connect, AuthorizationType="CUSTOM")
        gateway.create_stage(ApiId=api, StageName="responses", AutoDeploy=True)
        functions.put_function_event_invoke_config(FunctionName=worker, MaximumRetryAttempts=0)
    assert found["WebSocket"] == ("problem", "has no stage responses: no client finds it")
    assert found["WebSocket's routes"] == ("problem", "let sockets in by NONE, and not by a key")
    assert found["WebSocket's worker"] == ("problem", f"{worker} is run again up to 2 times for one message")


CALLED = "cohere.command-r-v1:0"
SUBSCRIBED = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
NEW = "anthropic.claude-opus-9-v1:0"


def test_what_bedrock_wants_once_is_told_for_each_model_that_is_named(aws: Aws) -> None:
    ssm = client(aws, "ssm")
    models = ["eu.amazon.nova-micro-v1:0", SUBSCRIBED, CALLED, "arn:aws:bedrock:eu-west-1:1:inference-profile/x"]
    put = {
        "providers/ours": ("SecureString", {"dialect": "bedrock", "models": models}),
        "providers/theirs": ("SecureString", {"dialect": "bedrock", "api_key": "hidden", "models": [f"us.{CALLED}"]}),
        "providers/bare": ("SecureString", {"dialect": "bedrock"}),
        "models/clever": ("String", {"targets": [f"ours/{NEW}"]}),
    }
    for name, (kind, document) in put.items():
        ssm.put_parameter(Name=f"/mine/{name}", Type=kind, Value=json.dumps(document))
    try:
        done, reader = aws.run("doctor"), aws.run("doctor", user="reader")
    finally:
        ssm.delete_parameters(Names=[f"/mine/{name}" for name in put])
    found = [line.split(maxsplit=2) for line in done.out.splitlines() if " subscription " in line]
    assert [(state, detail.split()[0].rstrip(":")) for state, _, detail in found] == [
        ("note", "bare"),
        ("ok", models[0]),
        ("ok", SUBSCRIBED),
        ("problem", CALLED),
        ("note", models[3]),
        ("problem", NEW),
    ]
    assert f"aws bedrock-runtime converse --region {REGION} --model-id {CALLED} --messages" in done.out
    assert "aws-marketplace:Subscribe and aws-marketplace:ViewSubscriptions" in done.out
    assert findings(done.out)["Anthropic's form"][0] == "note"
    unseen = findings(reader.out)["subscription"]
    assert unseen == ("note", f"{NEW}: can't be seen: you may not bedrock:GetFoundationModelAvailability")


def test_what_the_account_may_read_of_the_parameter_store_is_told(aws: Aws) -> None:
    enough = "enough for 300 busy sandboxes"  # 40 calls a second; three listings each, every 22.5 of its 30 seconds
    state, detail = findings(aws.run("doctor").out)["Parameter Store"]
    assert (state, detail) == ("note", f"40 reads a second for all that the account does, its default: {enough}")
    state, detail = findings(aws.run("doctor", user="reader").out)["Parameter Store"]
    assert (state, detail) == ("note", "its throughput can't be seen: you may not ssm:GetServiceSetting")


def test_a_missing_permission_is_one_finding_and_the_rest_goes_on(aws: Aws) -> None:
    done = aws.run("doctor", user="reader")
    found = findings(done.out)
    assert found["table's expiry"] == ("problem", "you may not dynamodb:DescribeTimeToLive")
    assert found["functions"] == ("problem", "you may not lambda:GetFunctionConfiguration")
    assert found["bucket"][0] == found["health"][0] == "ok"


def test_without_credentials_or_a_stack_it_says_so_and_ends(aws: Aws) -> None:
    nobody = aws.run("doctor", user="nobody")
    assert (nobody.status, nobody.out.splitlines()[-1]) == (1, "1 problem")
    assert findings(nobody.out)["deployment"][1].startswith("no AWS credentials")

    missing = aws.run("doctor", "--stack", "other")
    assert findings(missing.out)["deployment"] == ("problem", f"there is no stack other in {REGION}")

    outsider = aws.run("doctor", user="outsider")
    assert findings(outsider.out)["deployment"] == ("problem", "you may not cloudformation:DescribeStacks")


def test_where_none_runs_in_this_folder_the_local_cloud_is_where_dev_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert DEV_URL in run("doctor", "--local").out


def test_no_local_cloud_is_a_finding_too() -> None:
    done = run("doctor", "--local", "http://127.0.0.1:9")
    assert (done.status, done.out.splitlines()[-1]) == (1, "1 problem")
