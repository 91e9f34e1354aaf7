"""The AWS clients of one sandbox: made when first needed, once, and called in threads. Knows nothing of responses."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, Literal, TypeAlias, TypeVar

from ..core.errors import StorageUnavailable

Service: TypeAlias = Literal["dynamodb", "s3", "ssm", "stepfunctions"]
T = TypeVar("T")

_READ_TIMEOUT: dict[Service, float] = {"dynamodb": 5.0, "s3": 30.0, "ssm": 5.0, "stepfunctions": 10.0}
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
    """AWS answered no. `code` is its word for why; `item` is what failed a condition, empty where there is none."""

    def __init__(self, code: str, message: str, item: dict[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.item = code, item


class Aws:
    """`attempts` is how often a call is tried in all; `threads` how many calls may be under way."""

    def __init__(self, region: str, *, attempts: int = 4, threads: int = 16) -> None:
        self._region, self._attempts, self._threads = region, attempts, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aws")
        self._making = threading.Lock()  # botocore's sessions are not thread-safe, its clients are
        self._clients: dict[Service, Any] = {}
        self._session: Any = None

    async def call(self, service: Service, operation: str, /, **parameters: object) -> dict[str, Any]:
        """Raises StorageUnavailable where AWS did not answer or could not, Refused where it would not."""
        return await self.run(lambda: getattr(self.client(service), operation)(**parameters))

    async def run(self, function: Callable[[], T]) -> T:
        """In a thread. Errors are translated as for `call`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function)
        except Exception as error:
            raise _translated(error) from error

    def client(self, service: Service) -> Any:
        """Takes half a second the first time: not for the event loop."""
        with self._making:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def _make(self, service: Service) -> Any:
        if self._session is None:
            self._session = import_module("botocore.session").get_session()
        config = import_module("botocore.config").Config(
            connect_timeout=2.0,
            read_timeout=_READ_TIMEOUT[service],
            max_pool_connections=self._threads,
            retries={"mode": "standard", "total_max_attempts": self._attempts},
            tcp_keepalive=True,
        )
        return self._session.create_client(service, region_name=self._region, config=config)

    def close(self) -> None:
        self._pool.shutdown()
        for client in self._clients.values():
            client.close()


def _translated(error: Exception) -> Exception:
    errors = import_module("botocore.exceptions")
    if isinstance(error, errors.ClientError):
        return _told(getattr(error, "response", {}))
    if isinstance(error, (errors.HTTPClientError, errors.ConnectionError, errors.IncompleteReadError)):
        return StorageUnavailable("Storage did not answer: try again")
    return error


def _told(answer: dict[str, Any]) -> Exception:
    code = str(answer.get("Error", {}).get("Code", ""))
    item: dict[str, Any] = answer.get("Item", {})
    busy = code in _BUSY
    if code == "TransactionCanceledException":
        failed = [each for each in answer.get("CancellationReasons", []) if each["Code"] == "ConditionalCheckFailed"]
        busy = not failed
        code, item = ("ConditionalCheckFailedException", failed[0].get("Item", {})) if failed else (code, item)
    if busy or answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
        return StorageUnavailable("Storage is busy or failing: try again")
    return Refused(code, str(answer.get("Error", {}).get("Message", "")), item)
