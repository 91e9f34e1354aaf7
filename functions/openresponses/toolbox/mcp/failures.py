"""What comes in the place of a tool's result. Each has the object that OpenAI shows as the `error` of an `mcp_call`
(openai.types.responses.mcp_tool_call_error). No message has a URL or a header: they may be secret.
"""

from http import HTTPStatus

from pydantic import JsonValue

from ...schema.base import JsonObject

MAX_MESSAGE = 1_000
"""Characters of what a server says about an error."""
PARSE_ERROR, INVALID_REQUEST, INVALID_PARAMS = -32700, -32600, -32602
HEADER_MISMATCH, CAPABILITY_MISSING, VERSION_UNSUPPORTED = -32020, -32021, -32022
MODERN = frozenset((HEADER_MISMATCH, CAPABILITY_MISSING, VERSION_UNSUPPORTED))
"""Errors that only a server of the stateless era has (2026-07-28, basic/transports/streamable-http, "Backward
Compatibility")."""


class McpFailure(Exception):
    """`message` says in words what went wrong: for a model, and for the client. `status` is the answer's, 0 without
    one.
    """

    kind = ""

    def __init__(self, code: int, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.code, self.message, self.status = int(code), message, status

    @property
    def error(self) -> JsonObject:
        return {"type": self.kind, "code": self.code, "message": self.message}


class HttpFailure(McpFailure):
    """No answer of the protocol came. `code` is the status, or the one that a gateway would give for what happened."""

    kind = "http_error"


class BrokenConnection(HttpFailure):
    pass


class ProtocolFailure(McpFailure):
    """The server answered with an error of JSON-RPC, or with what the protocol doesn't allow. `data` is the error's."""

    kind = "mcp_protocol_error"

    def __init__(self, code: int, message: str, status: int = 0, data: JsonValue = None) -> None:
        super().__init__(code, message, status)
        self.data = data


def timed_out(seconds: float) -> HttpFailure:
    return HttpFailure(HTTPStatus.GATEWAY_TIMEOUT, f"The server took longer than {seconds:g} seconds and was given up")


def unusable(message: str) -> HttpFailure:
    """Of an answer that can't be used, or none at all."""
    return HttpFailure(HTTPStatus.BAD_GATEWAY, message)
