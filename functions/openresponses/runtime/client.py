"""The Runtime API as a client: one method per request, and the headers of each. Knows no ASGI.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and, for the streamed response,
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass

from .connection import Connection, Reply
from .faults import Fault

PREFIX = "/2018-06-01/runtime"
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
USER_AGENT = {"User-Agent": f"openresponses python/{sys.version_info.major}.{sys.version_info.minor}"}


class RefusedError(Exception):
    """The Runtime API answered with an error status."""


@dataclass(frozen=True, slots=True)
class Invocation:
    id: str
    payload: bytes
    headers: dict[str, str]  # lower-case names

    @property
    def echo(self) -> dict[str, str]:
        """The header that a response must repeat: it tells a retried invocation from the first one of the same id."""
        value = self.headers.get("lambda-runtime-invocation-id")
        return {} if value is None else {"Lambda-Runtime-Invocation-Id": value}


class Client:
    """The Runtime API over one connection. Raises RefusedError; OSError or EOFError if the API is gone."""

    def __init__(self, address: str) -> None:
        self.connection = Connection(address)

    async def next(self) -> Invocation:
        reply = _accepted(await self.connection.request("GET", f"{PREFIX}/invocation/next", USER_AGENT))
        return Invocation(reply.headers["lambda-runtime-aws-request-id"], reply.body, reply.headers)

    async def respond(self, invocation: Invocation, body: bytes) -> None:
        headers = USER_AGENT | invocation.echo | {"Content-Type": "application/json"}
        path = f"{PREFIX}/invocation/{invocation.id}/response"
        _accepted(await self.connection.request("POST", path, headers, body))

    async def open_stream(self, invocation: Invocation, prelude: bytes) -> None:
        headers = USER_AGENT | invocation.echo
        headers["Content-Type"] = "application/vnd.awslambda.http-integration-response"
        headers["Lambda-Runtime-Function-Response-Mode"] = "streaming"
        headers["Trailer"] = f"{ERROR_TYPE}, {ERROR_BODY}"
        await self.connection.post_stream(f"{PREFIX}/invocation/{invocation.id}/response", headers, prelude)

    async def end_stream(self, fault: Fault) -> None:
        body = base64.b64encode(fault.document()).decode()
        await self.connection.end({ERROR_TYPE: fault.type, ERROR_BODY: body})

    async def stream_accepted(self) -> None:
        _accepted(await self.connection.reply())

    async def fail(self, invocation: Invocation, fault: Fault) -> None:
        await self._fail(f"/invocation/{invocation.id}/error", fault, invocation.echo)

    async def fail_init(self, fault: Fault) -> None:
        await self._fail("/init/error", fault, {})

    def close(self) -> None:
        self.connection.close()

    async def _fail(self, path: str, fault: Fault, echo: dict[str, str]) -> None:
        headers = USER_AGENT | echo | {"Content-Type": "application/json", ERROR_TYPE: fault.type}
        _accepted(await self.connection.request("POST", PREFIX + path, headers, fault.document()))


def _accepted(reply: Reply) -> Reply:
    if not 200 <= reply.status < 300:
        raise RefusedError(f"the Runtime API answered {reply.status}: {reply.body[:500].decode('utf-8', 'replace')}")
    return reply
