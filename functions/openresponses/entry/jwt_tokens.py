"""Tokens (JWT) of an OpenID Connect issuer: whether one may pass, and who brings it.

It imports PyJWT and cryptography, which only the authorizers' artifact has: import it where a token came.

https://www.rfc-editor.org/rfc/rfc7519, https://www.rfc-editor.org/rfc/rfc8725 (what else to look at)
"""

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, TypeAlias, TypeGuard, cast

from jwt import PyJWK, PyJWS
from jwt.exceptions import PyJWTError

from ..client_keys import check_tenant
from .issuer import Issuer, Jwk

Refusal: TypeAlias = Literal[
    "malformed",
    "algorithm",
    "other_issuer",
    "other_audience",
    "expired",
    "not_yet_valid",
    "no_subject",
    "no_tenant",
    "unknown_key",
    "wrong_signature",
]

LEEWAY_S = 30.0
"""How far the issuer's clock may be from ours."""
MAX_LENGTH = 8_192
"""API Gateway takes 10,240 bytes of headers:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"""
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TYPES = ("", "jwt", "at+jwt", "application/at+jwt")
"""`at+jwt` is an access token: https://www.rfc-editor.org/rfc/rfc9068#section-2.1. Others are no proof of who calls."""
_ALGORITHMS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""What a token may be signed with, and the `kty` and `crv` of its key: https://www.rfc-editor.org/rfc/rfc7518#section-3.1,
https://www.rfc-editor.org/rfc/rfc8037#section-3.1. None is of a secret that both sides know."""
_NEEDED = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",)}
_LEAST_RSA_BITS = 2048
"""https://www.rfc-editor.org/rfc/rfc7518#section-3.3"""
_LAST_TIME = 2**53
"""Above it a number of JSON is not exact."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose tokens pass. One whose audience is any of `audiences` does; its tenant is what `tenant_claim` says."""

    issuer: str
    audiences: tuple[str, ...]
    tenant_claim: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who brings a token. `key_id` is always the same for one subject. `expires_at` is in Unix seconds."""

    tenant: str
    key_id: str
    expires_at: int


def judge(token: str, rules: Rules, issuer: Issuer, now: float) -> Caller | Refusal:
    """Who brings the token, or why it may not pass. What it claims is looked at before its signature, so that the
    issuer isn't asked for a key where that would change nothing. Raises IssuerUnavailable.
    """
    if len(token) > MAX_LENGTH or not _SHAPE.fullmatch(token):
        return "malformed"
    header, claims = map(_object, token.split(".")[:2])
    if header is None or claims is None:
        return "malformed"
    caller = _claimed(claims, rules, now)
    if isinstance(caller, str):
        return caller
    if (reason := _signed_otherwise(header)) is not None:
        return reason
    algorithm, kid = str(header["alg"]), header.get("kid")
    keys = [key for key in issuer.keys(kid, now) if _fits(key, algorithm)]
    if len(keys) != 1:
        return "unknown_key"
    return caller if _verifies(token, keys[0], algorithm) else "wrong_signature"


def _claimed(claims: dict[str, Any], rules: Rules, now: float) -> Caller | Refusal:
    if claims.get("iss") != rules.issuer:
        return "other_issuer"
    if not set(_audiences(claims)) & set(rules.audiences):
        return "other_audience"
    expires = claims.get("exp")
    if not _is_time(expires) or expires + LEEWAY_S <= now:
        return "expired"
    if not all(_is_time(since) and since <= now + LEEWAY_S for since in (claims.get("nbf", 0), claims.get("iat", 0))):
        return "not_yet_valid"
    subject, tenant = claims.get("sub"), claims.get(rules.tenant_claim)
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        return "no_subject"
    try:
        check_tenant(tenant if isinstance(tenant, str) else "")
    except ValueError:
        return "no_tenant"
    who = sha256(json.dumps([rules.issuer, subject]).encode()).hexdigest()[:20]
    return Caller(str(tenant), f"jwt-{who}", int(expires))


def _audiences(claims: dict[str, Any]) -> list[str]:
    """An access token of Cognito has no `aud`, but a `client_id`. That one counts where there is no `aud`, as for AWS's
    own authorizer of HTTP APIs.

    https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
    """
    if "aud" not in claims and claims.get("token_use") == "access":
        claims = {"aud": claims.get("client_id")}
    match claims.get("aud"):
        case str(audience):
            return [audience]
        case [*audiences]:
            return [each for each in cast("list[object]", audiences) if isinstance(each, str)]
        case _:
            return []


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LAST_TIME


def _signed_otherwise(header: dict[str, Any]) -> Refusal | None:
    """A header may name extensions that have to be understood (`crit`, and `b64` with it): this one understands none.
    Keys and addresses of keys in it (`jwk`, `jku`, `x5c`, `x5u`) are not looked at.
    """
    kind, kid = header.get("typ", ""), header.get("kid", "")
    if "crit" in header or "b64" in header or not isinstance(kid, str) or not isinstance(kind, str):
        return "malformed"
    if kind.lower() not in _TYPES:
        return "malformed"
    algorithm = header.get("alg")
    return None if isinstance(algorithm, str) and algorithm in _ALGORITHMS else "algorithm"


def _fits(key: Jwk, algorithm: str) -> bool:
    """Whether the issuer signs with this key and algorithm: https://www.rfc-editor.org/rfc/rfc7517#section-4."""
    kind, curve = _ALGORITHMS[algorithm]
    if key.get("kty") != kind or (curve and key.get("crv") != curve):
        return False
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        return False
    if "verify" not in key.get("key_ops", ["verify"]) or not all(
        isinstance(key.get(name), str) for name in _NEEDED[kind]
    ):
        return False
    return kind != "RSA" or _bits(key["n"]) >= _LEAST_RSA_BITS


def _bits(number: str) -> int:
    try:
        return int.from_bytes(_decoded(number)).bit_length()
    except ValueError:
        return 0


def _verifies(token: str, key: Jwk, algorithm: str) -> bool:
    public = {name: key[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in key}
    try:
        PyJWS().decode(token, PyJWK(public, algorithm), algorithms=[algorithm])
    except (PyJWTError, ValueError):
        return False
    return True


def _object(segment: str) -> dict[str, Any] | None:
    try:
        found = json.loads(_decoded(segment).decode())
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
