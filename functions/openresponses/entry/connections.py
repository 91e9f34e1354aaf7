"""The management API of a WebSocket API's stage, from the environment."""

from collections.abc import Mapping

from ..aws.connections import Connections


def connections_at(environment: Mapping[str, str], region: str, endpoint: str) -> Connections:
    """AWS's own variable goes before the stage's address: that is how a local cloud points to itself."""
    return Connections(region, environment.get("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI") or endpoint)
