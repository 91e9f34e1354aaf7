"""Frames to the clients of a WebSocket API, over its management API. Knows nothing of what is in them.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib import import_module
from typing import Any

from ..core.errors import ConnectionGone
from .session import make_client

_THREADS = 8
_TRIES, _FIRST_WAIT = 7, 0.05
"""A client that reads nothing for the sum of the waits, 3 seconds, is as good as gone."""


class Connections:
    """`endpoint` is that of the API's stage. A frame is sent again only where API Gateway says that it took none: it
    would otherwise arrive twice.
    """

    def __init__(self, region: str, endpoint: str | None) -> None:
        self._region, self._endpoint = region, endpoint
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="connections")

    async def post(self, connection_id: str, frame: bytes) -> None:
        """Raises ConnectionGone."""
        await self._called(lambda: self._client.post_to_connection(ConnectionId=connection_id, Data=frame))

    async def close(self, connection_id: str) -> None:
        """Raises ConnectionGone."""
        await self._called(lambda: self._client.delete_connection(ConnectionId=connection_id))

    def of(self, connection_id: str) -> "Connection":
        return Connection(self, connection_id)

    @cached_property
    def _client(self) -> Any:
        return make_client(
            "apigatewaymanagementapi",
            self._region,
            read_timeout=10.0,
            attempts=1,
            connections=_THREADS,
            endpoint=self._endpoint,
        )

    async def _called(self, call: Callable[[], object]) -> None:
        """GoneException is a 410. LimitExceededException is a 429: the client's buffer is full."""
        for attempt in range(_TRIES):
            try:
                await asyncio.get_running_loop().run_in_executor(self._pool, call)
            except Exception as error:
                if not _took_nothing(error) or attempt == _TRIES - 1:
                    raise ConnectionGone("The client can't be reached") from error
                await asyncio.sleep(_FIRST_WAIT * 2**attempt)
            else:
                return


class Connection:
    """The client of one connection."""

    def __init__(self, connections: Connections, connection_id: str) -> None:
        self._connections, self._id = connections, connection_id

    async def post(self, frame: bytes) -> None:
        await self._connections.post(self._id, frame)

    async def close(self) -> None:
        await self._connections.close(self._id)


def _took_nothing(error: Exception) -> bool:
    errors = import_module("botocore.exceptions")
    if isinstance(error, errors.ClientError):
        answer: dict[str, Any] = getattr(error, "response", {})
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status == 429 or status >= 500
    return isinstance(error, (errors.ConnectTimeoutError, errors.EndpointConnectionError))
