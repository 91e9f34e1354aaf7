"""Frames to the clients of a WebSocket API, over its management API. Knows nothing of what is in them.

botocore signs the requests, and does not send them: its client would take a thread and four times the CPU for each.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-control-access-iam.html
"""

import asyncio
from contextlib import suppress
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from ..core.errors import ConnectionGone
from ..transport.errors import TimedOut, TransportError, Unreachable
from ..transport.http import KEEP_ALIVE_SECONDS, tls
from ..transport.links import Links, Request
from .session import session, session_lock
from .signing import signed

_SERVICE = "execute-api"
_CONNECT_SECONDS, _SECONDS = 2.0, 10.0
_TRIES, _FIRST_WAIT = 7, 0.05
"""A client that reads nothing for the sum of the waits, 3 seconds, is as good as gone."""


class Connections:
    """`endpoint` is that of the API's stage. A frame is sent again only where API Gateway says that it took none: it
    would otherwise arrive twice.
    """

    def __init__(self, region: str, endpoint: str) -> None:
        self._region, self._url = region, urlsplit(endpoint.rstrip("/"))
        self._credentials: Any = None

    async def post(self, connection_id: str, frame: bytes) -> None:
        """Raises ConnectionGone."""
        await self._called("POST", connection_id, frame)

    async def close(self, connection_id: str) -> None:
        """Raises ConnectionGone."""
        await self._called("DELETE", connection_id, b"")

    def of(self, connection_id: str) -> "Connection":
        return Connection(self, connection_id)

    def hang_up(self) -> None:
        self._links.close()

    @cached_property
    def _links(self) -> Links:
        secure = self._url.scheme == "https"
        return Links(
            self._url.hostname or "",
            self._url.port or (443 if secure else 80),
            tls() if secure else None,
            seconds=KEEP_ALIVE_SECONDS,
            timeout=_CONNECT_SECONDS,
            repeats=False,
        )

    async def _called(self, method: Literal["POST", "DELETE"], connection_id: str, body: bytes) -> None:
        """GoneException is a 410. LimitExceededException is a 429: the client's buffer is full."""
        origin = f"{self._url.scheme}://{self._url.netloc}"
        target = f"{self._url.path}/@connections/{quote(connection_id, safe='')}"
        credentials = await self._frozen_credentials()
        for attempt in range(_TRIES):
            headers = signed(method, f"{origin}{target}", body, _SERVICE, self._region, credentials)
            status = await self._answered(Request(origin, target, headers, body, method))
            if 200 <= status < 300:
                return
            if not (status == 0 or status == 429 or status >= 500):
                break
            if attempt < _TRIES - 1:
                await asyncio.sleep(_FIRST_WAIT * 2**attempt)
        raise ConnectionGone("The client can't be reached")

    async def _answered(self, request: Request) -> int:
        """The status; 0 if nothing was sent. Raises ConnectionGone if nobody knows what became of it."""
        until = asyncio.get_running_loop().time() + _SECONDS
        try:
            answer = await self._links.send(request, until)
        except (Unreachable, TimedOut):
            return 0
        except (TransportError, TimeoutError):
            raise ConnectionGone("The client can't be reached") from None
        with suppress(TransportError, TimeoutError):
            while await answer.read(until):
                pass
        answer.done()
        return answer.status

    async def _frozen_credentials(self) -> Any:
        """A function has them in its environment: only the first look there takes time."""
        if self._credentials is None:
            self._credentials = await asyncio.to_thread(_found_credentials)
        return self._credentials.get_frozen_credentials()


class Connection:
    """The client of one connection."""

    def __init__(self, connections: Connections, connection_id: str) -> None:
        self._connections, self._id = connections, connection_id

    async def post(self, frame: bytes) -> None:
        await self._connections.post(self._id, frame)

    async def close(self) -> None:
        await self._connections.close(self._id)


def _found_credentials() -> Any:
    with session_lock:
        return session().get_credentials()
