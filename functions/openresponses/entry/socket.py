"""The door of the WebSocket API: the function of its routes $connect, $disconnect and $default.

It runs on the stock runtime, and parses no request: a worker does that, which it invokes.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html
"""

import asyncio
import json
import os
import secrets
import time
from functools import cache, partial
from typing import Any, Literal, NotRequired, TypedDict

from ..aws.clients import Aws
from ..aws.invocations import start
from ..aws.parameters import SsmParameters
from ..client_keys import ClientKey
from ..routing.cipher import Box, kept_in
from ..socket.door import Arrived, Door
from ..socket.envelope import About, Heir
from ..storage.dynamodb.client_keys import find_key
from ..storage.dynamodb.sockets import dynamo_sockets
from .connections import connections_at
from .local_aws import use_local_aws


class RequestContext(TypedDict):
    """Times are milliseconds since 1970. `authorizer` is the context that ours gave at $connect.

    `routeKey` is not looked at. API Gateway takes the route whose key a message's `type` has, and the documentation
    doesn't say that `$connect` is none for it:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-routes.html
    """

    eventType: Literal["CONNECT", "MESSAGE", "DISCONNECT"]
    connectionId: str
    connectedAt: int
    requestTimeEpoch: int
    domainName: str
    stage: str
    authorizer: dict[str, Any]
    messageId: NotRequired[str]


class SocketEvent(TypedDict):
    requestContext: RequestContext
    headers: NotRequired[dict[str, str]]
    body: NotRequired[str | None]
    isBase64Encoded: NotRequired[bool]


def handler(event: SocketEvent, context: object) -> dict[str, int]:
    """An answer of 200: at $connect any other refuses the connection. Raises what storage raises at $connect."""
    asked = event["requestContext"]
    tenant, kind = asked["authorizer"]["tenant"], asked["eventType"]
    outcome = _runner.run(_perform(event, tenant))
    line = {"tenant": tenant, "key_id": asked["authorizer"]["key_id"], "connection_id": asked["connectionId"]}
    print(json.dumps({"level": "INFO", "message": "socket", "event": kind, "outcome": outcome, **line}))
    return {"statusCode": 200}


async def _perform(event: SocketEvent, tenant: str) -> str:
    asked = event["requestContext"]
    door = _door(asked["authorizer"], asked["connectionId"], f"https://{asked['domainName']}/{asked['stage']}")
    match asked["eventType"]:
        case "CONNECT":
            await door.connect(_about(event))
            return "connected"
        case "DISCONNECT":
            await door.disconnect()
            return "disconnected"
        case "MESSAGE":
            text = None if event.get("isBase64Encoded") else event.get("body") or ""
            connected = asked["connectedAt"] / 1000
            message_id = f"{asked['requestTimeEpoch']:015d}#{asked.get('messageId') or secrets.token_hex(8)}"
            key_id = asked["authorizer"]["key_id"]
            return await door.take(Arrived(asked["connectionId"], message_id, tenant, key_id, connected, text))


def _about(event: SocketEvent) -> About:
    asked = event["requestContext"]
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    match headers.get("openresponses-event-names"):
        case "openai":
            names: Literal["openai", "open_responses", ""] = "openai"
        case "open_responses":
            names = "open_responses"
        case _:
            names = ""
    endpoint = f"https://{asked['domainName']}/{asked['stage']}"
    return {"connected": asked["connectedAt"] / 1000, "endpoint": endpoint, "names": names}


def _door(told: dict[str, Any], connection_id: str, endpoint: str) -> Door:
    """`told` is what the authorizer said of the caller."""
    tenant: str = told["tenant"]
    sockets = dynamo_sockets(
        _aws,
        table=_table,
        bucket=os.environ.get("OPENRESPONSES_BUCKET", ""),
        tenant=tenant,
        connection_id=connection_id,
        box_of=partial(Box, _keys()),
        now=time.time,
    )

    async def invoke(heir: Heir) -> None:
        payload = {"tenant": tenant, "connection_id": connection_id, **heir}
        await start(_aws, os.environ["OPENRESPONSES_SOCKET_WORKER"], payload)

    client = _connections(endpoint).of(connection_id)
    return Door(sockets, client, partial(_find, told), invoke, time.time, lambda: secrets.token_hex(16))


async def _find(told: dict[str, Any], key_id: str) -> ClientKey | None:
    """A key is looked up anew. Whoever came with a token may go on until it expires."""
    if expires_at := told.get("expires_at"):
        return ClientKey(key_id, "", told["tenant"], expires_at=int(expires_at))
    return await _aws.run(lambda: find_key(_aws.client("dynamodb"), _table, key_id))


@cache
def _keys():
    prefix, key = (
        os.environ.get("OPENRESPONSES_SSM_PREFIX", "").rstrip("/"),
        os.environ.get("OPENRESPONSES_KEY_ARN", ""),
    )
    return kept_in(SsmParameters(_aws, f"{prefix}/", time.monotonic, seconds=_seconds, key=key))


use_local_aws(os.environ)
_region, _table = os.environ.get("AWS_REGION", "us-east-1"), os.environ.get("OPENRESPONSES_TABLE", "")
_seconds = int(os.environ.get("OPENRESPONSES_CONFIG_SECONDS") or 60)
_aws = Aws(_region)
_connections = cache(partial(connections_at, os.environ, _region))
_runner = asyncio.Runner()
