"""Where the local cloud is, and the key that the repository's example events carry."""

from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"
DEV_PORT = 8080
"""Where the local cloud listens unless --port says otherwise."""
DEV_URL = f"http://{LOOPBACK}:{DEV_PORT}"


def at_port(port: str) -> str:
    """The origin of a local cloud."""
    return f"http://{LOOPBACK}:{port}"


def is_port(word: str) -> bool:
    return word.isascii() and word.isdecimal() and 0 < int(word[:6]) <= 65_535


def is_url(word: str) -> bool:
    return word.startswith(("http://", "https://"))


KEY_OF_EVENTS = "or_localexample_ThisIsNotASecretItIsForLocalInvocationsOnly"
"""What the events of this repository carry; valid nowhere but where it is asked to be."""


def without_secrets(address: str) -> str:
    """A URL without the parts that may hold a key: its query, and what precedes the host."""
    url = urlsplit(address)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}" if url.scheme else ""
