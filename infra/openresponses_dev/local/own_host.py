"""Which names a server of this machine answers to.

A web page may let its own name lead to 127.0.0.1 (DNS rebinding): then the browser takes this server for the page's own
and lets it read everything. The `Host` header tells.
"""

from __future__ import annotations

NAMES = ("127.0.0.1", "localhost")
_HTTP = "80"


def is_own_host(host: str, port: int, *more: str) -> bool:
    """Whether a `Host` header means this machine itself, by `more` names too, and the server's port."""
    name, given = _split(host)
    return name in (*NAMES, *more) and given == str(port)


def is_own_bucket(host: str, port: int) -> bool:
    """The same with a bucket before it, as S3's clients say it. Such a name is always this machine's (RFC 6761)."""
    name, given = _split(host)
    return name.endswith(".localhost") and given == str(port)


def _split(host: str) -> tuple[str, str]:
    """Name and port, of a header that says the port unless it is HTTP's."""
    name, _, port = host.lower().rpartition(":")
    return (name, port) if name and port.isdecimal() else (host.lower(), _HTTP)
