"""What the API refuses: the status, the standard body, and the field that it names."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from openresponses.core.settings import ProviderSettings
from openresponses.entry.api import build
from openresponses.routing.targets import Target
from openresponses.telemetry import answered
from tests.contract.authorized import authorized


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = authorized(build({"OPENRESPONSES_MAX_BODY_BYTES": "2000"}))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client:
        yield client


REFUSED_FIELDS = [
    ({"input": "hi"}, "model", "missing_required_parameter"),
    ({"model": "offline/demo"}, "input", "missing_required_parameter"),
    ({"model": "offline/demo", "input": 5}, "input", "invalid_value"),
    ({"model": "offline/demo", "input": [{"role": "user", "content": [{"type": "input_text"}]}]},
     "input[0].content[0].text", "missing_required_parameter"),
    ({"model": "offline/demo", "input": [{"role": "owner", "content": "x"}]}, "input[0].role", "invalid_value"),
    ({"model": "offline/demo", "input": [{"type": "mystery"}]}, "input[0].type", "invalid_value"),
    ({"model": "offline/demo", "input": [{"type": "function_call_output", "output": "x"}]},
     "input[0].call_id", "missing_required_parameter"),
    ({"model": "offline/demo", "input": "x", "tools": [{"type": "telepathy"}]}, "tools[0].type", "invalid_value"),
    ({"model": "offline/demo", "input": "x", "tools": [{"type": "file_search"}]}, "tools", "unsupported_tool"),
    ({"model": "offline/demo", "input": "x", "tools": [{"type": "function"}]}, "tools[0].name",
     "missing_required_parameter"),
    ({"model": "offline/demo", "input": "x", "tools": [{"type": "serverless:nope"}]}, "tools[0].type", "unknown_tool"),
    ({"model": "offline/demo", "input": "x", "tools": [{"type": "function", "name": "f"}] * 2}, "tools[1]",
     "duplicate_tool"),
    ({"model": "offline/demo", "input": "x", "tool_choice": "maybe"}, "tool_choice", "invalid_value"),
    ({"model": "offline/demo", "input": "x", "tool_choice": "required"}, "tool_choice", "invalid_value"),
    ({"model": "offline/demo", "input": "x", "tool_choice": {"type": "function", "name": "f"}}, "tool_choice",
     "invalid_value"),
    ({"model": "offline/demo", "input": "x", "temperature": 9}, "temperature", "invalid_value"),
    ({"model": "offline/demo", "input": "x", "max_output_tokens": 1}, "max_output_tokens", "invalid_value"),
    ({"model": "offline/demo", "input": "x", "max_tool_calls": 0}, "max_tool_calls", "invalid_value"),
    ({"model": "offline/demo", "input": "x", "metadata": {"a": 1}}, "metadata.a", "invalid_value"),
    ({"model": "offline/demo", "input": "x", "text": {"format": {"type": "json_schema", "name": "n"}}},
     "text.format.schema", "missing_required_parameter"),
    ({"model": "offline/demo", "input": "x", "prompt": {"id": "p"}}, "prompt.id", "prompt_not_found"),
    ({"input": "x", "prompt": {"id": "p"}}, "prompt.id", "prompt_not_found"),
    ({"model": "offline/demo", "input": "x", "prompt": {"version": "1"}}, "prompt.id", "missing_required_parameter"),
    ({"model": "offline/demo", "input": "x", "prompt": {"id": "p", "variables": {"v": {"type": "input_text"}}}},
     "prompt.variables.v.text", "missing_required_parameter"),
    ({"model": "offline/demo", "input": "x", "prompt": {"id": "p", "variables": {"v": 5}}}, "prompt.variables.v",
     "invalid_value"),
    ({"model": "offline/demo", "input": "x", "moderation": {"model": "m"}}, "moderation", "unsupported_parameter"),
    ({"model": "offline/demo", "messages": [{"role": "user", "content": "x"}]}, "messages", "unsupported_parameter"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "param", "code"), REFUSED_FIELDS, ids=[f"{p}-{c}" for _, p, c in REFUSED_FIELDS])
async def test_a_bad_body_names_the_offending_field(
    client: httpx2.AsyncClient, body: dict[str, object], param: str, code: str
) -> None:
    answer = await client.post("/v1/responses", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request", param, code)
    assert error["message"]


@pytest.mark.parametrize("content", [b"{bad", b"", b"[1]", b'"x"', b"\xff\xfe", b'{"model": "offline/demo", "input"'])
async def test_bad_json_is_a_400(client: httpx2.AsyncClient, content: bytes) -> None:
    answer = await client.post("/v1/responses", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, 404),
        ({"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, 400),
        ({"tools": [{"type": "mcp", "server_label": "s", "server_url": "https://[bad"}]}, 400),
        ({"input": [{"type": "agent_message", "author": "a", "recipient": "b", "content": [{"type": "input_image",
          "image_url": 5}]}]}, 200),
        ({"input": [{"type": "computer_call_output", "call_id": "c", "output": {"image_url": 5}}]}, 400),
    ],
)  # fmt: skip
async def test_no_body_is_a_bug_of_this_server(
    client: httpx2.AsyncClient, wrong: dict[str, object], status: int
) -> None:
    answer = await client.post("/v1/responses", json={"model": "offline/demo", "input": "x", **wrong})
    assert answer.status_code == status, answer.text


async def test_another_content_type_is_a_415(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/responses", content=b"model=x", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "unsupported_media_type"


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_content_types_are_accepted(client: httpx2.AsyncClient, content_type: str) -> None:
    body = b'{"model": "offline/demo", "input": "hi"}'
    answer = await client.post("/v1/responses", content=body, headers={"content-type": content_type})
    assert answer.status_code == 200


async def test_a_body_over_the_limit_is_a_413(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/responses", json={"model": "offline/demo", "input": "x" * 2000})
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("model", ["offline/other", "nowhere/demo", "gpt-4o"])
async def test_an_unknown_model_is_a_404(client: httpx2.AsyncClient, model: str) -> None:
    answer = await client.post("/v1/responses", json={"model": model, "input": "x"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("not_found", "model", "model_not_found")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer or_0123456789ab_x"}])
async def test_nobody_gets_in_whom_no_authorizer_let_in(headers: dict[str, str]) -> None:
    app = build({})
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client:
        for method, path in (("POST", "/v1/responses"), ("GET", "/v1/models"), ("GET", "/v1/responses/resp_1")):
            answer = await client.request(method, path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"]["code"] == "invalid_api_key"
        assert (await client.get("/health")).status_code == 200


async def test_a_key_sees_only_the_models_that_it_allows() -> None:
    app = build({})
    for models, listed, status in (
        ("", ["offline/demo"], 200),
        ("offline/*", ["offline/demo"], 200),
        ("gpt-*", [], 404),
    ):
        transport = httpx2.ASGITransport(authorized(app, models=models))
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
            assert [model["id"] for model in (await client.get("/v1/models")).json()["data"]] == listed
            answer = await client.post("/v1/responses", json={"model": "offline/demo", "input": "x"})
            missing = await client.post("/v1/responses", json={"model": "offline/none", "input": "x"})
            assert answer.status_code == status
            if status == 404:
                assert answer.text == missing.text.replace("offline/none", "offline/demo")


@pytest.mark.parametrize(("version", "status"), [("2026-04-24", 200), ("latest", 200), ("2025-01-01", 400)])
async def test_only_known_versions_are_spoken(client: httpx2.AsyncClient, version: str, status: int) -> None:
    body = {"model": "offline/demo", "input": "x"}
    answer = await client.post("/v1/responses", json=body, headers={"openresponses-version": version})
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error"]["code"] == "unsupported_version"


async def test_unknown_event_names_are_refused(client: httpx2.AsyncClient) -> None:
    headers = {"openresponses-event-names": "klingon"}
    answer = await client.post("/v1/responses", json={"model": "offline/demo", "input": "x"}, headers=headers)
    assert answer.json()["error"]["param"] == "openresponses-event-names"


async def test_unknown_paths_and_methods_are_answered_in_the_standard_body(client: httpx2.AsyncClient) -> None:
    nothing, wrong = await client.get("/v1/nope"), await client.get("/v1/responses/r/cancel")
    assert (nothing.status_code, nothing.json()["error"]["type"]) == (404, "not_found")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "OPTIONS, POST")


@dataclass
class Invocation:
    aws_request_id: str = "0f5e"


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/resp_1", "/v1/nope", "/v1/models", "/health"])
async def test_every_answer_says_what_the_logs_call_its_request(path: str) -> None:
    app = authorized(build({}))

    async def invoked(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "aws.context": Invocation()}, receive, send)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(invoked), base_url="http://api") as client:
        for method in ("GET", "POST"):
            assert (await client.request(method, path, json={})).headers["x-request-id"] == "0f5e"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_upstream_that_refuses_before_its_first_delta_is_an_http_error(
    client: httpx2.AsyncClient, stream: bool
) -> None:
    body = {"model": "offline/demo", "input": "[[error]]", "stream": stream}
    answer = await client.post("/v1/responses", json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    body["input"] = "[[throttle]]"
    answer = await client.post("/v1/responses", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "too_many_requests")


async def test_what_other_vendors_clients_send_is_tolerated(client: httpx2.AsyncClient) -> None:
    body = {
        "model": "offline/demo",
        "input": [
            {"type": "message", "role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "acme:note", "id": "n1", "status": "completed", "text": "?"},
        ],
        "client_metadata": {"x": "y"},
        "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
        "prompt_cache_retention": "24h",
        "store": False,
        "tools": [
            {"type": "function", "name": "f", "description": None, "parameters": None},
            {"type": "namespace", "name": "mcp__git", "tools": [{"type": "function", "name": "log"}]},
            {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark"}},
            {"type": "web_search", "external_web_access": False},
        ],
        "tool_choice": "none",
    }
    answer = await client.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    assert [tool["type"] for tool in answer.json()["tools"]] == ["function", "namespace", "custom"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("resp_1?stream=perhaps", "stream"),
        ("resp_1?stream=true&starting_after=-1", "starting_after"),
        ("resp_1?starting_after=x", "starting_after"),
        ("resp_1/input_items?limit=0", "limit"),
        ("resp_1/input_items?limit=101", "limit"),
        ("resp_1/input_items?order=up", "order"),
    ],
)
async def test_a_bad_query_names_the_offending_parameter(client: httpx2.AsyncClient, query: str, param: str) -> None:
    answer = await client.get(f"/v1/responses/{query}")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request", param, "invalid_value")
    assert error["message"].startswith(f"'{param}' must be ")


async def test_the_openapi_document_describes_the_routes(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert {"/v1/responses", "/v1/models", "/health"} <= set(document["paths"])
    assert {"CreateResponse", "Response", "Event"} <= set(document["components"]["schemas"])
    read, listed = (document["paths"][f"/v1/responses/{{response_id}}{end}"]["get"] for end in ("", "/input_items"))
    assert {(each["in"], each["name"]) for each in read["parameters"]} == {
        ("path", "response_id"),
        *(("query", name) for name in ("stream", "starting_after", "include", "include_obfuscation")),
    }
    assert [each["name"] for each in listed["parameters"]] == ["response_id", "limit", "order", "after", "before"]
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "openapi.json" in page.text


def counted(printed: str) -> list[dict[str, object]]:
    """The metrics that were printed, without their names' units."""
    lines = [json.loads(line) for line in printed.splitlines() if '"_aws"' in line]
    return [{name: value for name, value in line.items() if name not in ("_aws", "service")} for line in lines]


async def test_answers_and_failures_are_counted_by_target(
    client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await client.post("/v1/responses", json={"model": "demo", "input": "hi"})
    await client.post("/v1/responses", json={"model": "offline/demo", "input": "[[error]]"})
    answers = [each for each in counted(capsys.readouterr().out) if "model" in each]
    assert [each | {"AnswerDuration": None} for each in answers] == [
        {"provider": "offline", "model": "demo", "Answers": [1.0], "AnswerDuration": None},
        {"provider": "offline", "model": "demo", "AnswerErrors": [1.0], "AnswerDuration": None},
    ]


def test_models_that_only_clients_name_are_counted_together(capsys: pytest.CaptureFixture[str]) -> None:
    for model in ("one", "two"):
        answered(Target(ProviderSettings(name="p", dialect="x"), model, named=False), None, 0.5, instead=False)
    assert (
        counted(capsys.readouterr().out)
        == [{"provider": "p", "model": "other", "Answers": [1.0], "AnswerDuration": [500.0]}] * 2
    )


async def test_a_response_is_logged_and_counted_apart_from_its_request(
    client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    response = (await client.post("/v1/responses", json={"model": "offline/demo", "input": "hi"})).json()
    lines = {record.msg: vars(record) for record in caplog.records}
    assert lines["request"]["response_id"] == lines["response"]["response_id"] == response["id"]
    assert lines["request"]["tenant"] == lines["response"]["tenant"] == "default"
    used, line = response["usage"], lines["response"]
    assert (line["input_tokens"], line["output_tokens"]) == (used["input_tokens"], used["output_tokens"])
    assert (line["provider"], line["model"], line["asked"], line["turns"]) == ("offline", "demo", "offline/demo", 1)
    (metrics,) = [each for each in counted(capsys.readouterr().out) if "InputTokens" in each]
    assert (metrics["InputTokens"], metrics["Turns"]) == ([used["input_tokens"]], [1.0])


async def test_a_response_of_which_nothing_is_kept_counts_one_error(
    client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    await client.post("/v1/responses", json={"model": "offline/demo", "input": "[[error]]"})
    lines = {record.msg: vars(record) for record in caplog.records}
    assert (lines["response"]["status"], lines["response"]["error"]) == ("failed", "provider_unavailable")
    assert lines["response"]["kept"] is False
    assert lines["refused"]["code"] == "provider_unavailable"
    errors = [each for each in counted(capsys.readouterr().out) if "Errors" in each]
    assert errors == [{"error": "provider_unavailable", "Errors": [1.0]}]
