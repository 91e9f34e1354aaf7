"""Signatures as the Standard Webhooks specification has them, and the secrets that make them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
SECRET_BYTES = 24
"""Random ones. "Between 24 bytes (192 bits) and 64 bytes (512 bits)": 24 make base64 without padding."""
_SHOWN = 4


def new_secret() -> str:
    return PREFIX + b64encode(os.urandom(SECRET_BYTES)).decode()


def hint_of(secret: str) -> str:
    """What may be shown of a secret, so that its owner knows it again."""
    return f"{PREFIX}****{secret[-_SHOWN:]}"


def signed(secrets: Sequence[str], message_id: str, body: bytes, now: float) -> Mapping[str, str]:
    """The headers of a message. A receiver accepts it that knows one of the secrets."""
    timestamp = str(int(now))
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_signature(secret, content)}" for secret in secrets),
    }


def _signature(secret: str, content: bytes) -> str:
    key = b64decode(secret.removeprefix(PREFIX))
    return b64encode(hmac.digest(key, content, "sha256")).decode()
