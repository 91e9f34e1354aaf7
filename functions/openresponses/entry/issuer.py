"""The issuer of tokens, and the keys that it signs them with. Knows nothing of tokens.

The keys are where its discovery document says, and are remembered in this sandbox. Standard library only.

https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
"""

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

Jwk: TypeAlias = Mapping[str, Any]
"""A key as the issuer tells it: https://www.rfc-editor.org/rfc/rfc7517#section-4."""
Fetch: TypeAlias = Callable[[str], object]
"""The JSON at a URL. Raises IssuerUnavailable."""

FRESH_S, KEPT_S = 600.0, 3600.0
"""Keys are read again after the first time, and are used for the second one where that fails."""
PAUSE_S, PAUSE_AFTER_FAILURE_S = 30.0, 5.0
"""How long the issuer isn't asked again, whatever keys are named meanwhile."""
_TIMEOUT_S = 3.0
_MAX_BYTES = 262_144


class IssuerUnavailable(Exception):
    """The issuer doesn't tell its keys: nobody knows whether a token is good."""


def is_address(url: str, *, loopback: bool) -> bool:
    """Whether it may be asked: by https, and on this machine by http where the deployment is a local one."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (loopback and parts.scheme == "http" and parts.hostname == "127.0.0.1")
    )


@dataclass(slots=True)
class Issuer:
    """`url` is the issuer's name, letter for letter. Times are Unix seconds."""

    url: str
    fetch: Fetch
    loopback: bool = False
    _keys: tuple[Jwk, ...] = ()
    _read_at: float = float("-inf")
    _ask_at: float = float("-inf")
    _failed: bool = False

    def keys(self, kid: str | None, now: float) -> list[Jwk]:
        """The keys of this id, or all of them. It is asked for an id that is new, but not as often as one is invented.

        Raises IssuerUnavailable.
        """
        if now >= self._ask_at and (now >= self._read_at + FRESH_S or not self._named(kid)):
            self._ask(now)
        found = self._named(kid)
        if now >= self._read_at + KEPT_S or (self._failed and not found):
            raise IssuerUnavailable(f"{self.url} does not tell its keys")
        return found

    def _named(self, kid: str | None) -> list[Jwk]:
        return [key for key in self._keys if kid is None or key.get("kid") == kid]

    def _ask(self, now: float) -> None:
        try:
            self._keys = self._told()
        except IssuerUnavailable as error:
            self._ask_at, self._failed = now + PAUSE_AFTER_FAILURE_S, True
            print(json.dumps({"level": "WARNING", "message": "issuer unavailable", "error": str(error)}))
        else:
            self._read_at, self._ask_at, self._failed = now, now + PAUSE_S, False

    def _told(self) -> tuple[Jwk, ...]:
        match self.fetch(f"{self.url.rstrip('/')}/.well-known/openid-configuration"):
            case {"issuer": self.url, "jwks_uri": str(address)} if is_address(address, loopback=self.loopback):
                pass
            case {"issuer": self.url}:
                raise IssuerUnavailable("its discovery document has no jwks_uri with https")
            case _:
                raise IssuerUnavailable("its discovery document names another issuer")
        told = self.fetch(address)
        keys = cast("Mapping[str, object]", told).get("keys") if isinstance(told, Mapping) else None
        if not isinstance(keys, list):
            raise IssuerUnavailable("its jwks_uri has no keys")
        return tuple(cast("Jwk", key) for key in cast("list[object]", keys) if isinstance(key, Mapping))


def fetch(url: str) -> object:
    """It follows no redirect. Raises IssuerUnavailable."""
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    try:
        with closing(connect(parts.netloc, timeout=_TIMEOUT_S)) as connection:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            body = answer.read(_MAX_BYTES + 1)
        if answer.status != 200 or len(body) > _MAX_BYTES:
            raise IssuerUnavailable(f"{url} answers {answer.status} with {len(body)} bytes or more")
        return json.loads(body)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise IssuerUnavailable(f"{url}: {type(error).__name__}") from error
