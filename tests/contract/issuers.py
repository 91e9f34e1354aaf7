"""An issuer of tokens. Its keys and its tokens are made by joserfc, which shares no code with what judges them."""

from __future__ import annotations

import json
import threading
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from openresponses.entry.issuer import Issuer, IssuerUnavailable
from openresponses.entry.jwt_tokens import Caller, Rules, judge

Json = dict[str, Any]

NOW = 1_800_000_000
URL = "https://cognito-idp.eu-north-1.amazonaws.com/eu-north-1_aBcDeFgHi"
AUDIENCE = "6k1o8p2kq3example"
RULES = Rules(URL, (AUDIENCE, "another"), "custom:tenant")
CLAIMS: Json = {
    "iss": URL,
    "aud": AUDIENCE,
    "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "exp": NOW + 3600,
    "iat": NOW - 60,
    "token_use": "id",
    "custom:tenant": "acme",
}
"""https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html"""
SIGNED_WITH = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "rsa"),
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
}
"""Each algorithm that a token may have, and the key of it."""


def key(name: str, another: int = 0) -> Any:
    """A private key: `rsa`, `rsa1024`, or one of a curve. `another` is another one of this kind."""
    return _key(name, another)


@cache
def _key(name: str, another: int) -> Any:
    if name.startswith("rsa"):
        with warnings.catch_warnings(action="ignore"):  # of short ones
            return RSAKey.generate_key(int(name[3:] or 2048), auto_kid=False)
    return (OKPKey if name.startswith(("Ed", "X")) else ECKey).generate_key(name, auto_kid=False)


def public(name: str, another: int = 0, **members: object) -> Json:
    """What an issuer tells of the key. Its id is its name."""
    return {**key(name, another).as_dict(private=False), "kid": name, "use": "sig", **members}


KEYS = ("rsa", "P-256", "P-384", "P-521", "Ed25519")


def signed(claims: object = CLAIMS, algorithm: str = "RS256", secret: Any = None, **header: object) -> str:
    """A token of the issuer, also of shapes that a library does not make. `secret` signs in place of the issuer's key.
    A member of the header that is None is left out.
    """
    name = SIGNED_WITH[algorithm]
    given = {"alg": algorithm, "kid": name, **header}
    members = {name: value for name, value in given.items() if value is not None}
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signing = f"{encoded(members)}.{encoded(payload)}"
    return f"{signing}.{encoded(_signer(algorithm).sign(signing.encode(), secret or key(name)))}"


def made(algorithm: str) -> str:
    """A token that is joserfc's from its first letter to its last."""
    with warnings.catch_warnings(action="ignore"):  # that EdDSA has another name since RFC 9864
        name = SIGNED_WITH[algorithm]
        return jwt.encode({"alg": algorithm, "kid": name}, CLAIMS, key(name), algorithms=[algorithm])


def _signer(algorithm: str) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return jws.JWSRegistry(algorithms=[algorithm]).get_alg(algorithm)


def encoded(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(text).decode().rstrip("=")


@dataclass
class FakeIssuer:
    """What an issuer answers, by URL, and what it was asked. A URL that it doesn't know is no answer."""

    keys: list[Json] = field(default_factory=lambda: [public(name) for name in KEYS])
    discovery: Json = field(default_factory=lambda: {"issuer": URL, "jwks_uri": f"{URL}/.well-known/jwks.json"})
    down: bool = False
    asked: list[str] = field(default_factory=list[str])

    def fetch(self, url: str) -> object:
        self.asked.append(url)
        answers: dict[str, object] = {
            f"{URL}/.well-known/openid-configuration": self.discovery,
            f"{URL}/.well-known/jwks.json": {"keys": self.keys},
        }
        if self.down or url not in answers:
            raise IssuerUnavailable(url)
        return answers[url]


def judged(token: str, fake: FakeIssuer | None = None, now: float = NOW) -> Caller | str:
    """What a new sandbox says of a token."""
    return judge(token, RULES, Issuer(URL, (fake or FakeIssuer()).fetch), now)


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def sent(status: int, body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer
