"""The management API of a WebSocket API's stage, from the environment."""

from collections.abc import Mapping
from functools import cache

from ..aws.connections import Connections


def connections_at(region: str, endpoint: str, environment: Mapping[str, str]) -> Connections:
    """botocore's own variable goes before the stage's address: that is how a local cloud points to itself."""
    return _connections(region, None if "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI" in environment else endpoint)


@cache
def _connections(region: str, endpoint: str | None) -> Connections:
    return Connections(region, endpoint)
