"""What an app sees of an event, and what becomes of an event that is not one."""

from __future__ import annotations

import base64
import json

import pytest

from tests.runtime.runtime_driver import ARN, Sandbox, rest_event


async def test_an_event_becomes_a_scope(sandbox: Sandbox) -> None:
    event = rest_event("/show", "text", method="PUT")
    answer = await sandbox.answer(event)

    shown = answer.json
    headers = [["host", "abc.execute-api.eu-west-1.amazonaws.com"], ["x-forwarded-proto", "https"]]
    assert {k: shown[k] for k in shown if k not in ("context", "path0")} == {
        "method": "PUT",
        "path": "/show",
        "root_path": "",
        "scheme": "https",
        "client": ["192.0.2.7", 0],
        "server": ["abc.execute-api.eu-west-1.amazonaws.com", 80],
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "state": {"started": 1},
        "query": "",
        "headers": headers,
        "body": "text",
        "event": event,
        "trace": "Root=1",
    }
    assert shown["context"] == {
        "id": answer.invocation.id,
        "arn": ARN,
        "name": "api",
        "memory": 1024,
        "in_time": True,
        "deadline_ms": answer.invocation.deadline_ms,
    }


async def test_the_task_root_comes_first_on_the_path(sandbox: Sandbox, tmp_path) -> None:
    assert (await sandbox.answer(rest_event("/show"))).json["path0"] == str(tmp_path / "task")


async def test_repeated_headers_are_pairs_and_cookies_are_one(sandbox: Sandbox) -> None:
    multi = {"Cookie": ["a=1", "b=2"], "If-None-Match": ['"x"', '"y"'], "Empty": None}
    event = rest_event("/show", headers={"Cookie": "b=2", "Only-Single": "1"}, multiValueHeaders=multi)

    assert (await sandbox.answer(event)).json["headers"] == [
        ["cookie", "a=1; b=2"],
        ["only-single", "1"],
        ["if-none-match", '"x"'],
        ["if-none-match", '"y"'],
    ]


async def test_a_binary_body_is_decoded(sandbox: Sandbox) -> None:
    event = rest_event("/show", base64.b64encode(bytes(range(256))).decode(), isBase64Encoded=True)

    assert (await sandbox.answer(event)).json["body"].encode("latin-1") == bytes(range(256))


async def test_a_query_keeps_its_repeated_and_its_special_values(sandbox: Sandbox) -> None:
    query = {"a": ["1", "2"], "include[]": ["x y&z=é"]}
    event = rest_event("/show", queryStringParameters={"a": "2"}, multiValueQueryStringParameters=query)

    assert (await sandbox.answer(event)).json["query"] == "a=1&a=2&include%5B%5D=x+y%26z%3D%C3%A9"


async def test_an_escaped_path_is_unescaped_once(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/sh%6Fw"))

    assert answer.json["path"] == "/show"


# What a custom domain does to an event's path: https://github.com/localstack/localstack/pull/12296
DOMAINS = {
    "no custom domain": ("", "/prod"),
    "neither base path nor stage": ("/prod", ""),
    "a base path and no stage": ("/ai/prod", ""),
    "a base path and a stage": ("/ai", ""),
}
RESOURCES = {
    "a resource of its own": ("/show", None),
    "a proxy resource": ("/{proxy+}", {"proxy": "show"}),
    "a parameter": ("/{name}", {"name": "show"}),
}


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("path", ["/show", "/sh%6Fw"])
async def test_a_custom_domain_does_not_change_the_path(
    sandbox: Sandbox, domain: str, resource: str, path: str
) -> None:
    before, stage = DOMAINS[domain]
    own, parameters = RESOURCES[resource]
    event = rest_event(f"{before}{path}", resource=own, pathParameters=parameters)
    event["requestContext"] |= {"stage": "prod", "path": f"{stage}{before}{path}"}

    assert (await sandbox.answer(event)).json["path"] == "/show"


@pytest.mark.parametrize("resource", ["/other", "/{proxy+}", "", None])
async def test_a_path_that_does_not_end_as_its_resource_is_left_alone(sandbox: Sandbox, resource: str | None) -> None:
    event = rest_event("/show", resource=resource, pathParameters={"proxy": "w"})

    assert (await sandbox.answer(event)).json["path"] == "/show"


async def test_context_variables_and_state_do_not_leak_into_the_next_invocation(sandbox: Sandbox) -> None:
    answers = [await sandbox.answer(rest_event("/remember")) for _ in range(2)]

    assert [answer.json for answer in answers] == [["nothing", "nothing"]] * 2


def without(name: str) -> dict:
    event = rest_event("/count", {"n": 0})
    del event[name]
    return event


MALFORMED = {
    "not JSON": (b"{", "it is not JSON"),
    "not UTF-8": (b"\xff\xfe\xff", "it is not JSON"),
    "a list": ([1], "it is list, not an object"),
    "null": (None, "it is NoneType, not an object"),
    "a direct invocation": ({}, "httpMethod is missing; path is missing; requestContext is missing"),
    "no method": (without("httpMethod"), "httpMethod is missing"),
    "no context": (without("requestContext"), "requestContext is missing"),
    "a path of the wrong type": (rest_event() | {"path": 7}, "path is int, not str"),
    "a body of the wrong type": (rest_event() | {"body": {"n": 1}}, "body is dict, not str"),
    "a resource of the wrong type": (rest_event() | {"resource": 7}, "resource is int, not str"),
    "a path parameter of the wrong type": (
        rest_event() | {"resource": "/{secret}", "pathParameters": {"secret": 7}},
        "TypeError in its headers, query, body or request context",
    ),
    "headers of the wrong type": (rest_event() | {"headers": ["a"]}, "headers is list, not dict"),
    "a header of the wrong type": (
        rest_event() | {"multiValueHeaders": {"secret": [7]}},
        "TypeError in its headers, query, body or request context",
    ),
    "not base64": (
        rest_event(body="secret?", isBase64Encoded=True),
        "Error in its headers, query, body or request context",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_a_malformed_event_is_refused_by_name_and_the_loop_goes_on(sandbox: Sandbox, case: str) -> None:
    event, message = MALFORMED[case]
    answer = await sandbox.answer(event)

    assert answer.error is not None
    assert answer.error["errorType"] == "Runtime.MalformedEvent"
    assert answer.error["errorMessage"] == f"not an API Gateway REST proxy event: {message}"
    assert (await sandbox.answer(rest_event("/count", {"n": 0}))).error is None
    [line] = sandbox.log()
    assert line["requestId"] == answer.invocation.id
    assert "secret" not in json.dumps(line) + json.dumps(answer.error)
