"""Calls to AWS from the event loop: in threads, with errors of our own. Knows nothing of responses."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, TypeVar

from ..core.errors import StorageUnavailable
from .session import Service, make_client

T = TypeVar("T")

_READ_TIMEOUT: dict[Service, float] = {
    "dynamodb": 5.0,
    "lambda": 330.0,  # longer than any caller waits: a call that was given up must not be made again
    "s3": 30.0,
    "ssm": 5.0,
    "stepfunctions": 10.0,
}
_BUSY = {
    "BandwidthLimitExceeded",
    "ExecutionLimitExceeded",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionConflictException",
    "TransactionInProgressException",
}


class Refused(Exception):
    """AWS refused a call. `code` is AWS's error code; `item` is the item that failed a condition, else empty."""

    def __init__(self, code: str, message: str, item: dict[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.item = code, item


class Aws:
    """Makes a client when it is first needed. A call is tried `attempts` times in all; `threads` calls run at once."""

    def __init__(self, region: str, *, attempts: int = 4, threads: int = 16) -> None:
        self._region, self._attempts, self._threads = region, attempts, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aws")
        self._making = threading.Lock()
        self._clients: dict[Service, Any] = {}

    async def call(self, service: Service, operation: str, /, **parameters: object) -> dict[str, Any]:
        """Raises StorageUnavailable if AWS does not answer, is busy or fails; Refused if it rejects the call."""
        return await self.run(lambda: getattr(self.client(service), operation)(**parameters))

    async def run(self, function: Callable[[], T]) -> T:
        """Run `function` in a thread. Raises as `call` does."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function)
        except Exception as error:
            raise _translated(error) from error

    def client(self, service: Service) -> Any:
        """Takes half a second the first time: not for the event loop."""
        with self._making:
            if service not in self._clients:
                self._clients[service] = make_client(
                    service,
                    self._region,
                    read_timeout=_READ_TIMEOUT[service],
                    attempts=self._attempts,
                    connections=self._threads,
                )
            return self._clients[service]

    def close(self) -> None:
        self._pool.shutdown()
        for client in self._clients.values():
            client.close()


def _translated(error: Exception) -> Exception:
    errors = import_module("botocore.exceptions")
    if isinstance(error, errors.ClientError):
        return _error_of(getattr(error, "response", {}))
    if isinstance(error, (errors.HTTPClientError, errors.ConnectionError, errors.IncompleteReadError)):
        return StorageUnavailable("Storage did not answer: try again")
    return error


def _error_of(answer: dict[str, Any]) -> Exception:
    code = str(answer.get("Error", {}).get("Code", ""))
    item: dict[str, Any] = answer.get("Item", {})
    busy = code in _BUSY
    if code == "TransactionCanceledException":
        failed = [each for each in answer.get("CancellationReasons", []) if each["Code"] == "ConditionalCheckFailed"]
        busy = not failed
        code, item = ("ConditionalCheckFailedException", failed[0].get("Item", {})) if failed else (code, item)
    if busy or answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
        error = StorageUnavailable("Storage is busy or failing: try again")
        error.nothing_done = code in ("TransactionCanceledException", "TransactionConflictException")  # it met another
        return error
    return Refused(code, str(answer.get("Error", {}).get("Message", "")), item)
