"""Errors as HTTP answers, in the standard body: `{"error": {"message", "type", "param", "code"}}`."""

from typing import ClassVar

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import telemetry
from ..core.errors import ConversationLocked, KitError, LimitReached, ProviderThrottled, Unauthorized
from .headers import refused_by


def error_body(error: KitError) -> dict[str, dict[str, str | None]]:
    return {
        "error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code},
    }


def error_response(error: KitError) -> Response:
    headers: dict[str, str] = {}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, LimitReached):
        headers |= refused_by(error)
    elif isinstance(error, ProviderThrottled) and error.retry_after is not None:
        headers["retry-after"] = str(max(0, round(error.retry_after)))
    elif error.status >= 500 or isinstance(error, ConversationLocked):  # as API Gateway's own, by the template
        headers["retry-after"] = "1"
    return JSONResponse(error_body(error), status_code=error.status, headers=headers)


def request_id(scope: Scope) -> str:
    """The Lambda request id; empty outside Lambda."""
    return getattr(scope.get("aws.context"), "aws_request_id", "")


async def refuse(request: Request, error: Exception) -> Response:
    """Answer a KitError."""
    assert isinstance(error, KitError)
    telemetry.refused(request_id(request.scope), error)
    return error_response(error)


class BugGuard:
    """A bug before the first byte is answered with a 500 in the standard body. The runtime reports a later one.

    Every answer says what the logs call its request, if there is a name.
    """

    INTERNAL: ClassVar[KitError] = KitError("The server had an error while processing the request")

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, name = False, request_id(scope)

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            if name and message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("x-request-id", name)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            telemetry.crashed(name, error)
            if started:
                raise
            await error_response(self.INTERNAL)(scope, receive, watched)
