"""The one botocore session of this process, and the clients that are made from it. Knows nothing of what they do.

A session finds the credentials and reads the SDK's data files once. The SDK is imported with the first session.
"""

import threading
from functools import cache
from importlib import import_module
from typing import Any, Literal, TypeAlias

Service: TypeAlias = Literal["dynamodb", "lambda", "s3", "ssm", "stepfunctions"]

session_lock = threading.RLock()
"""Hold it while you use the session: botocore's clients and credentials are thread-safe, its sessions are not."""


@cache
def session() -> Any:
    return import_module("botocore.session").get_session()


def make_client(service: Service, region: str, *, read_timeout: float, attempts: int, connections: int) -> Any:
    """Takes half a second: not for the event loop. `attempts` is how often a call is tried in all."""
    config = import_module("botocore.config").Config(
        connect_timeout=2.0,
        read_timeout=read_timeout,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": attempts},
        tcp_keepalive=True,
    )
    with session_lock:
        return session().create_client(service, region_name=region, config=config)
