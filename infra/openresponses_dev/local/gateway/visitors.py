"""Which requests of web pages the gateway takes at all. A deployed API lets a page of another origin ask, and then the
browser keeps the answer from it; on a developer's machine it isn't even asked.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from openresponses_dev.local.gateway.rest_event import Request
from openresponses_dev.local.own_host import is_own_host

_OF_NOBODY_ELSE = (None, "none", "same-origin")  # no browser, typed by its user, or asked by a page of ours


class Turned(Exception):
    """The request is refused. `header` says by what."""

    def __init__(self, header: str, message: str) -> None:
        super().__init__(message)
        self.header = header

    def document(self) -> bytes:
        """In the body that every error of the API has."""
        about = {"type": "invalid_request", "param": self.header, "code": "request_refused"}
        return json.dumps({"error": {"message": str(self), **about}}).encode()


@dataclass(frozen=True, slots=True)
class Visitors:
    """`allowed_origins` are those of the pages that may call the API; `*` is every page."""

    allowed_origins: Collection[str] = ()

    def check(self, request: Request, port: int, *, own_page: bool) -> None:
        """`own_page`: what is asked for tells of the local cloud, and is for its user's own eyes. Raises Turned."""
        host = request.header("host") or ""
        if not is_own_host(host, port):
            raise Turned("host", f"The local cloud has another name: use http://127.0.0.1:{port}")
        origins = {value for name, value in request.headers if name == "origin"}
        others = origins - {f"http://{host}"}
        foreign = request.header("sec-fetch-site") not in _OF_NOBODY_ELSE
        if own_page and (others or foreign):
            raise Turned("origin", "No other page may see this")
        if "*" in self.allowed_origins:
            return
        # An image, a script or a frame of another page says no origin. A link that its user follows may lead here.
        embedded = foreign and not origins and request.header("sec-fetch-dest") != "document"
        if embedded or not others <= {*self.allowed_origins}:
            raise Turned("origin", "Pages of this origin may not call the API: name it with AllowedOrigins")
