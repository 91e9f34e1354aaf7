"""Client keys: `or_<id>_<secret>`, how one is made, and whether one that is presented may pass.

Standard library only, since the authorizer imports it on every cold start. It knows nothing of where keys are kept.
"""

import hmac
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeAlias

REASONING = ("", "summary", "encrypted")
"""The most that a key's responses show of a model's reasoning; empty is all of it."""
Refusal: TypeAlias = Literal["unknown", "wrong_secret", "revoked", "expired"]

_ID_LETTERS, _ID_LENGTH = string.ascii_lowercase + string.digits, 12
_SECRET_LETTERS, _SECRET_LENGTH = string.ascii_letters + string.digits, 43  # 256 bits
_TOKEN = re.compile(rf"or_([a-z0-9]{{{_ID_LENGTH}}})_([A-Za-z0-9]{{{_SECRET_LENGTH}}})")
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_PATTERN = re.compile(r"[!-~]{1,200}")
_MAX_PATTERNS_LENGTH = 2_000  # they travel in the authorizer's answer
_MAX_NAME_LENGTH = 100
_NOBODYS = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Token:
    """A key as its client presents it. Neither `str` nor `repr` gives the secret away."""

    id: str
    hash: str


@dataclass(frozen=True, slots=True)
class ClientKey:
    """What is kept of a key. Times are Unix seconds.

    `hash` is the SHA-256 of the secret: that one is as random as a cipher's key, and needs no slow hash.
    `models` are names, aliases or patterns with `*`; none is all. `mcp` are labels of the deployment's MCP servers, or
    patterns of them; none is all of them, and any other server that a request names.
    """

    id: str
    hash: str
    tenant: str
    name: str = ""
    models: tuple[str, ...] = ()
    mcp: tuple[str, ...] = ()
    reasoning: str = ""
    created_at: int = 0
    expires_at: int | None = None
    revoked_at: int | None = None


def check_tenant(tenant: str) -> None:
    """Raises ValueError."""
    if not _TENANT.fullmatch(tenant):
        raise ValueError("a tenant is 1 to 63 of a-z, 0-9 and -, and does not begin with -")


def new_token() -> str:
    """A key that nobody has: it is told once, to the client, and kept nowhere."""
    return f"or_{_random(_ID_LETTERS, _ID_LENGTH)}_{_random(_SECRET_LETTERS, _SECRET_LENGTH)}"


def parse(token: str) -> Token | None:
    """None for what is no key of ours."""
    found = _TOKEN.fullmatch(token)
    return Token(found[1], sha256(found[2].encode()).hexdigest()) if found else None


def make(
    token: str,
    tenant: str,
    *,
    now: float,
    name: str = "",
    models: Sequence[str] = (),
    mcp: Sequence[str] = (),
    reasoning: str = "",
    expires_at: float | None = None,
) -> ClientKey:
    """What is to be kept of `token`. Raises ValueError, which never quotes the token."""
    parsed = parse(token)
    if parsed is None:
        raise ValueError("a key is or_<12 of a-z0-9>_<43 of A-Za-z0-9>")
    check_tenant(tenant)
    for what, patterns in (("models", models), ("MCP servers", mcp)):
        if not all(map(_PATTERN.fullmatch, patterns)) or len(" ".join(patterns)) > _MAX_PATTERNS_LENGTH:
            raise ValueError(f"{what} are names without spaces, {_MAX_PATTERNS_LENGTH} characters in all")
    if reasoning not in REASONING:
        raise ValueError("reasoning is 'summary', 'encrypted', or empty for all of it")
    if len(name) > _MAX_NAME_LENGTH or not name.isprintable():
        raise ValueError(f"a name is one line of at most {_MAX_NAME_LENGTH} characters")
    if expires_at is not None and expires_at <= now:
        raise ValueError("a key expires in the future")
    expires = None if expires_at is None else int(expires_at)
    limits = tuple(models), tuple(mcp), reasoning
    return ClientKey(parsed.id, parsed.hash, tenant, name, *limits, int(now), expires)


def refusal(token: Token, key: ClientKey | None, now: float) -> Refusal | None:
    """Why the key may not pass; None where it may. It takes as long for a key that isn't there."""
    known = hmac.compare_digest(token.hash, key.hash if key else _NOBODYS)
    if key is None:
        return "unknown"
    return ended(key, now) if known else "wrong_secret"


def ended(key: ClientKey, now: float) -> Refusal | None:
    """Why a key that was let in before may not go on."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return None


def _random(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))
