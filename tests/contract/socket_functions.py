"""The WebSocket API's functions as Lambda runs them, with API Gateway's documented events: a process of its own.

moto plays the table, the bucket and the parameters; a server on loopback plays the management API
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html) and
Lambda's queue. It prints what became of it as JSON.
"""

from __future__ import annotations

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any
from urllib.parse import unquote

from moto import mock_aws

CONNECTION = "L0SM9cOFvHcCIhw="
posted: list[tuple[str, str, bytes]] = []
queued: list[Any] = []
answers: list[int] = []
"""Statuses of the next posts; 200 if there is none."""


class Plays(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if "/functions/" in self.path:
            assert self.headers["x-amz-invocation-type"] == "Event"
            queued.append(json.loads(body))
            status = 202
        else:
            status = answers.pop(0) if answers else 200
            if status == 200:
                posted.append((self.command, unquote(self.path), body))
        self.send_response(status)
        if status >= 400:
            self.send_header("x-amzn-ErrorType", {410: "GoneException", 429: "LimitExceededException"}[status])
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Says nothing."""


class Context:
    aws_request_id = "r"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def event(route: str, body: str | None = None, **more: Any) -> dict[str, Any]:
    """As https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
    and the examples of the developer guide have it.
    """
    kind = {"$connect": "CONNECT", "$disconnect": "DISCONNECT"}.get(route, "MESSAGE")
    context = {
        "routeKey": route,
        "eventType": kind,
        "extendedRequestId": "DB8BSG9yoAMEMQg=",
        "requestTime": "27/Nov/2026:16:00:00 +0000",
        "messageDirection": "IN",
        "stage": "responses",
        "connectedAt": int(time.time() * 1000),
        "requestTimeEpoch": int(time.time() * 1000),
        "identity": {"sourceIp": "127.0.0.1"},
        "requestId": "DB8BSG9yoAMEMQg=",
        "domainName": "abc.execute-api.us-east-1.amazonaws.com",
        "connectionId": CONNECTION,
        "apiId": "abc",
        "authorizer": {
            "principalId": "k" * 12,
            "tenant": "acme",
            "key_id": "k" * 12,
            "models": "",
            "reasoning": "",
            "integrationLatency": 4,
        },
        **({"messageId": f"m{time.monotonic_ns()}="} if kind == "MESSAGE" else {}),
    }
    return {"requestContext": context, "isBase64Encoded": False, **({} if body is None else {"body": body}), **more}


def create(**fields: Any) -> str:
    return json.dumps({"type": "response.create", "model": "offline/demo", "input": "hello", "store": False, **fields})


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plays)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    os.environ |= {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": address,
        "AWS_ENDPOINT_URL_LAMBDA": address,
        "OPENRESPONSES_TABLE": "responses",
        "OPENRESPONSES_BUCKET": "openresponses-values",
        "OPENRESPONSES_SSM_PREFIX": "/kit",
        "OPENRESPONSES_SOCKET_WORKER": "kit-socket",
        "OPENRESPONSES_DEFAULT_PROVIDER": "offline",
    }
    with mock_aws():
        print(json.dumps(played()))


def played() -> dict[str, Any]:
    import boto3

    from openresponses.client_keys import ClientKey
    from openresponses.storage.dynamodb.client_keys import revoke_key, store_key
    from tests.contract.storage_suite import BUCKET, TABLE

    dynamodb = boto3.client("dynamodb", region_name="us-east-1")
    dynamodb.create_table(**TABLE)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)
    store_key(dynamodb, "responses", ClientKey("k" * 12, "hash", "acme", mcp=("docs",)))
    door, worker = import_module("openresponses.entry.socket"), import_module("openresponses.entry.socket_worker")
    told: dict[str, Any] = {}

    def frames() -> list[dict[str, Any]]:
        found = [json.loads(body) if verb == "POST" else {"type": verb} for verb, _, body in posted]
        posted.clear()
        return found

    def turn(body: str, **more: Any) -> list[dict[str, Any]]:
        assert door.handler(event("$default", body, **more), Context()) == {"statusCode": 200}
        while queued:
            worker.handler(queued.pop(0), Context())
        return frames()

    told["connect"] = door.handler(event("$connect", headers={"OpenResponses-Event-Names": "openai"}), Context())
    first = turn(create())
    told["first"] = [frame["type"] for frame in first]
    told["second"] = turn(create(previous_response_id=first[-1]["response"]["id"]))[-1]["type"]
    own = {"type": "mcp", "server_label": "docs", "server_url": "https://mcp.example.com"}
    told["limited"] = [turn(create(tools=[tool])) for tool in (own, {"type": "mcp", "server_label": "team"})]
    routed = event("$default", create())
    routed["requestContext"]["routeKey"] = "$connect"  # as the `type` of a message may say
    door.handler(routed, Context())
    told["routed"] = len(queued)
    worker.handler(queued.pop(), Context())
    frames()
    told["binary"] = turn("aGVsbG8=", isBase64Encoded=True)
    door.handler(event("$default", create()), Context())
    payload = queued.pop()
    told["payload"] = sorted(payload)
    worker.handler({"requestPayload": payload, "requestContext": {"condition": "RetriesExhausted"}}, Context())
    queued.clear()  # as if it had died in between
    worker.handler({"requestPayload": {"requestPayload": payload}}, Context())
    told["replaced"] = len(queued)
    nested: Any = payload
    for _ in range(9):
        nested = {"requestPayload": nested}
    worker.handler(nested, Context())
    worker.handler(payload, Context())  # late
    told["late"] = frames()
    worker.handler(queued.pop(), Context())
    told["heir"] = frames()[-1]["type"]
    door.handler(event("$default", create(stream_id="given up")), Context())
    failed: Any = queued.pop()
    for _ in range(5):
        failed = {"requestPayload": failed}
    worker.handler(failed, Context())
    told["given_up"] = [frames(), len(queued)]
    answers[:] = [429, 429]
    told["slow"] = turn(create())[-1]["type"]
    answers[:] = [410]
    told["gone"] = turn(create())
    revoke_key(dynamodb, "responses", "k" * 12, time.time())
    door.handler(event("$default", create()), Context())
    told["revoked"] = [(verb, path) for verb, path, _ in posted]
    told["disconnect"] = door.handler(event("$disconnect"), Context())
    items = dynamodb.scan(TableName="responses")["Items"]
    told["kept"] = [item["sk"]["S"] for item in items if "/socket/" in item["pk"]["S"] and item["ttl"]["N"] != "0"]
    return told


if __name__ == "__main__":
    main()
