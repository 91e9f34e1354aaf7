"""One client of the AWS SDK, made when first called for. Knows nothing of what it is used for."""

import threading
from importlib import import_module
from typing import Any, Literal


class Client:
    """To be called in a thread: the first time takes half a second. `attempts` is how often a call is tried in all."""

    def __init__(
        self,
        service: Literal["dynamodb", "lambda"],
        region: str,
        *,
        read_timeout: float,
        attempts: int,
        connections: int,
    ) -> None:
        self._service, self._region = service, region
        self._options = {
            "connect_timeout": 2.0,
            "read_timeout": read_timeout,
            "max_pool_connections": connections,
            "retries": {"mode": "standard", "total_max_attempts": attempts},
            "tcp_keepalive": True,
        }
        self._making = threading.Lock()
        self._client: Any = None

    def __call__(self) -> Any:
        with self._making:
            if self._client is None:
                session = import_module("botocore.session").get_session()
                config = import_module("botocore.config").Config(**self._options)
                self._client = session.create_client(self._service, region_name=self._region, config=config)
            return self._client
