"""API Gateway in front of the functions: an ASGI app that turns requests into invocations and streams the answers.

A function does not learn that its client left; it runs to its end, as on AWS.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping

from openresponses_dev.local.background import Background
from openresponses_dev.local.gateway.answers import Head, Malformed, own_answer, prepended, read_buffered, read_prelude
from openresponses_dev.local.gateway.gatekeeper import Denied, Gatekeeper
from openresponses_dev.local.gateway.http_exchange import ClientLeft, Exchange, Message, Receive, Send
from openresponses_dev.local.gateway.own_pages import OwnPages
from openresponses_dev.local.gateway.rest_event import Routes, rest_event
from openresponses_dev.local.gateway.visitors import Turned, Visitors
from openresponses_dev.local.logs import Log
from openresponses_dev.local.sandbox.calls import Call, EventTooLarge, InvokeError
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.template.template import Api, Route, Template

IDLE_TIMEOUT_S = 300.0  # of a Regional endpoint
QUEUE_S = 1.0
"""How long a request waits for a sandbox. Lambda refuses at once, but has a thousand of them."""
_NO_API = Api("ServerlessRestApi", "Prod", {})  # what SAM makes for events that name no API

_CLOSING = (
    Head(503, [("content-type", "application/json"), ("retry-after", "1"), ("connection", "close")]),
    b'{"error": {"message": "The local cloud restarts: try again", "type": "server_error", "param": null, '
    b'"code": "restarting"}}',
)


class Gateway:
    """`idle_timeout_s` is the silence after which a stream is cut. `pages` are the local cloud's own.
    `visitors` are the web pages that may call. A request waits `queue_s` for a function at its limit.
    """

    def __init__(
        self,
        template: Template,
        functions: Mapping[str, Function],
        *,
        background: Background,
        log: Log,
        visitors: Visitors,
        pages: OwnPages,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        queue_s: float = QUEUE_S,
    ) -> None:
        self._pages, self._visitors = pages, visitors
        self._apis, self._functions = template.apis, functions
        self._gatekeeper = Gatekeeper(functions, queue_s)
        self._routes = Routes(template.routes)
        self._background, self._log = background, log
        self._idle_timeout_s, self._queue_s = idle_timeout_s, queue_s
        self.closing = False
        """No function runs any more: whoever asks is told to come again."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        try:
            own_page = self._pages.private(exchange.request.path)
            self._visitors.check(exchange.request, scope["server"][1], own_page=own_page)
            await self._serve(exchange)
        except ClientLeft:
            pass
        except Turned as turned:
            await exchange.whole(Head(403, [("content-type", "application/json")]), turned.document())
            self._log.say(f"{exchange}  403  {turned}", failed=True)
        except Exception as error:
            self._log.say(f"{exchange}  the gateway failed: {type(error).__name__}: {error}", failed=True)
            raise

    async def _serve(self, exchange: Exchange) -> None:
        request = exchange.request
        if self.closing:
            await exchange.whole(*_CLOSING)
            return None
        matched = self._routes.match(request.method, request.path)
        if page := await self._pages.answer(request, routed=matched is not None):
            return await exchange.whole(*page)
        if matched is None:
            api = next(iter(self._apis.values()), _NO_API)
            return await self._refuse(exchange, "MISSING_AUTHENTICATION_TOKEN", api, "no such route")
        route, parameters = matched
        api = self._apis.get(route.api, _NO_API)
        if not await exchange.read_body():
            return await self._refuse(exchange, "REQUEST_TOO_LARGE", api, "the body is above 10 MB")
        try:
            authorizer = await self._gatekeeper.admit(request, route, api.stage)
        except Denied as denied:
            return await self._refuse(exchange, denied.kind, api, self._why(denied))
        # Not escaped for ASCII, as on AWS: that would count against the limit.
        event = json.dumps(rest_event(request, route, parameters, api.stage, authorizer), ensure_ascii=False)
        try:
            function = self._functions[route.function]
            call = await function.invoke_soon(event.encode(), request.trace_id, patience_s=self._queue_s)
        except EventTooLarge as error:
            return await self._refuse(exchange, "REQUEST_TOO_LARGE", api, str(error))
        except InvokeError as error:  # API Gateway does not pass Lambda's 429 on
            return await self._refuse(exchange, "INTEGRATION_FAILURE", api, f"{error.error_type}: {error}", 500)
        return await self._forward(call, route, api, exchange)

    def _why(self, denied: Denied) -> str:
        reason = self._log.history.refusal(denied.key_id)
        return f"{denied} ({reason})" if reason else str(denied)

    async def _refuse(self, exchange: Exchange, kind: str, api: Api, why: str, status: int | None = None) -> None:
        await exchange.whole(*own_answer(kind, exchange.request, api.responses, status))
        self._log.say(f"{exchange}  {exchange.status}  {why}", failed=True)

    async def _forward(self, call: Call, route: Route, api: Api, exchange: Exchange) -> None:
        own: str | None = None
        try:
            async with asyncio.timeout(route.timeout_s):
                own = await self._answer(call, route, exchange)
        except TimeoutError:
            own = "INTEGRATION_TIMEOUT"
        except Malformed as error:
            self._log.say(f"{call.function} answered what a proxy integration may not: {error}", failed=True)
            own = "API_CONFIGURATION_ERROR" if route.streaming and not call.error else "INTEGRATION_FAILURE"
        if own and not exchange.begun:
            await exchange.whole(*own_answer(own, exchange.request, api.responses))
        if call.ended:
            self._report(call, exchange)
            return
        # The gateway gave up; the function does not notice. Only our return closes the connection.
        self._background.spawn(self._outlive(call, exchange), f"rest of {call.function}")

    async def _answer(self, call: Call, route: Route, exchange: Exchange) -> str | None:
        """The gateway response type to give instead, if any. Raises TimeoutError, Malformed."""
        chunks = self._until_idle(call.chunks())
        first = await anext(chunks, None)
        if first is None:
            return "INTEGRATION_FAILURE"
        if not route.streaming:
            return await self._answer_buffered(call, prepended(first, chunks), exchange)
        head, rest = await read_prelude(prepended(first, chunks))
        await exchange.begin(head)
        await exchange.write(rest)
        async for chunk in chunks:
            await exchange.write(chunk)
        if call.error:
            return "INTEGRATION_FAILURE"  # too late to be given: the connection is cut
        return await exchange.end()

    async def _answer_buffered(self, call: Call, chunks: AsyncGenerator[bytes, None], exchange: Exchange) -> str | None:
        payload = b"".join([chunk async for chunk in chunks])
        if call.error:
            return "INTEGRATION_FAILURE"
        if not call.streaming:
            return await exchange.whole(*read_buffered(payload))
        self._log.say(f"{call.function} streams, the route does not: the body is lost", failed=True)
        head, _ = await read_prelude(prepended(payload))
        return await exchange.whole(head, b"")

    async def _until_idle(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        while True:
            async with asyncio.timeout(self._idle_timeout_s):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk

    async def _outlive(self, call: Call, exchange: Exchange) -> None:
        async for _ in call.chunks():
            pass
        self._report(call, exchange)

    def _report(self, call: Call, exchange: Exchange) -> None:
        status = str(exchange.status) + ("" if exchange.complete else " aborted")
        self._log.say(call.summary(str(exchange), status), failed=call.error is not None or not exchange.complete)
