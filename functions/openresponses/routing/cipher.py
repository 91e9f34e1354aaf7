"""Sealing with XChaCha20-Poly1305, and marking with HMAC. Knows nothing of what it seals, nor where its keys are kept.

A sealed text is `or1.` and the base64url of a nonce of 24 bytes and the ciphertext of `[target, state]`, in JSON. The
tenant is associated data: a text that was sealed for one tenant opens for no other. The nonce is random, and too long
for the sandboxes of a deployment to draw it twice under one key, however many texts they seal.
"""

import hmac
import json
import os
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from ..core.errors import StorageUnavailable

VERSION = "or1."
KEY_BYTES, _LEAST_BYTES = 32, 24 + 16
"""A sealed text has at least its nonce and its tag."""
Keys = Callable[[], Awaitable[Sequence[bytes]]]
"""At least one key of 32 bytes: the first one seals, and all of them open."""


class Box:
    """Seals bytes under one name: what was sealed under another does not open."""

    def __init__(self, keys: Keys, name: str) -> None:
        self._keys, self._name = keys, name.encode()

    async def close(self, plain: bytes) -> bytes:
        return _nacl("secret").Aead((await self._keys())[0]).encrypt(plain, self._name)

    async def open(self, sealed: bytes) -> bytes | None:
        """None if it was altered, or was not sealed here under this name."""
        if len(sealed) < _LEAST_BYTES:
            return None
        for key in await self._keys():
            if (plain := self._opened(key, sealed)) is not None:
                return plain
        return None

    def _opened(self, key: bytes, sealed: bytes) -> bytes | None:
        try:
            return _nacl("secret").Aead(key).decrypt(sealed, self._name)
        except _nacl("exceptions").CryptoError:
            return None


class AeadSeal:
    def __init__(self, keys: Keys, tenant: str) -> None:
        self._box = Box(keys, tenant)

    async def seal(self, target: str, state: str) -> str:
        ciphertext = await self._box.close(json.dumps([target, state]).encode())
        return VERSION + urlsafe_b64encode(ciphertext).decode().rstrip("=")

    async def open(self, sealed: str) -> tuple[str, str] | None:
        if not sealed.startswith(VERSION):
            return None
        encoded = sealed.removeprefix(VERSION)
        try:
            ciphertext = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            return None
        if (plain := await self._box.open(ciphertext)) is None:
            return None
        target, state = json.loads(plain)
        return target, state


def _nacl(module: str) -> Any:
    """Imported at first use: most requests carry no state."""
    return import_module(f"nacl.{module}")


class TenantMarks:
    """Message authentication codes (HMAC-SHA256) of one tenant, under keys that are made of the deployment's."""

    def __init__(self, keys: Keys, tenant: str) -> None:
        self._keys, self._name = keys, f"approvals of {tenant}".encode()

    async def marks(self) -> Sequence[Callable[[str], str]]:
        return [partial(_marked, hmac.digest(key, self._name, "sha256")) for key in await self._keys()]


def _marked(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


class KeyParameter(Protocol):
    async def get(self, name: str) -> str | None: ...

    async def create(self, name: str, text: str) -> bool: ...


def kept_in(parameters: KeyParameter, name: str = "sealing-key") -> Keys:
    """The keys in a parameter: base64, separated by spaces. The first sandbox that needs one makes it."""

    async def keys() -> Sequence[bytes]:
        text = await parameters.get(name)
        if text is None:
            made = b64encode(os.urandom(KEY_BYTES)).decode()
            text = made if await parameters.create(name, made) else await parameters.get(name)
        try:
            found = [b64decode(key, validate=True) for key in (text or "").split()]
        except ValueError:
            found = []
        if not found or any(len(key) != KEY_BYTES for key in found):
            raise StorageUnavailable(f"The server's parameter {name!r} holds no key")
        return found

    return keys


def of_this_process() -> Keys:
    """A key that ends with this process, for a server without parameters."""
    key = os.urandom(KEY_BYTES)

    async def keys() -> Sequence[bytes]:
        return [key]

    return keys
