"""Who may call: bearer keys, compared in constant time."""

import hmac

from starlette.requests import Request

from ..core.errors import Unauthorized


def check_key(request: Request, keys: tuple[str, ...]) -> None:
    """Raises Unauthorized. With no keys configured nobody gets in."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise Unauthorized("No API key: send it as 'Authorization: Bearer <key>'", param="authorization")
    offered = given.strip().encode()
    known = False
    for key in keys:
        known |= hmac.compare_digest(offered, key.encode())
    if not known:
        raise Unauthorized("This API key is not valid here", param="authorization")
