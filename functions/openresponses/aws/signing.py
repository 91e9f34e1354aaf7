"""AWS's signature of a request, for those that botocore signs and does not send."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def signed(method: str, url: str, body: bytes, service: str, region: str, credentials: Any) -> Mapping[str, str]:
    """The headers that sign it, with lower-case names. `credentials` are frozen ones of botocore."""
    request = import_module("botocore.awsrequest").AWSRequest(method, url, data=body)
    import_module("botocore.auth").SigV4Auth(credentials, service, region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}
